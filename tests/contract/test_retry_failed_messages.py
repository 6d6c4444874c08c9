"""Failed messages are retried until they can be stored, once each."""

from asyncio import gather
from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import StorageUnavailable
from application.ports.storage import Transactions
from application.recovery.retry_failed_messages import CLAIM_DURATION, FAILURES_PER_CLAIM
from application.use_cases import UseCases
from domain.actor import Operator
from domain.change import ChangeKind
from domain.connection import Address, Channel
from domain.failed_message import FIRST_RETRY_DELAY, FailedMessage
from domain.organization import OrgId
from domain.planning.snapshot import SnapshotRequest
from leadport.container import Container
from tests.support.app import Deliver
from tests.support.builders import NOON, ONE_INGESTED, SHOP_NUMBER, StoppedClock
from tests.support.failing_storage import REJECTION, FailingTransactions
from tests.support.items import EDIT, ITEM_WITHOUT_SENDER, make_text_item
from tests.support.payloads import ANA, HOLA
from tests.support.stored_rows import StoredRows, dump_rows, list_bodies

ONE_DAY = timedelta(days=1)


async def move_number(operator_use_cases: UseCases, from_: OrgId, to: OrgId | None) -> None:
    """Disable the number in one organisation, and enable it in the other if there is one."""
    await operator_use_cases.upsert_connection(
        from_, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=False
    )
    if to:
        await operator_use_cases.upsert_connection(
            to, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=True
        )


async def test_failures_of_one_delivery_get_different_jitter(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}
    await deliver(*(make_text_item(f"poison {n}") for n in range(10)))
    clock.time += ONE_DAY

    assert await use_cases.retry_failed_messages.retry_due() == 0

    failures = await operator_use_cases.list_failed_messages(shop)
    assert len({failure.next_attempt_at for failure in failures}) > 5


