"""Which adapter stands behind which port: a table of constructors, and nothing else."""

import uuid_utils.compat
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Object, Selector, Singleton

from application.add_member import AddMember, Join
from application.create_organization import CreateOrganization
from application.ingest_messages import IngestMessages
from application.list_connections import ListConnections
from application.remove_connection import RemoveConnection
from application.upsert_connection import UpsertConnection
from application.use_cases import UseCases
from application.verify_webhook import VerifyWebhook
from infrastructure.clock import SystemClock
from infrastructure.insights.dummy import DummyInsights
from infrastructure.memory import MemoryTransactions
from infrastructure.passwords import Argon2PasswordHasher
from infrastructure.postgres.transactions import PostgresTransactions, open_pool
from leadport.settings import Settings


class Container(DeclarativeContainer):
    """Everything is made once, when it is first asked for; use cases hold no state."""

    settings = Singleton(Settings.read)
    clock = Singleton(SystemClock)
    new_id = Object(uuid_utils.compat.uuid7)

    engine = Singleton(open_pool, settings.provided.database_url)
    transactions = Selector(
        settings.provided.storage,
        postgres=Singleton(PostgresTransactions, engine),
        memory=Singleton(MemoryTransactions),
    )
    insights = Selector(settings.provided.insight_provider, dummy=Singleton(DummyInsights))
    join = Singleton(Join, Singleton(Argon2PasswordHasher), new_id)

    use_cases = Singleton(
        UseCases,
        verify_webhook=Singleton(
            VerifyWebhook, settings.provided.verify_token, settings.provided.app_secrets
        ),
        ingest_messages=Singleton(IngestMessages, transactions, insights, clock, new_id),
        upsert_connection=Singleton(UpsertConnection, transactions, new_id),
        list_connections=Singleton(ListConnections, transactions),
        remove_connection=Singleton(RemoveConnection, transactions),
        create_organization=Singleton(CreateOrganization, transactions, join, new_id),
        add_member=Singleton(AddMember, transactions, join),
        transactions=transactions,
        clock=clock,
    )
