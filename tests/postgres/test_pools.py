"""Each connection pool acts as its own database role, and drops lost connections."""

from collections.abc import AsyncIterator

import psycopg
import pytest
import sqlalchemy as sa

from application.errors import StorageUnavailable
from application.ports.storage import Transactions
from domain.actor import SignedInUser
from domain.organization import UserId
from infrastructure.postgres.transactions import PostgresTransactions
from leadport.container import Container
from leadport.settings import Settings
from tests.support.builders import create_shop, make_ingestion, make_message, new_id

READ_IDENTITY = sa.text("""
    SELECT current_user, rolsuper, rolbypassrls,
        EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid) AS owns_something,
        coalesce(current_setting('request.jwt.claims', true), '') AS claims
    FROM pg_roles WHERE rolname = current_user
""")


@pytest.fixture
async def container(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Container]:
    data_dir = str(tmp_path_factory.mktemp("data"))
    container = Container()
    container.settings.override(
        Settings.read({"DATABASE_URL": database_url, "LEADPORT_DATA_DIR": data_dir})
    )
    yield container
    for engine in container.pools().values():
        await engine.dispose()


@pytest.mark.parametrize(
    ("pool", "role"),
    [
        ("ingest_pool", "leadport_ingest"),
        ("people_pool", "authenticated"),
        ("auth_pool", "leadport_auth"),
    ],
)
async def test_each_pool_acts_as_its_own_role_from_the_first_statement_on(
    container: Container, pool: str, role: str
) -> None:
    engine = getattr(container, pool)()
    for _ in range(3):
        async with engine.connect() as db:
            assert (await db.execute(READ_IDENTITY)).one() == (role, False, False, False, "")


async def test_claims_of_a_person_end_with_the_transaction(container: Container) -> None:
    transactions: PostgresTransactions = container.transactions()
    person = UserId(new_id())

    async with transactions.begin(SignedInUser(person)) as repos:
        db = repos.organizations.session  # type: ignore[attr-defined]
        user, *_, claims = (await db.execute(READ_IDENTITY)).one()
        uid = (await db.execute(sa.text("SELECT auth.uid()"))).scalar()
    async with transactions.pools[SignedInUser].connect() as again:
        after = (await again.execute(READ_IDENTITY)).one()

    assert (user, uid) == ("authenticated", person)
    assert str(person) in claims
    assert after == ("authenticated", False, False, False, "")


TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_lost_connection_is_not_used_again(
    container: Container, database_url: str, postgres_transactions: Transactions
) -> None:
    await create_shop(postgres_transactions)
    ingest = make_ingestion(container.transactions())
    await ingest([make_message()])
    with psycopg.connect(database_url) as operator:
        operator.execute(TERMINATE)

    with pytest.raises(StorageUnavailable):
        await ingest([make_message()])

    assert (await ingest([make_message()])).ingested == 1
