"""The demo organisation of development: an owner and two connections with made-up ids."""

from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel
from domain.errors import NumberConnectedElsewhere
from leadport.settings import Settings

DEMO_ORGANIZATION_NAME = "Demo"
DEMO_OWNER_EMAIL = "owner@demo.example"
DEMO_CONNECTIONS = {
    Channel.WHATSAPP: ("100000000000001", "Demo WhatsApp"),
    Channel.INSTAGRAM: ("17840000000000001", "Demo Instagram"),
}
"""External id and display name by channel. The ids are made up."""


async def make_demo(use_cases: UseCases, settings: Settings) -> None:
    """Create the demo organisation, its owner and its connections.

    Does nothing where an organisation has its name. A connection whose id another organisation has
    enabled is left out.
    """
    organizations = await use_cases.list_all_organizations()
    if any(organization.name == DEMO_ORGANIZATION_NAME for organization in organizations):
        return
    organization = await use_cases.create_organization(
        DEMO_ORGANIZATION_NAME, DEMO_OWNER_EMAIL, password=settings.demo_password
    )
    for channel, (external_id, name) in DEMO_CONNECTIONS.items():
        try:
            await use_cases.upsert_connection(
                organization.org_id, channel, external_id, actor=Operator(), display_name=name
            )
        except NumberConnectedElsewhere:
            continue
