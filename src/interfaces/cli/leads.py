"""`leadport leads`: what was captured, newest last."""

import asyncio
from uuid import UUID

import click

from application.use_cases import UseCases
from domain.lead import Lead
from domain.message import MessageKey
from domain.organization import OrgId
from interfaces.cli.context import (
    JSON_OPTION,
    CliContext,
    IdParamType,
    print_json,
    print_table,
    replace_unprintable,
)

COLUMN_HEADINGS = ["time", "organisation", "channel", "who", "what they said", "deal", "insight"]
POLL_SECONDS = 1.0
LEADS_PER_POLL = 1000
"""How many are looked at each time, so that one committed late is still found."""


@click.command("leads")
@click.option("--org", "org_id", type=IdParamType(), help="Only this organisation's.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many to show.")
@click.option("--follow", is_flag=True, help="Go on showing them as they come, until Ctrl-C.")
@JSON_OPTION
@click.pass_obj
def command(
    context: CliContext, org_id: UUID | None, limit: int, *, follow: bool, as_json: bool
) -> None:
    """Show the newest leads, oldest of them first.

    With --follow and --json, each is an object on a line of its own.
    """
    chosen_org_id = OrgId(org_id) if org_id else None

    async def work(use_cases: UseCases) -> None:
        if not follow:
            _print_all(await use_cases.list_latest_leads(chosen_org_id, limit), as_json=as_json)
            return
        leads = await use_cases.list_latest_leads(chosen_org_id, LEADS_PER_POLL)
        shown: set[MessageKey] = {lead.key for lead in leads[:-limit]}
        while True:
            for lead in leads:
                if lead.key not in shown:
                    _print_line(lead, as_json=as_json)
            shown = {lead.key for lead in leads}
            await asyncio.sleep(POLL_SECONDS)
            leads = await use_cases.list_latest_leads(chosen_org_id, LEADS_PER_POLL)

    context.run(work)


def _print_all(leads: list[Lead], *, as_json: bool) -> None:
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
        " ".join(lead.body.split())[:80],
        f"{lead.deal} ({lead.deal_status})",
        insight,
    ]
