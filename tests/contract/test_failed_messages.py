"""What cannot be processed is kept, and tried again until it can."""

import json
from asyncio import gather
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from application.errors import StorageUnavailable
from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from application.recovery.retry_failed_messages import CLAIM_DURATION, FAILURES_PER_CLAIM
from application.use_cases import UseCases
from domain.actor import Operator
from domain.change import ChangeKind
from domain.connection import Address, Channel
from domain.errors import NotFound
from domain.failed_message import FIRST_RETRY_DELAY, MAX_RETRY_DELAY, FailedMessage, FailedMessageId
from domain.inbound import BrokenMessage, InboundMessage
from domain.organization import OrgId
from domain.planning.snapshot import SnapshotRequest
from interfaces.cli import failed
from leadport.container import Container
from tests.support.app import Command, Deliver
from tests.support.builders import NOON, SHOP_NUMBER, StoppedClock, create_shop, new_id
from tests.support.failing_storage import FailingTransactions, raise_unavailable
from tests.support.items import make_text_item
from tests.support.payloads import ANA, HOLA, Object, without
from tests.support.stored_rows import StoredRows

NOBODYS = without(HOLA, "from") | {"text": {"body": "secret words"}}
"""It names no sender."""

EDIT: Object = {
    **without(HOLA, "text"),
    "id": "wamid.edit",
    "type": "edit",
    "edit": {
        "original_message_id": "wamid.hola",
        "message": {"type": "text", "text": {"body": "poison"}},
    },
}
REFUSED = "CheckViolation (23514) test_rule"
LATER = timedelta(days=1)


@pytest.fixture
async def failure(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, operator_use_cases: UseCases
) -> FailedMessage:
    """A message that the storage refused, and would take now."""
    storage.rejected_words = {"poison"}
    counters = await deliver(make_text_item("poison"))
    storage.rejected_words = set()
    assert counters == Counters(received=1, ingested=0, skipped=0, failed=1)
    (kept,) = await operator_use_cases.list_failed_messages(shop)
    return kept


async def bodies(stored_rows: StoredRows) -> list[str]:
    return [message.body for message in await stored_rows.messages()]


async def move_number(operator_use_cases: UseCases, from_: OrgId, to: OrgId | None) -> None:
    await operator_use_cases.upsert_connection(
        from_, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=False
    )
    if to:
        await operator_use_cases.upsert_connection(
            to, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=True
        )


async def test_what_cannot_be_read_is_kept_with_all_that_is_known_of_it(
    deliver: Deliver,
    shop: OrgId,
    container: Container,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    counters = await deliver(NOBODYS, make_text_item("hola"))

    assert counters == Counters(received=2, ingested=1, skipped=0, failed=1)
    assert await bodies(stored_rows) == ["hola"]
    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.org_id, kept.attempts) == (shop, 1)
    assert "sender" in kept.error
    assert kept.next_attempt_at
    assert FIRST_RETRY_DELAY / 2 <= kept.next_attempt_at - NOON <= FIRST_RETRY_DELAY * 1.5
    delivery = container.parser().parse(json.dumps(kept.payload).encode(), NOON)
    assert [type(message) for message in delivery.messages] == [BrokenMessage]
    assert "secret words" in str(kept.payload)
    assert "hola" not in str(kept.payload).replace("wamid.hola", "")


