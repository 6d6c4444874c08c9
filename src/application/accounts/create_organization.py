"""Creates an organisation with its owner."""

from dataclasses import dataclass

from application.accounts.add_member import MembershipResult, MembershipWriter
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.errors import FieldError, InvalidInput
from domain.ids import NewId
from domain.organization import Organization, OrgId, Role, normalize_email


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """Creates organisations."""

    transactions: Transactions
    memberships: MembershipWriter
    new_id: NewId

    async def __call__(
        self, name: str, owner_email: str, *, password: str | None = None
    ) -> MembershipResult:
        """Create the organisation; a new owner gets `password`, or a generated one.

        Raises InvalidInput for an empty name or a wrong address.
        """
        name, email = name.strip(), normalize_email(owner_email)
        if not name:
            raise InvalidInput(FieldError("name", "must not be empty"))
        async with self.transactions.begin(Operator()) as repos:
            organization = Organization(id=OrgId(self.new_id()), name=name)
            await repos.organizations.add(organization)
            return await self.memberships.write(repos, organization.id, email, Role.OWNER, password)
