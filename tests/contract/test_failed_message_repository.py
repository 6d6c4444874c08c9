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
