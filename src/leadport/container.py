"""The container: a table of constructors that says which adapter implements which port."""

import uuid_utils.compat
from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dict, Object, Selector, Singleton

from application.accounts.add_member import AddMember, MembershipWriter
from application.accounts.create_organization import CreateOrganization
from application.accounts.list_organizations import ListOrganizations
from application.accounts.manage_users import IssueToken, ResetPassword
from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.connections.get_connection import GetConnection
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
from application.queries import (
    CheckStorage,
    ListAllOrganizations,
    ListFailedMessages,
    ListLatestLeads,
    ListUnmatchedTraffic,
)
from application.recovery.drain_spool import DrainSpool
from application.recovery.retry_failed_messages import RetryFailedMessages
from application.recovery.run_maintenance import RunMaintenance
from application.recovery.store_failed_messages import StoreFailedMessages
from application.use_cases import UseCases
from domain.actor import Authenticator, Operator, SignedInUser, WebhookWriter
from infrastructure.clock import SystemClock
from infrastructure.insights.dummy import DummyInsights
from infrastructure.memory import MemoryTransactions
from infrastructure.password_hasher import Argon2PasswordHasher
from infrastructure.postgres.pools import (
    AUTH_ROLE,
    INGEST_CONNECTION_SETTINGS,
    INGEST_ROLE,
    PEOPLE_ROLE,
    open_pool,
)
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
    """Every object is made once, when it is first asked for; a use case keeps no state between requests.

    The service has no pool that acts as the owner of the database: its `pools` lack an operator.
    Operators' commands override `pools` by `operator_pools` (D26).
    """

    settings = Singleton(Settings.read)
    clock = Singleton(SystemClock)
    new_id = Object(uuid_utils.compat.uuid7)  # ids sort by time (D40)

    database_url = settings.provided.database_url
    ingest_pool = Singleton(
        open_pool, database_url, role=INGEST_ROLE, settings=INGEST_CONNECTION_SETTINGS
    )
    auth_pool = Singleton(open_pool, database_url, role=AUTH_ROLE)
    people_pool = Singleton(open_pool, database_url, role=PEOPLE_ROLE)
    pools = Dict({WebhookWriter: ingest_pool, Authenticator: auth_pool, SignedInUser: people_pool})
    operator_pools = Dict(
        {
            WebhookWriter: ingest_pool,
            Authenticator: auth_pool,
            SignedInUser: people_pool,
            Operator: Singleton(open_pool, database_url),
        }
    )

    memory = Singleton(MemoryTransactions)
    transactions = Selector(
        settings.provided.storage,
        postgres=Singleton(PostgresTransactions, pools),
        memory=memory,
    )

    insights = Selector(settings.provided.insight_provider, dummy=Singleton(DummyInsights))
    token_cipher = Singleton(AesGcmTokenCipher, settings.provided.encryption_keys)
    passwords = Singleton(Argon2PasswordHasher)
    tokens = Singleton(
        JwtSessionTokens.create, clock, settings.provided.jwt_secret, settings.provided.jwks_url
    )
    sign_in_throttle = Singleton(MovingWindowSignInThrottle)
    spool = Singleton(SqliteSpool, settings.provided.spool_file, settings.provided.spool_bytes)
    parser = Singleton(MetaDeliveryParser, Singleton(PlaceholderText, settings.provided.language))
    webhook_verifier = Singleton(
        WebhookVerifier, settings.provided.verify_token, settings.provided.app_secrets
    )

    # Ingestion
    describe_messages = Singleton(DescribeMessages, insights, clock)
    store_failed_messages = Singleton(StoreFailedMessages, transactions, clock, new_id)
    ingest_messages = Singleton(
        IngestMessages, transactions, describe_messages, store_failed_messages, clock, new_id
    )
    apply_changes = Singleton(ApplyChanges, transactions, store_failed_messages, new_id)
    store_deliveries = Singleton(StoreDeliveries, ingest_messages, apply_changes)
    breaker = Singleton(CircuitBreaker, transactions.provided.check_ready)
    delivery_queue = Singleton(DeliveryQueue, store_deliveries)
    delivery_timeouts = Singleton(DeliveryTimeouts, breaker)

    # Recovery
    drain_spool = Singleton(DrainSpool, spool, parser, store_deliveries)
    retry_failed_messages = Singleton(
        RetryFailedMessages, transactions, parser, ingest_messages, apply_changes, clock
    )

    # Accounts
    membership_writer = Singleton(MembershipWriter, passwords, new_id)

    use_cases = Singleton(
        UseCases,
        receive_delivery=Singleton(
            ReceiveDelivery, delivery_queue, spool, breaker, delivery_timeouts
        ),
        run_maintenance=Singleton(RunMaintenance, breaker, drain_spool, retry_failed_messages),
        upsert_connection=Singleton(UpsertConnection, transactions, token_cipher, new_id),
        list_connections=Singleton(ListConnections, transactions, clock),
        get_connection=Singleton(GetConnection, transactions, clock),
        remove_connection=Singleton(RemoveConnection, transactions),
        rotate_keys=Singleton(RotateKeys, transactions, token_cipher),
        list_organizations=Singleton(ListOrganizations, transactions),
        sign_in=Singleton(SignIn, transactions, passwords, tokens, sign_in_throttle),
        read_session=Singleton(ReadSession, transactions, tokens),
        sign_out=Singleton(SignOut, transactions),
        create_organization=Singleton(CreateOrganization, transactions, membership_writer, new_id),
        add_member=Singleton(AddMember, transactions, membership_writer),
        reset_password=Singleton(ResetPassword, transactions, passwords),
        issue_token=Singleton(IssueToken, transactions, tokens),
        retry_failed_messages=retry_failed_messages,
        list_all_organizations=Singleton(ListAllOrganizations, transactions),
        list_latest_leads=Singleton(ListLatestLeads, transactions),
        list_failed_messages=Singleton(ListFailedMessages, transactions),
        list_unmatched_traffic=Singleton(ListUnmatchedTraffic, transactions),
        check_storage=Singleton(CheckStorage, transactions),
        clock=clock,
    )
