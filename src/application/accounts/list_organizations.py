"""Where a person is a member."""

from dataclasses import dataclass

from application.ports.storage import Transactions
from domain.organization import Membership, UserId


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """Shows a person's organisations, and the role in each."""

    transactions: Transactions

    async def __call__(self, person: UserId) -> list[Membership]:
        """Return them all, oldest first; none for somebody who is in none."""
        async with self.transactions.begin(person) as repos:
            return await repos.organizations.list_for_user(person)
