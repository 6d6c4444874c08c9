"""Lists the organisations of a person."""

from dataclasses import dataclass

from application.ports.storage import Transactions
from domain.actor import SignedInUser
from domain.organization import Membership


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """Lists a signed-in person's organisations with their role in each."""

    transactions: Transactions

    async def __call__(self, actor: SignedInUser) -> list[Membership]:
        """Return all memberships, oldest first; an empty list for a person without any."""
        async with self.transactions.begin(actor) as repos:
            return await repos.organizations.list_for_user(actor.user_id)
