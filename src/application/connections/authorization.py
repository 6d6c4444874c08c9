"""Who may manage an organisation's connections."""

from application.ports.storage import Repositories
from domain.errors import Forbidden, NotFound
from domain.organization import OrgId, UserId


async def require_manager(repos: Repositories, org_id: OrgId, person: UserId | None) -> None:
    """Let owners and admins pass, and operators (None).

    Raises Forbidden for everybody else, whether there is such an organisation or not, and
    NotFound where an operator names one that does not exist. The database holds the same line.
    """
    if person is None:
        if await repos.organizations.get(org_id) is None:
            raise NotFound(f"there is no organisation {org_id}")
        return
    roles = {m.organization.id: m.role for m in await repos.organizations.list_for_user(person)}
    if org_id not in roles or not roles[org_id].manages_connections:
        raise Forbidden("only owners and admins of the organisation manage its connections")
