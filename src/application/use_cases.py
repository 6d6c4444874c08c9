"""All the service can do: read this first."""

from dataclasses import dataclass

from application.accounts.add_member import AddMember
from application.accounts.create_organization import CreateOrganization
from application.accounts.list_organizations import ListOrganizations
from application.accounts.manage_users import IssueToken, ResetPassword
from application.accounts.sign_in import ReadSession, SignIn, SignOut
from application.connections.list_connections import ListConnections
from application.connections.remove_connection import RemoveConnection
from application.connections.rotate_keys import RotateKeys
from application.connections.upsert_connection import UpsertConnection
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.clock import Clock
from application.ports.storage import Transactions
from application.recovery.retry_failed_messages import RetryFailedMessages
from application.recovery.run_maintenance import RunMaintenance


@dataclass(frozen=True, slots=True)
class UseCases:
    """What interfaces are given.

    `transactions` is for reading what needs no decision: a list of leads, whether the storage
    answers.
    """

    receive_delivery: ReceiveDelivery
    run_maintenance: RunMaintenance
    retry_failed_messages: RetryFailedMessages
    upsert_connection: UpsertConnection
    list_connections: ListConnections
    remove_connection: RemoveConnection
    list_organizations: ListOrganizations
    sign_in: SignIn
    read_session: ReadSession
    sign_out: SignOut
    create_organization: CreateOrganization
    add_member: AddMember
    reset_password: ResetPassword
    issue_token: IssueToken
    rotate_keys: RotateKeys
    transactions: Transactions
    clock: Clock