async def test_due_failure_is_stored_once_its_cause_is_gone(
    failure: FailedMessage,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert await use_cases.retry_failed_messages.retry_due() == 0
    assert await operator_use_cases.list_failed_messages() == [failure]

    clock.time += FIRST_RETRY_DELAY * 1.5
    await use_cases.run_maintenance()

    assert await operator_use_cases.list_failed_messages() == []
    assert await list_bodies(stored_rows) == ["poison"]
    assert [event.type for event in await stored_rows.events()] == ["lead_captured"]


async def test_message_that_fails_again_stays_one_row_and_is_retried_later(
    failure: FailedMessage,
    deliver: Deliver,
    storage: FailingTransactions,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}
    for attempts in (2, 3, 4):
        clock.time += ONE_DAY
        assert await use_cases.retry_failed_messages.retry_due() == 0

        (failed,) = await operator_use_cases.list_failed_messages()
        assert (failed.id, failed.attempts, failed.error) == (failure.id, attempts, REJECTION)
        assert failed.next_attempt_at
        wait = FIRST_RETRY_DELAY * 2 ** (attempts - 1)
        assert wait / 2 <= failed.next_attempt_at - clock.time <= wait * 1.5
        assert failed.payload == failure.payload

    await deliver(make_text_item("poison"))
    (failed,) = await operator_use_cases.list_failed_messages()
    assert (failed.id, failed.attempts) == (failure.id, 4)
    assert await list_bodies(stored_rows) == []


async def test_unreadable_message_stays_failed_with_its_reason(
    deliver: Deliver,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    operator_use_cases: UseCases,
) -> None:
    await deliver(ITEM_WITHOUT_SENDER)
    (before,) = await operator_use_cases.list_failed_messages(shop)
    clock.time += ONE_DAY

    assert await use_cases.retry_failed_messages.retry_due() == 0

    (failed,) = await operator_use_cases.list_failed_messages(shop)
    assert (failed.id, failed.error, failed.attempts) == (before.id, before.error, 2)


async def test_second_retry_stores_nothing(
    failure: FailedMessage,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    first, second = (
        await use_cases.retry_failed_messages.retry(failure),
        await use_cases.retry_failed_messages.retry(failure),
    )

    assert first
    assert second
    assert await list_bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == len(await stored_rows.deals()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_concurrent_retries_store_the_message_once(
    failure: FailedMessage,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert all(await gather(*(use_cases.retry_failed_messages.retry(failure) for _ in range(8))))

    assert await list_bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_failure_stored_by_another_delivery_is_resolved_and_not_stored_twice(
    failure: FailedMessage,
    deliver: Deliver,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert (await deliver(make_text_item("poison"))).ingested == 1
    assert await operator_use_cases.list_failed_messages() == [failure]

    assert await use_cases.retry_failed_messages.retry(failure)

    assert await list_bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_failed_retry_does_not_reopen_a_resolved_failure(
    failure: FailedMessage,
    storage: FailingTransactions,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    operator_transactions: Transactions,
) -> None:
    async with operator_transactions.begin(Operator()) as repos:
        await repos.failed_messages.resolve(failure.id, NOON)
    storage.rejected_words = {"poison"}

    assert not await use_cases.retry_failed_messages.retry(failure)

    assert await operator_use_cases.list_failed_messages() == []
    async with operator_transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.claim_due(NOON + ONE_DAY, NOON + ONE_DAY, 10) == []


async def test_failure_of_a_disabled_number_is_stored_once_the_number_is_enabled(
    failure: FailedMessage,
    shop: OrgId,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    await move_number(operator_use_cases, shop, None)
    assert not await use_cases.retry_failed_messages.retry(failure)

    (failed,) = await operator_use_cases.list_failed_messages(shop)
    assert (failed.error, failed.attempts) == ("no enabled connection for this number", 2)
    assert failed.payload == failure.payload

    await operator_use_cases.upsert_connection(
        shop, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=True
    )
    assert await use_cases.retry_failed_messages.retry(failed)
    assert await list_bodies(stored_rows) == ["poison"]


async def test_failure_is_never_stored_in_another_organisation(
    failure: FailedMessage,
    shop: OrgId,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    await move_number(operator_use_cases, shop, other.org_id)

    assert not await use_cases.retry_failed_messages.retry(failure)

    assert await list_bodies(stored_rows) == []
    (failed,) = await operator_use_cases.list_failed_messages()
    assert (failed.org_id, failed.error) == (
        shop,
        "the number is enabled in another organisation now",
    )


async def test_payload_without_messages_stays_failed(
    failure: FailedMessage, use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    assert not await use_cases.retry_failed_messages.retry(
        replace(failure, payload={"from": "another version"})
    )

    (failed,) = await operator_use_cases.list_failed_messages()
    assert (failed.error, failed.payload) == (
        "the stored payload contains no message",
        failure.payload,
    )


async def test_failed_change_is_stored_and_retried(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}
    counters = await deliver(HOLA, EDIT)

    assert counters == ONE_INGESTED
    assert await list_bodies(stored_rows) == ["hola"]
    (failed,) = await operator_use_cases.list_failed_messages(shop)
    assert failed.error == REJECTION
    assert not await use_cases.retry_failed_messages.retry(failed)
    assert await list_bodies(stored_rows) == ["hola"]

    storage.rejected_words = set()
    (failed,) = await operator_use_cases.list_failed_messages(shop)
    assert failed.attempts == 2
    assert await use_cases.retry_failed_messages.retry(failed)
    assert await use_cases.retry_failed_messages.retry(failed)

    (message,) = await stored_rows.messages()
    assert message.body == "poison"
    assert [edit["body"] for edit in message.content["edits"]] == ["hola"]
    event_types = [event.type for event in await stored_rows.events()]
    assert len(event_types) == len(set(event_types)) == 2
    assert ChangeKind.EDIT in " ".join(event_types)


async def test_more_failures_than_one_claim_are_all_retried(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    count = FAILURES_PER_CLAIM * 2 + 1
    storage.rejected_words = {"poison"}
    await deliver(*(make_text_item(f"poison {n}") for n in range(count)))
    storage.rejected_words = set()
    assert len(await operator_use_cases.list_failed_messages(shop)) == count
    clock.time += FIRST_RETRY_DELAY * 1.5

    resolved = [await use_cases.retry_failed_messages.retry_due() for _ in range(4)]

    assert resolved == [FAILURES_PER_CLAIM, FAILURES_PER_CLAIM, 1, 0]
    assert len(await list_bodies(stored_rows)) == count


async def test_storage_that_fails_during_a_retry_loses_nothing(
    failure: FailedMessage,
    storage: FailingTransactions,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    clock.time += FIRST_RETRY_DELAY * 1.5
    calls_of_the_claim = storage.calls + 1

    async def fail_after_the_claim() -> None:
        if storage.calls > calls_of_the_claim:
            raise StorageUnavailable

    storage.fault = fail_after_the_claim
    with pytest.raises(StorageUnavailable):
        await use_cases.retry_failed_messages.retry_due()

    storage.fault = None
    (failed,) = await operator_use_cases.list_failed_messages()
    assert (failed.attempts, failed.error) == (1, failure.error)
    assert await use_cases.retry_failed_messages.retry_due() == 0
    clock.time += CLAIM_DURATION
    assert await use_cases.retry_failed_messages.retry_due() == 1
    assert await list_bodies(stored_rows) == ["poison"]


async def test_resolved_failure_holds_no_text_of_a_person(
    failure: FailedMessage, use_cases: UseCases, container: Container
) -> None:
    before = dump_rows(container, "failed_messages")
    assert "poison" in before
    assert ANA in before

    assert await use_cases.retry_failed_messages.retry(failure)

    after = dump_rows(container, "failed_messages")
    assert "poison" not in after
    assert ANA not in after


async def test_message_of_the_same_id_in_another_organisation_is_no_duplicate(
    failure: FailedMessage,
    deliver: Deliver,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
    operator_transactions: Transactions,
) -> None:
    """Each organisation has its own ids, also where a failed message is retried."""
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    await operator_use_cases.upsert_connection(
        other.org_id, Channel.WHATSAPP, "999", actor=Operator()
    )
    assert (await deliver(make_text_item("poison"), to="999")).ingested == 1

    assert await use_cases.retry_failed_messages.retry(failure)

    assert {m.org_id for m in await stored_rows.messages()} == {failure.org_id, other.org_id}
    async with operator_transactions.begin(Operator()) as repos:
        addresses = {Address(Channel.WHATSAPP, number) for number in (SHOP_NUMBER, "999")}
        snapshot = await repos.snapshots.read(SnapshotRequest(addresses=addresses))
    assert snapshot.connections.keys() == addresses
