"""The repository of failed messages, over each storage adapter."""

from dataclasses import replace
from datetime import datetime, timedelta

from application.ports.storage import Transactions
from application.recovery.retry_failed_messages import CLAIM_DURATION
from domain.actor import Operator
from domain.failed_message import FailedMessageId
from tests.support.builders import NOON, create_shop, new_id
from tests.support.entities import make_failed_message


async def test_same_failure_of_two_organisations_is_stored_twice(
    transactions: Transactions,
) -> None:
    shops = [await create_shop(transactions, number) for number in ("1", "2")]
    failures = [make_failed_message(shop.org_id, NOON) for shop in shops]

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add(failures)
        await repos.failed_messages.add(
            [replace(failure, id=FailedMessageId(new_id())) for failure in failures]
        )

    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == failures


async def test_due_failures_are_claimed_once_until_the_claim_ends(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    past, now, future = (
        make_failed_message(shop.org_id, due_at, digest)
        for digest, due_at in {
            "a": NOON - timedelta(days=1),
            "b": NOON,
            "c": NOON + timedelta(seconds=1),
        }.items()
    )
    resolved = make_failed_message(shop.org_id, NOON, "e")
    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([past, now, future, resolved])
        await repos.failed_messages.resolve(resolved.id, NOON)

    async def claim(at: datetime, limit: int = 10) -> list[FailedMessageId]:
        async with transactions.begin(Operator()) as repos:
            failures = await repos.failed_messages.claim_due(at, at + CLAIM_DURATION, limit)
        return [failure.id for failure in failures]

    assert await claim(NOON) == [past.id, now.id]
    assert await claim(NOON) == []
    assert await claim(NOON + CLAIM_DURATION / 2) == [future.id]
    assert await claim(NOON + CLAIM_DURATION, limit=1) in ([past.id], [now.id])
    assert len(await claim(NOON + CLAIM_DURATION)) == 1


async def test_failed_messages_are_listed_by_organisation(transactions: Transactions) -> None:
    shops = [await create_shop(transactions, number) for number in ("1", "2")]
    first, second = (
        replace(
            make_failed_message(shop.org_id, NOON, ""),
            payload={"entry": [None, "é"]},
            error="`sender.id` is missing",
        )
        for shop in shops
    )

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([first, second])

    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_for_organization(first.org_id) == [first]
        assert await repos.failed_messages.list_all() == [first, second]


async def test_failures_without_digest_are_all_stored(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    failures = [make_failed_message(shop.org_id, NOON, digest="") for _ in range(2)]

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add(failures[:1])
        await repos.failed_messages.add(failures[1:])
        assert await repos.failed_messages.list_all() == failures


async def test_failures_of_one_digest_in_one_batch_are_stored_once(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    first, second = (make_failed_message(shop.org_id, NOON) for _ in range(2))

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([first, second])
        assert await repos.failed_messages.list_all() == [first]


async def test_failures_that_are_due_longest_are_claimed(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    two_minutes, one_minute, three_minutes = (
        make_failed_message(shop.org_id, NOON - timedelta(minutes=minutes), str(minutes))
        for minutes in (2, 1, 3)
    )
    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([two_minutes, one_minute, three_minutes])
    until = NOON + CLAIM_DURATION

    async with transactions.begin(Operator()) as repos:
        claimed = await repos.failed_messages.claim_due(NOON, until, 2)

    assert claimed == [
        replace(two_minutes, next_attempt_at=until),
        replace(three_minutes, next_attempt_at=until),
    ]
    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == [claimed[0], one_minute, claimed[1]]


async def test_update_writes_error_attempts_and_next_attempt_only(
    transactions: Transactions,
) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    failure = make_failed_message(shop.org_id, NOON)
    changed = replace(
        failure,
        org_id=other.org_id,
        payload={"a": 1},
        digest="another",
        error="another",
        attempts=7,
        next_attempt_at=NOON + timedelta(hours=1),
    )

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([failure])
        await repos.failed_messages.update(changed)

    expected = replace(changed, org_id=shop.org_id, payload={}, digest="d")
    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == [expected]


async def test_resolved_failure_never_returns(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    failure = make_failed_message(shop.org_id, NOON)
    later = NOON + timedelta(days=1)
    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([failure])
        await repos.failed_messages.resolve(failure.id, NOON)

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.resolve(failure.id, later)
        await repos.failed_messages.update(replace(failure, error="again", attempts=2))

    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == []
        assert await repos.failed_messages.list_for_organization(shop.org_id) == []
        assert await repos.failed_messages.claim_due(later, later, 10) == []


async def test_failure_of_a_resolved_digest_is_stored_again(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    failure, again = (make_failed_message(shop.org_id, NOON) for _ in range(2))

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([failure])
        await repos.failed_messages.resolve(failure.id, NOON)
        await repos.failed_messages.add([again])
        assert await repos.failed_messages.list_all() == [again]


async def test_unknown_failure_is_neither_updated_nor_resolved(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    failure, unknown = (make_failed_message(shop.org_id, NOON, digest) for digest in "ab")

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([failure])
        await repos.failed_messages.resolve(unknown.id, NOON)
        await repos.failed_messages.update(replace(unknown, error="again"))
        assert await repos.failed_messages.list_all() == [failure]
