"""Deselects the ten-minute test without `--faults`, and prints the ledgers after the run."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.reconciliation import LEDGER_REPORTS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--faults"):
        long_items = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long_items]
        config.hook.pytest_deselected(items=long_items)


@pytest.fixture(autouse=True)
def report_ledgers(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Attach the test's ledgers to its report, which pytest-xdist sends to the main process."""
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
