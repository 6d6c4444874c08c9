"""After repeated failures the service does not call the storage until a probe succeeds."""

import pytest

from application.ingestion.circuit_breaker import FAILURES_TO_OPEN
from application.use_cases import UseCases
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import Deliver
from tests.support.builders import ONE_FAILED, ONE_INGESTED
from tests.support.failing_storage import FailingTransactions, storage_down
from tests.support.items import list_spooled_texts, make_text_item
from tests.support.stored_rows import StoredRows, list_bodies

pytestmark = [pytest.mark.usefixtures("shop"), pytest.mark.slow]


async def test_storage_is_not_called_after_three_failures_until_a_probe_succeeds(
    deliver: Deliver,
    storage: FailingTransactions,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    container: Container,
) -> None:
    assert FAILURES_TO_OPEN == 3
    with storage_down(storage):
        for n in range(FAILURES_TO_OPEN):
            assert not container.breaker().is_open
            assert await deliver(make_text_item(f"called {n}")) == ONE_FAILED
        assert container.breaker().is_open

        calls = storage.calls
        counters = [await deliver(make_text_item(f"not called {n}")) for n in range(20)]
        assert counters == [ONE_FAILED] * 20
        assert storage.calls == calls

        await use_cases.run_maintenance()
        assert container.breaker().is_open
        assert storage.calls == calls + 1  # the probe, and no drain after it

    assert await deliver(make_text_item("still not called")) == ONE_FAILED
    await use_cases.run_maintenance()
    assert not container.breaker().is_open
    assert await list_spooled_texts(spool) == []
    assert len(await list_bodies(stored_rows)) == FAILURES_TO_OPEN + 20 + 1
    assert await deliver(make_text_item("called again")) == ONE_INGESTED


async def test_success_between_failures_keeps_the_breaker_closed(
    deliver: Deliver, storage: FailingTransactions, container: Container
) -> None:
    for n in range(FAILURES_TO_OPEN * 2):
        with storage_down(storage):
            assert await deliver(make_text_item(f"first failure {n}")) == ONE_FAILED
            assert await deliver(make_text_item(f"second failure {n}")) == ONE_FAILED
        assert await deliver(make_text_item(f"success {n}")) == ONE_INGESTED
    assert not container.breaker().is_open


async def test_failed_drains_open_the_breaker(
    deliver: Deliver, storage: FailingTransactions, use_cases: UseCases, container: Container
) -> None:
    with storage_down(storage):
        await deliver(make_text_item("hola"))

        for _ in range(FAILURES_TO_OPEN - 1):
            await use_cases.run_maintenance()

    assert container.breaker().is_open
