"""`leadport connection`: numbers and accounts, and whose they are."""

from uuid import UUID

import click

from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel, Connection, ConnectionActivity, ConnectionId
from domain.organization import OrgId
from domain.unmatched import UnmatchedTraffic
from interfaces.cli.context import (
    JSON_OPTION,
    ORG_OPTION,
    CliContext,
    IdParamType,
    print_json,
    print_table,
)
from interfaces.connection_json import ConnectionJson

CHANNEL_CHOICE = click.Choice([channel.value for channel in Channel])


@click.group("connection")
def group() -> None:
    """Connected WhatsApp numbers and Instagram accounts."""


@group.command()
@ORG_OPTION
@click.option("--channel", type=CHANNEL_CHOICE, required=True, help="Where people write.")
@click.option(
    "--external-id",
    required=True,
    help="WhatsApp's phone number id, or Instagram's professional account id.",
)
@click.option("--display-name", help="What people see; kept if left out.")
@click.option("--enabled/--disabled", "is_enabled", default=None, help="Kept if left out.")
@JSON_OPTION
@click.pass_obj
def add(
    context: CliContext,
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
            actor=Operator(),
            display_name=display_name,
            is_enabled=is_enabled,
        )

    connection, is_new = context.run(work)
    if as_json:
        print_json(ConnectionJson.from_connection(connection, ConnectionActivity()))
    else:
        click.echo(f"{'Connected' if is_new else 'Changed'}: {connection.id}")


@group.command("list")
@click.option("--org", "org_id", type=IdParamType(), help="Only this organisation's.")
@click.option("--unmatched", is_flag=True, help="What came for numbers nobody has connected.")
@JSON_OPTION
@click.pass_obj
def list_(context: CliContext, org_id: UUID | None, *, unmatched: bool, as_json: bool) -> None:
    """List the connections of all organisations, or of one.

    With --unmatched, the numbers and accounts that messages came for although nobody has
    connected or enabled them: one of them may be a connection's id, mistyped.
    """
    if unmatched:
        _list_unmatched(context, as_json=as_json)
        return

    async def work(use_cases: UseCases) -> list[ConnectionJson]:
        if org_id is None:
            listed = await use_cases.list_connections.for_all_organizations(Operator())
        else:
            listed = await use_cases.list_connections(OrgId(org_id), actor=Operator())
        return [ConnectionJson.from_connection(*each) for each in listed]

    connections = context.run(work)
    if as_json:
        print_json(connections)
        return
    headings = ["id", "organisation", "channel", "external id", "name", "state"]
    rows = [
        [
            connection.id,
            connection.org_id,
            connection.channel,
            connection.external_id,
            connection.display_name,
            _describe_state(connection),
        ]
        for connection in connections
    ]
    print_table(headings, rows, "No connections yet; add one with `leadport connection add`.")


def _list_unmatched(context: CliContext, *, as_json: bool) -> None:
    async def work(use_cases: UseCases) -> list[UnmatchedTraffic]:
        return await use_cases.list_unmatched_traffic()

    traffic = context.run(work)
    if as_json:
        print_json(
            [
                {
                    "channel": each.address.channel,
                    "external_id": each.address.external_id,
                    "count": each.count,
                    "first_at": each.first_at,
                    "last_at": each.last_at,
                }
                for each in traffic
            ]
        )
        return
    headings = ["channel", "external id", "messages", "first", "last"]
    rows = [
        [
            *each.address,
            each.count,
            *(f"{at.astimezone():%Y-%m-%d %H:%M}" for at in (each.first_at, each.last_at)),
        ]
        for each in traffic
    ]
    print_table(headings, rows, "Every message came for a connected number.")


def _describe_state(connection: ConnectionJson) -> str:
    if not connection.is_enabled:
        return "disabled"
    if connection.last_message_at is None:
        return "waiting for the first message"
    return f"active, last message {connection.last_message_at.astimezone():%Y-%m-%d %H:%M}"


@group.command()
@click.argument("connection_id", metavar="ID", type=IdParamType())
@click.pass_obj
def remove(context: CliContext, connection_id: UUID) -> None:
    """Disconnect a number or account; its conversations stay."""

    async def work(use_cases: UseCases) -> None:
        await use_cases.remove_connection(ConnectionId(connection_id), actor=Operator())

    context.run(work)
    click.echo("Removed. Its conversations stay.")
