"""`leadport failed`: lists the messages that could not be processed, and retries them."""

import click

from application.use_cases import UseCases
from domain.failed_message import FailedMessage, FailedMessageId
from domain.organization import OrgId
from interfaces.cli.context import (
    JSON_OPTION,
    ORG_FILTER_OPTION,
    CliContext,
    IdParamType,
    format_time,
    print_json,
    print_table,
)


@click.group("failed")
def failed_message_commands() -> None:
    """List and retry messages that could not be processed."""


@failed_message_commands.command("list")
@ORG_FILTER_OPTION
@JSON_OPTION
@click.pass_obj
def list_failed_messages(context: CliContext, org_id: OrgId | None, *, as_json: bool) -> None:
    """List the failed messages and the reasons, oldest first.

    The list holds no text of a message.
    """
    failures = context.run(lambda use_cases: use_cases.list_failed_messages(org_id))
    if as_json:
        print_json([_make_json(failure) for failure in failures])
        return
    headings = ["id", "organisation", "attempts", "next attempt", "reason"]
    rows = [
        [
            failure.id,
            failure.org_id,
            failure.attempts,
            format_time(failure.next_attempt_at),
            failure.error,
        ]
        for failure in failures
    ]
    print_table(headings, rows, "There are no failed messages.")


def _make_json(failure: FailedMessage) -> dict[str, object]:
    return {
        "id": failure.id,
        "org_id": failure.org_id,
        "error": failure.error,
        "attempts": failure.attempts,
        "created_at": failure.created_at,
        "next_attempt_at": failure.next_attempt_at,
    }


@failed_message_commands.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=IdParamType())
@click.option("--all", "is_all", is_flag=True, help="Retry all failed messages.")
@JSON_OPTION
@click.pass_obj
def retry(
    context: CliContext, ids: tuple[FailedMessageId, ...], *, is_all: bool, as_json: bool
) -> None:
    """Retry failed messages now, before their next attempt is due.

    A message that another delivery has stored in the meantime counts as resolved. It is not stored
    twice.
    """
    if bool(ids) == is_all:
        raise click.UsageError("name the ids to try again, or --all")

    async def retry_messages(use_cases: UseCases) -> tuple[int, int]:
        if is_all:
            return await use_cases.retry_failed_messages.retry_all()
        return await use_cases.retry_failed_messages.retry_chosen(set(ids))

    resolved, tried = context.run(retry_messages)
    if as_json:
        print_json({"tried": tried, "resolved": resolved, "failed": tried - resolved})
    else:
        click.echo(f"{resolved} of {tried} resolved.")
