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
"""Channel to external id and name; the ids are made up."""


async def make_demo(use_cases: UseCases, settings: Settings) -> None:
    """Make the organisation, unless there is one with its name."""
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
