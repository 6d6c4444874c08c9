"""`leadport connection`: connects, lists and disconnects WhatsApp numbers and Instagram accounts."""

from collections.abc import Sequence

import click

from application.use_cases import UseCases
from domain.actor import Operator
from domain.connection import Channel, Connection, ConnectionActivity, ConnectionId
from domain.organization import OrgId
from domain.unmatched import UnmatchedTraffic
from interfaces.cli.context import (
    JSON_OPTION,
    ORG_FILTER_OPTION,
    ORG_OPTION,
    CliContext,
    IdParamType,
    format_time,
    print_json,
    print_table,
)
from interfaces.connection_json import ConnectionJson

CHANNEL_CHOICE = click.Choice([channel.value for channel in Channel])


@click.group("connection")
def connection_commands() -> None:
    """Manage the connected WhatsApp numbers and Instagram accounts."""


@connection_commands.command()
@ORG_OPTION
@click.option("--channel", type=CHANNEL_CHOICE, required=True, help="The messaging channel.")
@click.option(
    "--external-id",
    required=True,
    help="WhatsApp's phone number id, or Instagram's professional account id.",
)
@click.option("--display-name", help="The name on the settings page; kept if left out.")
@click.option(
    "--enabled/--disabled",
    "is_enabled",
    default=None,
    help="Whether its messages are stored; kept if left out.",
)
@JSON_OPTION
@click.pass_obj
def add(
    context: CliContext,
    org_id: OrgId,
    channel: str,
    external_id: str,
    display_name: str | None,
    *,
    is_enabled: bool | None,
    as_json: bool,
) -> None:
    """Connect a number or account, or change its connection."""

    async def upsert(use_cases: UseCases) -> tuple[Connection, bool]:
        return await use_cases.upsert_connection(
            org_id,
            Channel(channel),
            external_id,
            actor=Operator(),
            display_name=display_name,
            is_enabled=is_enabled,
        )

    connection, is_new = context.run(upsert)
    if as_json:
        print_json(ConnectionJson.from_connection(connection, ConnectionActivity()))
    else:
        click.echo(f"{'Connected' if is_new else 'Changed'}: {connection.id}")


@connection_commands.command("list")
@ORG_FILTER_OPTION
@click.option(
    "--unmatched",
    "is_unmatched",
    is_flag=True,
    help="List the numbers and accounts that have messages but no enabled connection.",
)
@JSON_OPTION
@click.pass_obj
def list_connections(
    context: CliContext, org_id: OrgId | None, *, is_unmatched: bool, as_json: bool
) -> None:
    """List the connections of all organisations, or of one.

    With --unmatched, list the numbers and accounts that have messages but that no organisation has
    connected and enabled. A listed id may be the correct form of a connection's mistyped id.
    """
    if is_unmatched:
        traffic = context.run(lambda use_cases: use_cases.list_unmatched_traffic())
        _print_unmatched_traffic(traffic, as_json=as_json)
    else:
        _print_connections(
            context.run(lambda use_cases: _load_connections(use_cases, org_id)), as_json=as_json
        )


async def _load_connections(use_cases: UseCases, org_id: OrgId | None) -> list[ConnectionJson]:
    if org_id is None:
        listed = await use_cases.list_connections.list_for_all_organizations(Operator())
    else:
        listed = await use_cases.list_connections(org_id, actor=Operator())
    return [ConnectionJson.from_connection(connection, activity) for connection, activity in listed]


def _print_connections(connections: Sequence[ConnectionJson], *, as_json: bool) -> None:
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


def _print_unmatched_traffic(traffic: Sequence[UnmatchedTraffic], *, as_json: bool) -> None:
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
        [*each.address, each.count, format_time(each.first_at), format_time(each.last_at)]
        for each in traffic
    ]
    print_table(
        headings,
        rows,
        "There are no messages for numbers or accounts without an enabled connection.",
    )


def _describe_state(connection: ConnectionJson) -> str:
    if not connection.is_enabled:
        return "disabled"
    if connection.last_message_at is None:
        return "waiting for the first message"
    return f"active, last message {format_time(connection.last_message_at)}"


@connection_commands.command()
@click.argument("connection_id", metavar="ID", type=IdParamType())
@click.pass_obj
def remove(context: CliContext, connection_id: ConnectionId) -> None:
    """Disconnect a number or account; its conversations stay.

    ID is the id of the connection.
    """
    context.run(lambda use_cases: use_cases.remove_connection(connection_id, actor=Operator()))
    click.echo("Removed. Its conversations stay.")
