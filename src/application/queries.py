"""Read-only queries (D15): organisations, leads, failed messages, unmatched traffic, readiness."""

from dataclasses import dataclass

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.failed_message import FailedMessage
from domain.lead import Lead
from domain.organization import Organization, OrgId
from domain.unmatched import UnmatchedTraffic


@dataclass(frozen=True, slots=True)
class ListAllOrganizations:
    """Lists every organisation for an operator."""

    transactions: Transactions

    async def __call__(self) -> list[Organization]:
        """Return them, oldest first."""
        async with self.transactions.begin(Operator()) as repos:
            return await repos.organizations.list_all()


@dataclass(frozen=True, slots=True)
class ListLatestLeads:
    """Lists captured leads for an operator."""

    transactions: Transactions

    async def __call__(self, org_id: OrgId | None, limit: int) -> list[Lead]:
        """Return the newest `limit` leads, newest last; of all organisations where it is None."""
        async with self.transactions.begin(Operator()) as repos:
            return await repos.leads.list_latest(org_id, limit)


@dataclass(frozen=True, slots=True)
class ListFailedMessages:
    """Lists unresolved failed messages for an operator."""

    transactions: Transactions

    async def __call__(self, org_id: OrgId | None = None) -> list[FailedMessage]:
        """Return them, oldest first; those of all organisations where it is None."""
        async with self.transactions.begin(Operator()) as repos:
            if org_id is None:
                return await repos.failed_messages.list_all()
            return await repos.failed_messages.list_for_organization(org_id)


@dataclass(frozen=True, slots=True)
class ListUnmatchedTraffic:
    """Lists the traffic of addresses without an enabled connection, for an operator."""

    transactions: Transactions

    async def __call__(self) -> list[UnmatchedTraffic]:
        """Return the traffic of each address, the latest first."""
        async with self.transactions.begin(Operator()) as repos:
            return await repos.unmatched.list_all()


@dataclass(frozen=True, slots=True)
class CheckStorage:
    """Checks whether messages can be stored now."""

    transactions: Transactions

    async def __call__(self) -> None:
        """Return if they can.

        Raises StorageUnavailable, SchemaOutdated or StorageRefused, whose text says why not.
        """
        await self.transactions.check_ready()
