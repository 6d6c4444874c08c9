"""Ingestion over PostgreSQL: refused rows, the number of statements, deletion, an outage."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg import AsyncCursor

from application.errors import StorageUnavailable
from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from domain.actor import Operator
from infrastructure.postgres import tables
from infrastructure.postgres.pools import open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from tests.support.builders import (
    create_shop,
    make_apply_changes,
    make_edit,
    make_ingestion,
    make_message,
)
from tests.support.database import share_pool
from tests.support.stored_rows import open_stored_rows


async def test_deleting_an_organisation_deletes_its_rows_in_every_table(
    postgres_transactions: Transactions,
) -> None:
    """Some rows have a foreign key to the organisation, others to a row that has one."""
    assert isinstance(postgres_transactions, PostgresTransactions)
    await create_shop(postgres_transactions)
    message = make_message()
    await make_ingestion(postgres_transactions)([message])
    await make_apply_changes(postgres_transactions)([make_edit(message, "edited")])

    async with postgres_transactions.pools[Operator].begin() as db:
        await db.execute(sa.delete(tables.organizations))
        remaining = {
            table.name: await db.scalar(sa.select(sa.func.count()).select_from(table))
            for table in tables.metadata.sorted_tables
            if "org_id" in table.c
        }

    assert not any(remaining.values())


async def set_rule(transactions: Transactions, rule: str) -> None:
    """Let the database refuse every message that breaks the rule; an empty rule ends that."""
    assert isinstance(transactions, PostgresTransactions)
    async with transactions.pools[Operator].begin() as db:
        await db.exec_driver_sql(
            "ALTER TABLE conversation_messages DROP CONSTRAINT IF EXISTS test_rule"
        )
        if rule:
            await db.exec_driver_sql(
                f"ALTER TABLE conversation_messages ADD CONSTRAINT test_rule CHECK ({rule})"
            )


async def test_message_that_the_database_refuses_fails_alone(
    postgres_transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await create_shop(postgres_transactions)
    ingest = make_ingestion(postgres_transactions)
    delivery = [make_message(f"message {n}", by=str(n), minute=n) for n in range(100)]
    delivery[41] = replace(delivery[41], body="poison")

    await set_rule(postgres_transactions, "body <> 'poison'")
    try:
        counters = await ingest(delivery)
    finally:
        await set_rule(postgres_transactions, "")

    assert counters == Counters(received=100, ingested=99, skipped=0, failed=1)
    async with postgres_transactions.begin(Operator()) as repos:
        (failure,) = await repos.failed_messages.list_for_organization(shop.org_id)
    assert failure.payload == delivery[41].payload
    assert failure.error == "CheckViolation (23514) conversation_messages test_rule"
    assert "poison" not in caplog.text + failure.error
    # No contact of the failed message was added.
    assert len(await open_stored_rows(postgres_transactions).contacts()) == 99


async def test_thousand_messages_need_as_many_statements_as_one(
    postgres_transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_shop(postgres_transactions)
    ingest = make_ingestion(postgres_transactions)
    statements: Counter[str] = Counter()
    execute = AsyncCursor.execute

    async def count_and_execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Count statements by their first word. BEGIN does not come this way."""
        statements[str(query).split(maxsplit=1)[0]] += 1
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(AsyncCursor, "execute", count_and_execute)
    for day, messages in enumerate((1, 1000)):
        statements.clear()
        delivery = [make_message(by=f"{day}{n}", minute=n) for n in range(messages)]
        assert (await ingest(delivery)).ingested == messages

        assert statements == {"SELECT": 1, "WITH": 2, "COMMIT": 1}  # a lock, a read, a write


async def test_unreachable_server_is_unavailable() -> None:
    engine = open_pool("postgresql://owner@127.0.0.1:1/leadport")

    with pytest.raises(StorageUnavailable):
        await make_ingestion(PostgresTransactions(share_pool(engine)))([make_message()])

    await engine.dispose()
