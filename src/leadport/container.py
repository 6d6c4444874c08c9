"""Which adapter stands behind which port: a table of constructors, and nothing else."""

import uuid_utils.compat
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import List, Object, Selector, Singleton

from application.accounts.add_member import AddMember, MembershipWriter
from application.accounts.create_organization import CreateOrganization
from application.accounts.list_organizations import ListOrganizations
from application.accounts.manage_users import IssueToken, ResetPassword
from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.connections.list_connections import ListConnections
from application.connections.remove_connection import RemoveConnection
from application.connections.rotate_keys import RotateKeys
from application.connections.upsert_connection import UpsertConnection
from application.ingestion.apply_changes import ApplyChanges
from application.ingestion.circuit_breaker import CircuitBreaker
from application.ingestion.delivery_queue import DeliveryQueue, DeliveryTimeouts
from application.ingestion.describe_messages import DescribeMessages
from application.ingestion.ingest_messages import IngestMessages
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ingestion.store_deliveries import StoreDeliveries
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailedMessages
from application.recovery.run_maintenance import RunMaintenance
from application.recovery.store_failed_messages import StoreFailedMessages
from application.use_cases import UseCases
from infrastructure.clock import SystemClock
from infrastructure.insights.dummy import DummyInsights
from infrastructure.memory import MemoryTransactions
from infrastructure.password_hasher import Argon2PasswordHasher
from infrastructure.postgres.pools import AUTH_ROLE, INGEST_ROLE, PEOPLE_ROLE, open_pool
from infrastructure.postgres.transactions import PostgresTransactions
from infrastructure.session_tokens import JwtSessionTokens
from infrastructure.sign_in_throttle import MovingWindowSignInThrottle
from infrastructure.spool import SqliteSpool
from infrastructure.token_cipher import AesGcmTokenCipher
from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.placeholders import PlaceholderText
from interfaces.meta.signature import WebhookVerifier
from leadport.settings import Settings


class Container(DeclarativeContainer):
    """Everything is made once, when it is first asked for; use cases hold no state.

    No pool acts as the database's owner, unless an operator's command overrides `role` with None.
    """

    settings = Singleton(Settings.read)
    clock = Singleton(SystemClock)
    new_id = Object(uuid_utils.compat.uuid7)

    role = Object(INGEST_ROLE)
    database_url = settings.provided.database_url
    engine = Singleton(open_pool, database_url, role=role)
    people_engine = Singleton(open_pool, database_url, role=PEOPLE_ROLE)
    sign_in_engine = Singleton(open_pool, database_url, role=AUTH_ROLE)
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
    token_cipher = Singleton(AesGcmTokenCipher, settings.provided.encryption_keys)
    passwords = Singleton(Argon2PasswordHasher)
    tokens = Singleton(
        JwtSessionTokens.of, clock, settings.provided.jwt_secret, settings.provided.jwks_url
    )
    spool = Singleton(SqliteSpool, settings.provided.spool_file, settings.provided.spool_bytes)
    parser = Singleton(MetaDeliveryParser, Singleton(PlaceholderText, settings.provided.language))
    webhook_verifier = Singleton(
        WebhookVerifier, settings.provided.verify_token, settings.provided.app_secrets
    )
    breaker = Singleton(CircuitBreaker, transactions.provided.check_ready)

    store_failed_messages = Singleton(StoreFailedMessages, transactions, clock, new_id)
    ingest_messages = Singleton(
        IngestMessages,
        transactions,
        Singleton(DescribeMessages, insights, clock),
        store_failed_messages,
        new_id,
    )
    apply_changes = Singleton(ApplyChanges, transactions, store_failed_messages, new_id)
    store_deliveries = Singleton(StoreDeliveries, ingest_messages, apply_changes)
    retry_failed_messages = Singleton(
        RetryFailedMessages,
        transactions,
        parser,
        ingest_messages,
        apply_changes,
        store_failed_messages,
        clock,
    )
    membership_writer = Singleton(MembershipWriter, passwords, new_id)

    use_cases = Singleton(
        UseCases,
        receive_delivery=Singleton(
            ReceiveDelivery,
            Singleton(DeliveryQueue, store_deliveries),
            spool,
            breaker,
            Singleton(DeliveryTimeouts, breaker),
        ),
        run_maintenance=Singleton(
            RunMaintenance,
            breaker,
            Singleton(DrainSpool, spool, parser, store_deliveries),
            retry_failed_messages,
        ),
        retry_failed_messages=retry_failed_messages,
        upsert_connection=Singleton(UpsertConnection, transactions, token_cipher, new_id),
        list_connections=Singleton(ListConnections, transactions, clock),
        remove_connection=Singleton(RemoveConnection, transactions),
        list_organizations=Singleton(ListOrganizations, transactions),
        sign_in=Singleton(
            SignIn, sign_in_transactions, passwords, tokens, Singleton(MovingWindowSignInThrottle)
        ),
        read_session=Singleton(ReadSession, sign_in_transactions, tokens),
        sign_out=Singleton(SignOut, sign_in_transactions),
        create_organization=Singleton(CreateOrganization, transactions, membership_writer, new_id),
        add_member=Singleton(AddMember, transactions, membership_writer),
        reset_password=Singleton(ResetPassword, transactions, passwords),
        issue_token=Singleton(IssueToken, transactions, tokens),
        rotate_keys=Singleton(RotateKeys, transactions, token_cipher),
        transactions=transactions,
        clock=clock,
    )
