"""Which adapter stands behind which port: a table of constructors, and nothing else."""

import uuid_utils.compat
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import List, Object, Selector, Singleton

from application.accounts.add_member import AddMember, Join
from application.accounts.create_organization import CreateOrganization
from application.accounts.list_organizations import ListOrganizations
from application.accounts.manage_users import IssueToken, ResetPassword
from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.connections.list_connections import ListConnections
from application.connections.remove_connection import RemoveConnection
from application.connections.rotate_keys import RotateKeys
from application.connections.upsert_connection import UpsertConnection
from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.circuit_breaker import Breaker
from application.ingestion.delivery_queue import GroupCommit, Patience
from application.ingestion.describe_messages import Describe
from application.ingestion.ingest_messages import IngestMessages
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ingestion.store_deliveries import StoreDeliveries
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailed
from application.recovery.run_maintenance import Upkeep
from application.recovery.store_failed_messages import KeepFailed
from application.use_cases import UseCases
from application.verify_webhook import VerifyWebhook
from infrastructure.clock import SystemClock
from infrastructure.insights.dummy import DummyInsights
from infrastructure.memory import MemoryTransactions
from infrastructure.password_hasher import Argon2PasswordHasher
from infrastructure.postgres.pools import PEOPLE, SIGN_IN, WEBHOOK, open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from infrastructure.session_tokens import JwtSessionTokens
from infrastructure.sign_in_throttle import MovingWindowAttemptLimit
from infrastructure.spool import SqliteSpool
from infrastructure.token_cipher import AesGcmSeal
from interfaces.meta.delivery import Reader
from interfaces.meta.placeholders import Wording
from leadport.settings import Settings


class Container(DeclarativeContainer):
    """Everything is made once, when it is first asked for; use cases hold no state.

    No pool acts as the database's owner, unless an operator's command overrides `role` with None.
    """

    settings = Singleton(Settings.read)
    clock = Singleton(SystemClock)
    new_id = Object(uuid_utils.compat.uuid7)

    role = Object(WEBHOOK)
    database_url = settings.provided.database_url
    engine = Singleton(open_pool, database_url, role=role)
    people_engine = Singleton(open_pool, database_url, role=PEOPLE)
    sign_in_engine = Singleton(open_pool, database_url, role=SIGN_IN)
    engines = List(engine, people_engine, sign_in_engine)

    memory = Singleton(MemoryTransactions)
    transactions = Selector(
        settings.provided.storage,
        postgres=Singleton(PostgresTransactions, engine, people_engine),
        memory=memory,
    )
    sign_in_transactions = Selector(
        settings.provided.storage,
        postgres=Singleton(PostgresTransactions, sign_in_engine),
        memory=memory,
    )

    insights = Selector(settings.provided.insight_provider, dummy=Singleton(DummyInsights))
    seal = Singleton(AesGcmSeal, settings.provided.seal_keys)
    passwords = Singleton(Argon2PasswordHasher)
    tokens = Singleton(
        JwtSessionTokens.of, clock, settings.provided.jwt_secret, settings.provided.jwks_url
    )
    spool = Singleton(SqliteSpool, settings.provided.spool_file, settings.provided.spool_bytes)
    read = Singleton(Reader, Singleton(Wording, settings.provided.language))
    breaker = Singleton(Breaker, transactions.provided.ready)

    keep_failed = Singleton(KeepFailed, transactions, clock, new_id)
    ingest_messages = Singleton(
        IngestMessages, transactions, Singleton(Describe, insights, clock), keep_failed, new_id
    )
    apply_changes = Singleton(ApplyChanges, transactions, keep_failed, new_id)
    store_deliveries = Singleton(StoreDeliveries, ingest_messages, apply_changes)
    retry_failed = Singleton(
        RetryFailed, transactions, read, ingest_messages, apply_changes, keep_failed, clock
    )
    join = Singleton(Join, passwords, new_id)

    use_cases = Singleton(
        UseCases,
        verify_webhook=Singleton(
            VerifyWebhook, settings.provided.verify_token, settings.provided.app_secrets
        ),
        receive_delivery=Singleton(
            ReceiveDelivery,
            Singleton(GroupCommit, store_deliveries),
            spool,
            breaker,
            Singleton(Patience, breaker),
        ),
        upkeep=Singleton(
            Upkeep, breaker, Singleton(DrainSpool, spool, read, store_deliveries), retry_failed
        ),
        retry_failed=retry_failed,
        upsert_connection=Singleton(UpsertConnection, transactions, seal, new_id),
        list_connections=Singleton(ListConnections, transactions, clock),
        remove_connection=Singleton(RemoveConnection, transactions),
        list_organizations=Singleton(ListOrganizations, transactions),
        sign_in=Singleton(
            SignIn, sign_in_transactions, passwords, tokens, Singleton(MovingWindowAttemptLimit)
        ),
        read_session=Singleton(ReadSession, sign_in_transactions, tokens),
        sign_out=Singleton(SignOut, sign_in_transactions),
        create_organization=Singleton(CreateOrganization, transactions, join, new_id),
        add_member=Singleton(AddMember, transactions, join),
        reset_password=Singleton(ResetPassword, transactions, passwords),
        issue_token=Singleton(IssueToken, transactions, tokens),
        rotate_keys=Singleton(RotateKeys, transactions, seal),
        transactions=transactions,
        clock=clock,
    )
