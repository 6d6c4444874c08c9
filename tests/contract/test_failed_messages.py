"""Messages and changes that cannot be processed are stored as failed messages."""

import json
from dataclasses import replace

import pytest

from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from application.use_cases import UseCases
from domain.actor import Operator
from domain.failed_message import FIRST_RETRY_DELAY, FailedMessage
from domain.inbound import BrokenMessage, InboundMessage
from domain.organization import OrgId
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.support.app import Deliver
from tests.support.builders import NOON, SHOP_NUMBER
from tests.support.failing_storage import REJECTION, FailingTransactions, storage_down
from tests.support.items import EDIT, ITEM_WITHOUT_SENDER, make_text_item
from tests.support.stored_rows import StoredRows, list_bodies


async def test_unreadable_message_is_stored_as_failed_with_its_payload(
    deliver: Deliver,
    shop: OrgId,
    container: Container,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    counters = await deliver(ITEM_WITHOUT_SENDER, make_text_item("hola"))

    assert counters == Counters(received=2, ingested=1, skipped=0, failed=1)
    assert await list_bodies(stored_rows) == ["hola"]
    (failed,) = await operator_use_cases.list_failed_messages()
    assert (failed.org_id, failed.attempts) == (shop, 1)
    assert failed.error == "`from` and `from_user_id` are missing"
    assert failed.next_attempt_at
    assert FIRST_RETRY_DELAY / 2 <= failed.next_attempt_at - NOON <= FIRST_RETRY_DELAY * 1.5
    delivery = container.parser().parse(json.dumps(failed.payload).encode(), NOON)
    assert [type(message) for message in delivery.messages] == [BrokenMessage]
    assert "secret words" in str(failed.payload)
    assert "hola" not in str(failed.payload).replace("wamid.hola", "")


async def test_message_that_the_storage_refuses_is_stored_as_failed_and_the_others_are_stored(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    container: Container,
    stored_rows: StoredRows,
    caplog: pytest.LogCaptureFixture,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}

    counters = await deliver(*(make_text_item(body) for body in ("one", "poison", "two", "three")))

    assert counters == Counters(received=4, ingested=3, skipped=0, failed=1)
    assert await list_bodies(stored_rows) == ["one", "three", "two"]
    (failed,) = await operator_use_cases.list_failed_messages(shop)
    assert (failed.error, failed.attempts) == (REJECTION, 1)
    (message,) = container.parser().parse(json.dumps(failed.payload).encode(), NOON).messages
    assert isinstance(message, InboundMessage)
    assert (message.body, message.address.external_id) == ("poison", SHOP_NUMBER)
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "message_failed" in logged
    assert "poison" not in logged


async def test_repeated_failure_is_counted_each_time_and_stored_once(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    twice = await deliver(ITEM_WITHOUT_SENDER, ITEM_WITHOUT_SENDER)
    again = await deliver(ITEM_WITHOUT_SENDER)

    assert (twice.failed, again.failed) == (2, 1)
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1

    await deliver(ITEM_WITHOUT_SENDER | {"id": "wamid.another"})
    assert len(await operator_use_cases.list_failed_messages(shop)) == 2


async def test_failure_that_returns_after_it_was_resolved_is_stored_again(
    deliver: Deliver,
    failure: FailedMessage,
    storage: FailingTransactions,
    operator_use_cases: UseCases,
    operator_transactions: Transactions,
) -> None:
    async with operator_transactions.begin(Operator()) as repos:
        await repos.failed_messages.resolve(failure.id, NOON)
    assert await operator_use_cases.list_failed_messages() == []

    storage.rejected_words = {"poison"}
    await deliver(make_text_item("poison"))

    (failed,) = await operator_use_cases.list_failed_messages()
    assert failed == replace(failure, id=failed.id, next_attempt_at=failed.next_attempt_at)
    assert failed.id != failure.id


async def test_failure_of_an_unconnected_number_is_not_stored(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, operator_use_cases: UseCases
) -> None:
    storage.rejected_words = {"poison"}

    counters = await deliver(ITEM_WITHOUT_SENDER, make_text_item("poison"), EDIT, to="999")

    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await operator_use_cases.list_failed_messages() == []
    assert await operator_use_cases.list_failed_messages(shop) == []


async def test_delivery_whose_failure_cannot_be_stored_is_spooled_whole(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    spool: SqliteSpool,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    """A delivery is answered with 200 only where each of its messages is failed."""
    with storage_down(storage):
        counters = await deliver(ITEM_WITHOUT_SENDER, make_text_item("hola"))
    assert counters == Counters(received=2, ingested=0, skipped=0, failed=2)
    assert len(await spool.read_oldest(10, 0)) == 1

    await use_cases.run_maintenance()

    assert await spool.read_oldest(10, 0) == []
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1
    assert await list_bodies(stored_rows) == ["hola"]
