"""`leadport leads`: shows the captured leads, the newest last, and follows new ones."""

import asyncio
from collections.abc import Sequence

import click

from application.use_cases import UseCases
from domain.lead import Lead
from domain.message import MessageKey
from domain.organization import OrgId
from interfaces.cli.context import (
    JSON_OPTION,
    ORG_FILTER_OPTION,
    CliContext,
    print_json,
    print_table,
    replace_unprintable,
)

COLUMN_HEADINGS = ["time", "organisation", "channel", "contact", "message", "deal", "insight"]

LEADS_POLL_INTERVAL_SECONDS = 1.0

LEADS_PER_POLL = 1000
"""The newest leads that each poll reads.

A lead whose transaction commits late has an older time than leads that are already printed. The
command prints such a lead if it is among the newest 1,000.
"""

MAX_PRINTED_TEXT_CHARACTERS = 80
"""Characters of a message's text in the table."""


@click.command("leads")
@ORG_FILTER_OPTION
@click.option(
    "--limit", default=50, type=click.IntRange(1, 10_000), help="The number of leads to show."
)
@click.option(
    "--follow", "is_following", is_flag=True, help="Show new leads as they arrive, until Ctrl-C."
)
@JSON_OPTION
@click.pass_obj
def show_leads(
    context: CliContext, org_id: OrgId | None, limit: int, *, is_following: bool, as_json: bool
) -> None:
    """Show the newest leads, the oldest of them first.

    With --follow and --json, each lead is an object on a line of its own.
    """
    if is_following:
        context.run(lambda use_cases: _follow(use_cases, org_id, limit, as_json=as_json))
        return
    leads = context.run(lambda use_cases: use_cases.list_latest_leads(org_id, limit))
    _print_leads(leads, as_json=as_json)


async def _follow(use_cases: UseCases, org_id: OrgId | None, limit: int, *, as_json: bool) -> None:
    """Print the newest `limit` leads and then each new one, until the task is cancelled."""
    leads = await use_cases.list_latest_leads(org_id, LEADS_PER_POLL)
    shown: set[MessageKey] = {lead.key for lead in leads[:-limit]}
    while True:
        for lead in leads:
            if lead.key not in shown:
                _print_line(lead, as_json=as_json)
        shown = {lead.key for lead in leads}
        await asyncio.sleep(LEADS_POLL_INTERVAL_SECONDS)
        leads = await use_cases.list_latest_leads(org_id, LEADS_PER_POLL)


def _print_leads(leads: Sequence[Lead], *, as_json: bool) -> None:
    if as_json:
        print_json(leads)
        return
    empty_text = "No leads yet; send one with `leadport simulate`."
    print_table(COLUMN_HEADINGS, [_format_cells(lead) for lead in leads], empty_text)


def _print_line(lead: Lead, *, as_json: bool) -> None:
    if as_json:
        print_json(lead)
    else:
        click.echo(replace_unprintable("  ".join(_format_cells(lead))))


def _format_cells(lead: Lead) -> list[str]:
    insight = f"{lead.intent} {lead.score}: {lead.next_step}" if lead.intent else "-"
    return [
        f"{lead.captured_at.astimezone():%Y-%m-%d %H:%M:%S}",
        lead.organization,
        lead.channel,
        lead.contact or "(no name)",
        " ".join(lead.body.split())[:MAX_PRINTED_TEXT_CHARACTERS],
        f"{lead.deal} ({lead.deal_status})",
        insight,
    ]
