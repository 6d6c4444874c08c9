"""`leadport failed`: what could not be processed, and another try for it."""

from uuid import UUID

import click

from application.use_cases import UseCases
from domain.failed_message import FailedMessage, FailedMessageId
from domain.organization import OrgId
from interfaces.cli.context import JSON_OPTION, CliContext, IdParamType, print_json, print_table


@click.group("failed")
def group() -> None:
    """Messages that could not be processed, and are kept."""


@group.command("list")
@click.option("--org", "org_id", type=IdParamType(), help="Only this organisation's.")
@JSON_OPTION
@click.pass_obj
def list_(context: CliContext, org_id: UUID | None, *, as_json: bool) -> None:
    """List what is kept, oldest first; never what was written."""

    async def work(use_cases: UseCases) -> list[FailedMessage]:
        return await use_cases.list_failed_messages(OrgId(org_id) if org_id else None)

    failures = context.run(work)
    if as_json:
        print_json([_make_json(failure) for failure in failures])
        return
    headings = ["id", "organisation", "attempts", "next attempt", "why"]
    rows = [
        [
            failure.id,
            failure.org_id,
            failure.attempts,
            _format_next_attempt(failure),
            failure.error,
        ]
        for failure in failures
    ]
    print_table(headings, rows, "Nothing is kept: every message could be processed.")


@group.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=IdParamType())
@click.option("--all", "is_all", is_flag=True, help="Everything that is kept.")
@JSON_OPTION
@click.pass_obj
def retry(context: CliContext, ids: tuple[UUID, ...], *, is_all: bool, as_json: bool) -> None:
    """Try again now; what was stored meanwhile is not stored twice."""
    if bool(ids) == is_all:
        raise click.UsageError("name the ids to try again, or --all")

    async def work(use_cases: UseCases) -> tuple[int, int]:
        if is_all:
            return await use_cases.retry_failed_messages.retry_all()
        return await use_cases.retry_failed_messages.retry_chosen(set(map(FailedMessageId, ids)))

    resolved, tried = context.run(work)
    if as_json:
        print_json({"tried": tried, "resolved": resolved, "failed": tried - resolved})
    else:
        click.echo(f"{resolved} of {tried} resolved.")


def _make_json(failure: FailedMessage) -> dict[str, object]:
    return {
        "id": failure.id,
        "org_id": failure.org_id,
        "error": failure.error,
        "attempts": failure.attempts,
        "created_at": failure.created_at,
        "next_attempt_at": failure.next_attempt_at,
    }


def _format_next_attempt(failure: FailedMessage) -> str:
    return f"{failure.next_attempt_at.astimezone():%Y-%m-%d %H:%M}"