async def test_what_the_storage_refuses_is_kept_and_its_neighbours_are_stored(
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
    assert sorted(await bodies(stored_rows)) == ["one", "three", "two"]
    (kept,) = await operator_use_cases.list_failed_messages(shop)
    assert (kept.error, kept.attempts) == (REFUSED, 1)
    (message,) = container.parser().parse(json.dumps(kept.payload).encode(), NOON).messages
    assert isinstance(message, InboundMessage)
    assert (message.body, message.address.external_id) == ("poison", SHOP_NUMBER)
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "message_failed" in logged
    assert "poison" not in logged


async def test_the_same_failure_is_counted_each_time_and_kept_once(
    deliver: Deliver, shop: OrgId, operator_use_cases: UseCases
) -> None:
    twice = await deliver(NOBODYS, NOBODYS)
    again = await deliver(NOBODYS)

    assert (twice.failed, again.failed) == (2, 1)
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1

    await deliver(NOBODYS | {"id": "wamid.another"})
    assert len(await operator_use_cases.list_failed_messages(shop)) == 2


async def test_a_failure_that_comes_back_after_it_was_resolved_is_kept_again(
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

    (kept,) = await operator_use_cases.list_failed_messages()
    assert kept == replace(failure, id=kept.id, next_attempt_at=kept.next_attempt_at)
    assert kept.id != failure.id


async def test_the_same_failure_of_two_organisations_is_kept_twice(
    transactions: Transactions,
) -> None:
    shops = [await create_shop(transactions, number) for number in ("1", "2")]
    failures = [a_failure(shop.org_id, NOON) for shop in shops]

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add(failures)
        await repos.failed_messages.add([replace(f, id=_id()) for f in failures])

    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == failures


def _id() -> FailedMessageId:
    return FailedMessageId(new_id())


def a_failure(org_id: OrgId, due_at: datetime, digest: str = "d") -> FailedMessage:
    return FailedMessage(
        id=_id(), org_id=org_id, payload={}, error="e", next_attempt_at=due_at, digest=digest
    )


async def test_only_what_is_due_is_claimed_and_by_one_at_a_time(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    past, now, future = (
        a_failure(shop.org_id, due_at, digest)
        for digest, due_at in {
            "a": NOON - LATER,
            "b": NOON,
            "c": NOON + timedelta(seconds=1),
        }.items()
    )
    resolved = a_failure(shop.org_id, NOON, "e")
    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([past, now, future, resolved])
        await repos.failed_messages.resolve(resolved.id, NOON)

    async def claimed(at: datetime, limit: int = 10) -> list[FailedMessageId]:
        async with transactions.begin(Operator()) as repos:
            found = await repos.failed_messages.claim_due(at, at + CLAIM_DURATION, limit)
        return [failure.id for failure in found]

    assert await claimed(NOON) == [past.id, now.id]
    assert await claimed(NOON) == []
    assert await claimed(NOON + CLAIM_DURATION / 2) == [future.id]
    assert await claimed(NOON + CLAIM_DURATION, limit=1) in ([past.id], [now.id])
    assert len(await claimed(NOON + CLAIM_DURATION)) == 1


async def test_two_who_claim_at_once_get_different_ones_and_do_not_wait(
    postgres_transactions: Transactions,
) -> None:
    shop = await create_shop(postgres_transactions)
    failures = [a_failure(shop.org_id, NOON, str(n)) for n in range(5)]
    async with postgres_transactions.begin(Operator()) as repos:
        await repos.failed_messages.add(failures)

    async with (
        postgres_transactions.begin(Operator()) as one,
        postgres_transactions.begin(Operator()) as other,
    ):
        first = await one.failed_messages.claim_due(NOON, NOON + CLAIM_DURATION, 2)
        second = await other.failed_messages.claim_due(NOON, NOON + CLAIM_DURATION, 10)

    assert (len(first), len(second)) == (2, 3)
    assert {f.id for f in [*first, *second]} == {f.id for f in failures}


def test_delays_grow_up_to_a_cap_and_are_jittered() -> None:
    failure = a_failure(OrgId(new_id()), NOON)

    waits = []
    for _ in range(100):
        failure = failure.record_attempt("again", NOON, 0.5)
        assert failure.next_attempt_at
        waits.append(failure.next_attempt_at - NOON)

    assert (failure.error, failure.attempts) == ("again", 101)
    minutes = [wait / timedelta(minutes=1) for wait in waits]
    assert minutes[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(waits[8:]) == {MAX_RETRY_DELAY}

    once = a_failure(OrgId(new_id()), NOON)
    least, most = (once.record_attempt("e", NOON, jitter).next_attempt_at for jitter in (0, 1))
    assert least
    assert most
    assert (least - NOON, most - NOON) == (FIRST_RETRY_DELAY, FIRST_RETRY_DELAY * 3)


async def test_the_jitter_is_another_one_each_time(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}
    await deliver(*(make_text_item(f"poison {n}") for n in range(10)))
    clock.time += LATER

    assert await use_cases.retry_failed_messages.retry_due() == 0

    assert (
        len({kept.next_attempt_at for kept in await operator_use_cases.list_failed_messages(shop)})
        > 5
    )


async def test_what_is_due_is_stored_once_its_cause_is_gone(
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
    assert await bodies(stored_rows) == ["poison"]
    assert [event.type for event in await stored_rows.events()] == ["lead_captured"]


async def test_what_fails_again_stays_one_row_and_waits_longer(
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
        clock.time += LATER
        assert await use_cases.retry_failed_messages.retry_due() == 0

        (kept,) = await operator_use_cases.list_failed_messages()
        assert (kept.id, kept.attempts, kept.error) == (failure.id, attempts, REFUSED)
        assert kept.next_attempt_at
        wait = FIRST_RETRY_DELAY * 2 ** (attempts - 1)
        assert wait / 2 <= kept.next_attempt_at - clock.time <= wait * 1.5
        assert kept.payload == failure.payload

    await deliver(make_text_item("poison"))
    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.id, kept.attempts) == (failure.id, 4)
    assert await bodies(stored_rows) == []


async def test_what_cannot_be_read_stays_kept_with_its_reason(
    deliver: Deliver,
    shop: OrgId,
    clock: StoppedClock,
    use_cases: UseCases,
    operator_use_cases: UseCases,
) -> None:
    await deliver(NOBODYS)
    (before,) = await operator_use_cases.list_failed_messages(shop)
    clock.time += LATER

    assert await use_cases.retry_failed_messages.retry_due() == 0

    (kept,) = await operator_use_cases.list_failed_messages(shop)
    assert (kept.id, kept.error, kept.attempts) == (before.id, before.error, 2)


async def test_retrying_twice_is_retrying_once(
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
    assert await bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == len(await stored_rows.deals()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_many_who_retry_the_same_at_once_store_it_once(
    failure: FailedMessage,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert all(await gather(*(use_cases.retry_failed_messages.retry(failure) for _ in range(8))))

    assert await bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_what_was_stored_meanwhile_is_resolved_and_not_stored_twice(
    failure: FailedMessage,
    deliver: Deliver,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    assert (await deliver(make_text_item("poison"))).ingested == 1
    assert await operator_use_cases.list_failed_messages() == [failure]

    assert await use_cases.retry_failed_messages.retry(failure)

    assert await bodies(stored_rows) == ["poison"]
    assert len(await stored_rows.events()) == 1
    assert await operator_use_cases.list_failed_messages() == []


async def test_one_that_was_resolved_meanwhile_is_not_kept_again_by_who_fails(
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
        assert await repos.failed_messages.claim_due(NOON + LATER, NOON + LATER, 10) == []


async def test_what_came_for_a_number_that_was_disconnected_waits_for_it(
    failure: FailedMessage,
    shop: OrgId,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    await move_number(operator_use_cases, shop, None)
    assert not await use_cases.retry_failed_messages.retry(failure)

    (kept,) = await operator_use_cases.list_failed_messages(shop)
    assert (kept.error, kept.attempts) == ("no enabled connection for this number", 2)
    assert kept.payload == failure.payload

    await operator_use_cases.upsert_connection(
        shop, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator(), is_enabled=True
    )
    assert await use_cases.retry_failed_messages.retry(kept)
    assert await bodies(stored_rows) == ["poison"]


async def test_what_came_for_one_organisation_is_never_anothers(
    failure: FailedMessage,
    shop: OrgId,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
) -> None:
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    await move_number(operator_use_cases, shop, other.org_id)

    assert not await use_cases.retry_failed_messages.retry(failure)

    assert await bodies(stored_rows) == []
    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.org_id, kept.error) == (shop, "the number is enabled in another organisation now")


async def test_what_this_version_reads_nothing_in_stays_kept(
    failure: FailedMessage, use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    assert not await use_cases.retry_failed_messages.retry(
        replace(failure, payload={"from": "another version"})
    )

    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.error, kept.payload) == ("the stored payload contains no message", failure.payload)


async def test_changes_are_kept_and_tried_again_too(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    storage.rejected_words = {"poison"}
    counters = await deliver(HOLA, EDIT)

    assert counters == Counters(received=1, ingested=1, skipped=0, failed=0)
    assert await bodies(stored_rows) == ["hola"]
    (kept,) = await operator_use_cases.list_failed_messages(shop)
    assert kept.error == REFUSED
    assert not await use_cases.retry_failed_messages.retry(kept)
    assert await bodies(stored_rows) == ["hola"]

    storage.rejected_words = set()
    (kept,) = await operator_use_cases.list_failed_messages(shop)
    assert kept.attempts == 2
    assert await use_cases.retry_failed_messages.retry(kept)
    assert await use_cases.retry_failed_messages.retry(kept)

    (message,) = await stored_rows.messages()
    assert message.body == "poison"
    assert [edit["body"] for edit in message.content["edits"]] == ["hola"]
    told = [event.type for event in await stored_rows.events()]
    assert len(told) == len(set(told)) == 2
    assert ChangeKind.EDIT in " ".join(told)


async def test_what_nobody_has_connected_is_never_kept(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, operator_use_cases: UseCases
) -> None:
    storage.rejected_words = {"poison"}

    counters = await deliver(NOBODYS, make_text_item("poison"), EDIT, to="999")

    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await operator_use_cases.list_failed_messages() == []
    assert await operator_use_cases.list_failed_messages(shop) == []


async def test_more_than_one_go_are_all_tried(
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
    assert len(await bodies(stored_rows)) == count


async def test_a_storage_that_goes_away_in_the_middle_costs_nothing(
    failure: FailedMessage,
    storage: FailingTransactions,
    clock: StoppedClock,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    clock.time += FIRST_RETRY_DELAY * 1.5
    claim_only = storage.calls + 1

    async def away_after_the_claim() -> None:
        if storage.calls > claim_only:
            raise StorageUnavailable

    storage.fault = away_after_the_claim
    with pytest.raises(StorageUnavailable):
        await use_cases.retry_failed_messages.retry_due()

    storage.fault = None
    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.attempts, kept.error) == (1, failure.error)
    assert await use_cases.retry_failed_messages.retry_due() == 0
    clock.time += CLAIM_DURATION
    assert await use_cases.retry_failed_messages.retry_due() == 1
    assert await bodies(stored_rows) == ["poison"]


async def test_where_not_even_the_failure_can_be_kept_the_delivery_waits_whole(
    deliver: Deliver,
    storage: FailingTransactions,
    shop: OrgId,
    container: Container,
    use_cases: UseCases,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    """Never a 200 for what is nowhere."""
    storage.fault = raise_unavailable
    counters = await deliver(NOBODYS, make_text_item("hola"))
    assert counters == Counters(received=2, ingested=0, skipped=0, failed=2)
    assert len(await container.spool().read_oldest(10, 0)) == 1

    storage.fault = None
    await use_cases.run_maintenance()

    assert await container.spool().read_oldest(10, 0) == []
    assert len(await operator_use_cases.list_failed_messages(shop)) == 1
    assert await bodies(stored_rows) == ["hola"]


@pytest.fixture
def everything_kept(container: Container) -> Callable[[], str]:
    """All that is in the table, or stands in for it, resolved or not."""

    def read() -> str:
        settings = container.settings()
        if settings.storage == "memory":
            return str(container.memory().committed.failed_messages)
        assert settings.database_url
        with psycopg.connect(settings.database_url) as db:
            return str(db.execute("SELECT f::text FROM failed_messages f").fetchall())

    return read


async def test_what_people_wrote_is_forgotten_when_it_is_resolved(
    failure: FailedMessage, use_cases: UseCases, everything_kept: Callable[[], str]
) -> None:
    assert "poison" in everything_kept()
    assert ANA in everything_kept()

    assert await use_cases.retry_failed_messages.retry(failure)

    assert "poison" not in everything_kept()
    assert ANA not in everything_kept()


async def test_an_operator_sees_what_is_kept_and_never_what_was_written(
    failure: FailedMessage, shop: OrgId, leadport: Command
) -> None:
    table = await leadport(failed.group, "list")
    listed = await leadport(failed.group, "list", "--json")

    assert (table.exit_code, listed.exit_code) == (0, 0)
    for shown in (str(failure.id), str(shop), REFUSED):
        assert shown in table.stdout
    (kept,) = json.loads(listed.stdout)
    assert {name: kept[name] for name in ("id", "org_id", "error", "attempts")} == {
        "id": str(failure.id),
        "org_id": str(shop),
        "error": REFUSED,
        "attempts": 1,
    }
    assert datetime.fromisoformat(kept["next_attempt_at"]) == failure.next_attempt_at
    assert datetime.fromisoformat(kept["created_at"])
    assert "poison" not in table.stdout + listed.stdout
    assert ANA not in table.stdout + listed.stdout


async def test_an_operator_may_ask_for_one_organisation(
    failure: FailedMessage, shop: OrgId, leadport: Command
) -> None:
    async def ids(org_id: Any) -> list[str]:
        listed = await leadport(failed.group, "list", "--json", "--org", org_id)
        return [kept["id"] for kept in json.loads(listed.stdout)]

    assert await ids(shop) == [str(failure.id)]
    assert await ids(new_id()) == []


async def test_an_operator_is_told_that_nothing_is_kept(shop: OrgId, leadport: Command) -> None:
    assert shop
    assert (await leadport(failed.group, "list")).stdout == (
        "Nothing is kept: every message could be processed.\n"
    )
    assert (await leadport(failed.group, "list", "--json")).stdout == "[]\n"
    assert (await leadport(failed.group, "retry", "--all")).stdout == "0 of 0 resolved.\n"


async def test_an_operator_retries_some_by_id_without_waiting_for_their_time(
    failure: FailedMessage,
    deliver: Deliver,
    leadport: Command,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    await deliver(NOBODYS)
    (broken,) = (
        kept for kept in await operator_use_cases.list_failed_messages() if kept.id != failure.id
    )

    done = await leadport(failed.group, "retry", failure.id)

    assert (done.exit_code, done.stdout) == (0, "1 of 1 resolved.\n")
    assert await bodies(stored_rows) == ["poison"]
    assert await operator_use_cases.list_failed_messages() == [broken]

    done = await leadport(failed.group, "retry", broken.id, "--json")
    assert json.loads(done.stdout) == {"tried": 1, "resolved": 0, "failed": 1}
    assert [kept.attempts for kept in await operator_use_cases.list_failed_messages()] == [2]


async def test_an_operator_retries_all_and_again(
    failure: FailedMessage,
    deliver: Deliver,
    leadport: Command,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    await deliver(NOBODYS)

    first = await leadport(failed.group, "retry", "--all", "--json")
    second = await leadport(failed.group, "retry", "--all", "--json")

    assert json.loads(first.stdout) == {"tried": 2, "resolved": 1, "failed": 1}
    assert json.loads(second.stdout) == {"tried": 1, "resolved": 0, "failed": 1}
    assert await bodies(stored_rows) == ["poison"]
    (kept,) = await operator_use_cases.list_failed_messages()
    assert (kept.attempts, kept.id == failure.id) == (3, False)


async def test_an_id_that_is_not_kept_is_named_and_nothing_is_tried(
    failure: FailedMessage, leadport: Command, operator_use_cases: UseCases
) -> None:
    unknown = new_id()

    done = await leadport(failed.group, "retry", failure.id, unknown)

    assert done.exit_code == 1
    assert isinstance(done.exception, NotFound)
    assert str(unknown) in str(done.exception)
    assert str(failure.id) not in str(done.exception)
    assert await operator_use_cases.list_failed_messages() == [failure]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name the ids to try again, or --all"),
        ([str(new_id()), "--all"], "name the ids to try again, or --all"),
        (["17"], "'17' is not an id like"),
    ],
    ids=["neither", "both", "no id"],
)
async def test_a_retry_of_nothing_in_particular_is_a_usage_error(
    failure: FailedMessage,
    leadport: Command,
    arguments: list[str],
    told: str,
    operator_use_cases: UseCases,
) -> None:
    done = await leadport(failed.group, "retry", *arguments)

    assert done.exit_code == 2
    assert told in done.stderr
    assert await operator_use_cases.list_failed_messages() == [failure]


async def test_a_message_of_the_same_id_elsewhere_is_another_message(
    failure: FailedMessage,
    deliver: Deliver,
    use_cases: UseCases,
    operator_use_cases: UseCases,
    stored_rows: StoredRows,
    operator_transactions: Transactions,
) -> None:
    """The duplicate check is each organisation's own, for what is kept too."""
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
