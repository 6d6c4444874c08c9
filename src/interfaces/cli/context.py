"""The context, options and output functions that all commands of the command line share."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import click
import msgspec
from rich.console import Console
from rich.table import Table

from application.use_cases import UseCases

T = TypeVar("T")

PIPED_TABLE_WIDTH_COLUMNS = 1000
"""The width of a table that is not printed to a terminal: wide enough for every row."""


class ServiceEndpoint(NamedTuple):
    """The running service: its base URL, and the app secret for signing, or None without one."""

    base_url: str
    app_secret: str | None


@dataclass(frozen=True, slots=True)
class CliContext:
    """Gives commands the use cases and the service's endpoint.

    Both are opened or read on the first call, so that `--help` reads no settings.
    """

    open_use_cases: Callable[[], AbstractAsyncContextManager[UseCases]]
    read_service_endpoint: Callable[[], ServiceEndpoint]

    def run(self, work: Callable[[UseCases], Coroutine[Any, Any, T]]) -> T:
        """Open the use cases, call `work` with them, and return the result of its coroutine."""

        async def open_and_work() -> T:
            async with self.open_use_cases() as use_cases:
                return await work(use_cases)

        return asyncio.run(open_and_work())


class IdParamType(click.ParamType[UUID]):
    """A parameter that is an id in the form in which the commands print ids."""

    name = "id"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> UUID:
        """Return the id. Another text ends the command with an example of an id."""
        try:
            return value if isinstance(value, UUID) else UUID(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is not an id like 0198c5a0-7c3e-7d6a-9d2b-0242ac120002", param, ctx
            )


ORG_OPTION = click.option(
    "--org", "org_id", type=IdParamType(), required=True, help="The organisation's id."
)
ORG_FILTER_OPTION = click.option(
    "--org", "org_id", type=IdParamType(), help="Only those of this organisation (its id)."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: object) -> None:
    """Print compact JSON on one line."""
    click.echo(msgspec.json.encode(value).decode())


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], empty_text: str) -> None:
    """Print a table as wide as the terminal, or `empty_text` where there are no rows."""
    if not rows:
        click.echo(empty_text)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        # An id is never wrapped, so that it can be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for row in rows:
        table.add_row(*(replace_unprintable(str(cell)) for cell in row))
    width = None if sys.stdout.isatty() else PIPED_TABLE_WIDTH_COLUMNS
    Console(markup=False, highlight=False, width=width).print(table)


def replace_unprintable(text: str) -> str:
    """Replace control characters by U+FFFD, because a terminal would execute those in a text."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def format_time(moment: datetime) -> str:
    """Return date and time of the operator's time zone, to the minute."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
