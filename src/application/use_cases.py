"""The index of the use cases: everything that the service can do, and what interfaces are given."""

from dataclasses import dataclass

from application.accounts.add_member import AddMember
from application.accounts.create_organization import CreateOrganization
from application.accounts.list_organizations import ListOrganizations
from application.accounts.manage_users import IssueToken, ResetPassword
from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.connections.get_connection import GetConnection
from application.connections.list_connections import ListConnections
from application.connections.remove_connection import RemoveConnection
from application.connections.rotate_keys import RotateKeys
from application.connections.upsert_connection import UpsertConnection
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.clock import Clock
from application.queries import (
    CheckStorage,
    ListAllOrganizations,
    ListFailedMessages,
    ListLatestLeads,
    ListUnmatchedTraffic,
)
from application.recovery.retry_failed_messages import RetryFailedMessages
from application.recovery.run_maintenance import RunMaintenance


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases and queries. Interfaces call nothing else of the application."""

    # Delivery and maintenance
    receive_delivery: ReceiveDelivery
    run_maintenance: RunMaintenance
    # Connections
    upsert_connection: UpsertConnection
    list_connections: ListConnections
    get_connection: GetConnection
    remove_connection: RemoveConnection
    rotate_keys: RotateKeys
    # Accounts
    list_organizations: ListOrganizations
    sign_in: SignIn
    read_session: ReadSession
    sign_out: SignOut
    create_organization: CreateOrganization
    add_member: AddMember
    reset_password: ResetPassword
    issue_token: IssueToken
    # Operations
    retry_failed_messages: RetryFailedMessages
    list_all_organizations: ListAllOrganizations
    list_latest_leads: ListLatestLeads
    list_failed_messages: ListFailedMessages
    list_unmatched_traffic: ListUnmatchedTraffic
    check_storage: CheckStorage
    clock: Clock
