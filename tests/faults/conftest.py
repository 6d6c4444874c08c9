"""Ten minutes of faults only where they are asked for; and what became of every message."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.reconciliation import LEDGER_REPORTS


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: runs for minutes, only with --faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--faults"):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@pytest.fixture(autouse=True)
def reported(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Put the test's ledgers into its report, which reaches the end of the run from any process."""
    yield
    for ledger in LEDGER_REPORTS:
        record_property("ledger", ledger)
    LEDGER_REPORTS.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ledgers = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == "ledger"
    ]
    if ledgers:
        terminalreporter.section("ledgers")
        for ledger in ledgers:
            terminalreporter.write_line(ledger)
