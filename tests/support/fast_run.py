"""Pytest plugin of `--fast`: runs only quick tests, and starts neither Docker nor PostgreSQL."""

import gc
import warnings
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FOLDERS = (TESTS / "unit", TESTS / "contract")
"""Folders whose tests need no server, or not with each of their parameters."""

SLOW_MARKERS = ("slow", "hypothesis")
"""Markers of tests that are left out; Hypothesis marks its tests itself."""

SERVER_PARAMETERS = {"postgres", "in_the_database"}
"""Parameters of fixtures that stand for PostgreSQL."""


def pytest_configure() -> None:
    """Collect garbage rarely: the collected tests are many objects, and none of them garbage."""
    gc.set_threshold(100_000, 50, 100)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collect only FOLDERS."""
    is_other_folder = collection_path.parent == TESTS and collection_path not in FOLDERS
    return True if is_other_folder and collection_path.is_dir() else None


@pytest.hookimpl(trylast=True)  # after Hypothesis has marked its tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect slow tests and tests that need a server."""
    quick = [item for item in items if not _is_slow(item) and not _needs_server(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
    items[:] = quick


def pytest_collection_finish() -> None:
    """Make warnings errors for the whole run.

    `bin/test --fast` switches off pytest's handling of warnings, which installs the filters again
    for each phase of each test and takes a fifth of the time.
    """
    warnings.simplefilter("error")
    gc.freeze()


@pytest.fixture(scope="session")
def server_url() -> str:
    """Skip tests that ask for a server only while they run."""
    pytest.skip("--fast starts no server")


def _is_slow(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in SLOW_MARKERS)


def _needs_server(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = {value for value in parameters if isinstance(value, str)}
    return "server_url" in fixtures or not names.isdisjoint(SERVER_PARAMETERS)
