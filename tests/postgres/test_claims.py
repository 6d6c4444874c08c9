"""Concurrent workers claim different failed messages."""

from application.ports.storage import Transactions
from application.recovery.retry_failed_messages import CLAIM_DURATION
from domain.actor import Operator
from tests.support.builders import NOON, create_shop
from tests.support.entities import make_failed_message


async def test_concurrent_claims_get_different_failures_without_waiting(
    postgres_transactions: Transactions,
) -> None:
    shop = await create_shop(postgres_transactions)
    failures = [make_failed_message(shop.org_id, NOON, str(n)) for n in range(5)]
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
