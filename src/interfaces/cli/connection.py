"""`leadport connection`: numbers and accounts, and whose they are."""

from uuid import UUID

import click

from application.use_cases import UseCases
from domain.connection import Channel, Connection, ConnectionId
from domain.organization import OrgId
from interfaces.cli.service import JSON, ORG, Service, Uuid, print_json, print_table

CHANNEL = click.Choice([channel.value for channel in Channel])


@click.group("connection")
def group() -> None:
    """Connected WhatsApp numbers and Instagram accounts."""


@group.command()
@ORG
@click.option("--channel", type=CHANNEL, required=True, help="Where people write.")
@click.option(
    "--external-id",
    required=True,
    help="WhatsApp's phone number id, or Instagram's professional account id.",
)
@click.option("--display-name", help="What people see; kept if left out.")
@click.option("--enabled/--disabled", "is_enabled", default=None, help="Kept if left out.")
@JSON
@click.pass_obj
def add(
    service: Service,
    org_id: UUID,
    channel: str,
    external_id: str,
    display_name: str | None,
    *,
    is_enabled: bool | None,
    as_json: bool,
) -> None:
    """Connect a number or account, or change its connection."""

    async def work(use_cases: UseCases) -> tuple[Connection, bool]:
        return await use_cases.upsert_connection(
            OrgId(org_id),
            Channel(channel),
            external_id,
            display_name=display_name,
            is_enabled=is_enabled,
        )

    connection, is_new = service.run(work)
    if as_json:
        print_json(connection)
    else:
        click.echo(f"{'Connected' if is_new else 'Changed'}: {connection.id}")


@group.command("list")
@click.option("--org", "org_id", type=Uuid(), help="Only this organisation's.")
@JSON
@click.pass_obj
def list_(service: Service, org_id: UUID | None, *, as_json: bool) -> None:
    """List the connections of all organisations, or of one."""

    async def work(use_cases: UseCases) -> list[Connection]:
        if org_id:
            return await use_cases.list_connections(OrgId(org_id))
        async with use_cases.transactions.begin() as repos:
            organizations = await repos.organizations.all()
            return [c for org in organizations for c in await repos.connections.of(org.id)]

    connections = service.run(work)
    if as_json:
        print_json(connections)
        return
    headings = ["id", "organisation", "channel", "external id", "name", "state"]
    rows = [
        [c.id, c.org_id, c.channel, c.external_id, c.display_name, _state(c)] for c in connections
    ]
    print_table(headings, rows, "No connections yet; add one with `leadport connection add`.")


def _state(connection: Connection) -> str:
    return "enabled" if connection.is_enabled else "disabled"


@group.command()
@ORG
@click.argument("connection_id", metavar="ID", type=Uuid())
@click.pass_obj
def remove(service: Service, org_id: UUID, connection_id: UUID) -> None:
    """Disconnect a number or account; its conversations stay."""

    async def work(use_cases: UseCases) -> None:
        await use_cases.remove_connection(OrgId(org_id), ConnectionId(connection_id))

    service.run(work)
    click.echo("Removed. Its conversations stay.")
