"""All the service can do: read this first."""

from dataclasses import dataclass

from application.add_member import AddMember
from application.create_organization import CreateOrganization
from application.list_connections import ListConnections
from application.list_organizations import ListOrganizations
from application.manage_users import IssueToken, ResetPassword
from application.ports import Clock, Transactions
from application.receive_delivery import ReceiveDelivery
from application.remove_connection import RemoveConnection
from application.retry_failed import RetryFailed
from application.rotate_keys import RotateKeys
from application.sign_in import ReadSession, SignIn, SignOut
from application.upkeep import Upkeep
from application.upsert_connection import UpsertConnection
from application.verify_webhook import VerifyWebhook


@dataclass(frozen=True, slots=True)
class UseCases:
    """What interfaces are given.

    `transactions` is for reading what needs no decision: a list of leads, whether the storage
    answers.
    """

    verify_webhook: VerifyWebhook
    receive_delivery: ReceiveDelivery
    upkeep: Upkeep
    retry_failed: RetryFailed
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
