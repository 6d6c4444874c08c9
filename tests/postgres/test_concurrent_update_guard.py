"""A lost write raises SQLSTATE LP001, which becomes ConcurrentUpdate."""

from collections.abc import AsyncIterator

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.errors import InsufficientPrivilege

from application.errors import ConcurrentUpdate, StorageRefused
from application.ports.storage import Transactions
from domain.actor import Operator, WebhookWriter
from infrastructure.postgres.contacts import ADD_CONTACTS
from infrastructure.postgres.pools import INGEST_CONNECTION_SETTINGS, INGEST_ROLE, open_pool
from infrastructure.postgres.session import PostgresSession
from infrastructure.postgres.transactions import PostgresTransactions
from tests.support.builders import create_shop
from tests.support.database import share_pool
from tests.support.entities import make_contact
from tests.support.rls_fixtures import Db, act_as

GUARD = "leadport_raise_concurrent_update()"


@pytest.fixture
async def ingest_transactions(database_url: str) -> AsyncIterator[PostgresTransactions]:
    """Transactions with the privileges of the webhook writer, and no others."""
    pool = open_pool(database_url, role=INGEST_ROLE, settings=INGEST_CONNECTION_SETTINGS)
    yield PostgresTransactions(share_pool(pool), timeout_seconds=60)
    await pool.dispose()


async def test_statement_that_writes_too_few_rows_raises_lp001(
    postgres_transactions: Transactions, ingest_transactions: PostgresTransactions
) -> None:
    shop = await create_shop(postgres_transactions)
    two_of_one_phone = [make_contact(shop), make_contact(shop)]

    async with ingest_transactions.pools[WebhookWriter].connect() as connection:
        session = PostgresSession(connection)
        session.defer_write(ADD_CONTACTS, two_of_one_phone)
        with pytest.raises(psycopg.Error) as error:
            await session.commit()

    assert error.value.sqlstate == "LP001"


async def test_lp001_becomes_a_concurrent_update(
    postgres_transactions: Transactions, ingest_transactions: PostgresTransactions
) -> None:
    shop = await create_shop(postgres_transactions)
    contacts = [make_contact(shop), make_contact(shop)]

    with pytest.raises(ConcurrentUpdate, match="LP001"):
        async with ingest_transactions.begin(WebhookWriter()) as repos:
            await repos.contacts.add({contact.id: contact for contact in contacts}, {})


def test_ingest_role_may_call_the_guard(db: Db) -> None:
    act_as(db, INGEST_ROLE)

    with pytest.raises(psycopg.Error) as error:
        db.execute(f"SELECT {GUARD}")

    assert error.value.sqlstate == "LP001"


@pytest.mark.parametrize("role", ["authenticated", "leadport_auth"])
def test_other_roles_may_not_call_the_guard(db: Db, role: str) -> None:
    act_as(db, role)

    with pytest.raises(InsufficientPrivilege):
        db.execute(f"SELECT {GUARD}")


def test_public_has_no_privilege_on_the_guard(db: Db) -> None:
    grantees = db.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END"
        " FROM pg_proc, aclexplode(proacl)"
        " WHERE oid = %s::regprocedure AND grantee <> proowner",
        [GUARD],
    ).fetchall()

    assert grantees == [(INGEST_ROLE,)]


async def test_division_by_zero_is_refused_and_not_retried(
    postgres_transactions: Transactions,
) -> None:
    with pytest.raises(StorageRefused, match="DivisionByZero"):
        async with postgres_transactions.begin(Operator()) as repos:
            session: PostgresSession = repos.organizations.session  # type: ignore[attr-defined]
            await session.execute(sa.text("SELECT 1 / 0"))
