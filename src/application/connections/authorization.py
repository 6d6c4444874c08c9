"""Authorization of connection management: owners and admins of the organisation, and operators."""

from application.ports.storage import Repositories
from domain.actor import ConnectionManager, Operator
from domain.errors import Forbidden, NotFound
from domain.organization import OrgId


async def require_manager(repos: Repositories, org_id: OrgId, actor: ConnectionManager) -> None:
    """Return if the actor may manage the organisation's connections.

    Raises Forbidden for people who are neither owner nor admin, whether the organisation exists
    or not, and NotFound where an operator names one that does not exist. Row-level security
    enforces the same rule in the database (D25).
    """
    if isinstance(actor, Operator):
        if await repos.organizations.get(org_id) is None:
            raise NotFound(f"there is no organisation {org_id}")
        return
    memberships = await repos.organizations.list_for_user(actor.user_id)
    roles = {each.organization.id: each.role for each in memberships}
    if org_id not in roles or not roles[org_id].manages_connections:
        raise Forbidden("only owners and admins of the organisation manage its connections")
