"""What commands are given, and how they print."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import click
import msgspec
from rich.console import Console
from rich.table import Table

from application.use_cases import UseCases

T = TypeVar("T")

UNLIMITED_WIDTH_COLUMNS = 1000
"""Columns a table may have where no terminal limits it."""


class Webhook(NamedTuple):
    """The running service: its base URL, and the app secret that signs, if there is one."""

    base_url: str
    app_secret: str | None


@dataclass(frozen=True, slots=True)
class CliContext:
    """Opened by the command that needs it, so that `--help` needs nothing."""

    open_use_cases: Callable[[], AbstractAsyncContextManager[UseCases]]
    webhook: Callable[[], Webhook]

    def run(self, work: Callable[[UseCases], Coroutine[Any, Any, T]]) -> T:
        """Do the work with open use cases."""

        async def run_with_use_cases() -> T:
            async with self.open_use_cases() as use_cases:
                return await work(use_cases)

        return asyncio.run(run_with_use_cases())


class IdParamType(click.ParamType[UUID]):
    """An id as it is printed by other commands."""

    name = "id"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> UUID:
        """Read it, or say what would be right."""
        try:
            return value if isinstance(value, UUID) else UUID(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is not an id like 0198c5a0-7c3e-7d6a-9d2b-0242ac120002", param, ctx
            )


ORG_OPTION = click.option(
    "--org", "org_id", type=IdParamType(), required=True, help="The organisation's id."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: object) -> None:
    """Print compact JSON on one line."""
    click.echo(msgspec.json.encode(value).decode())


def replace_unprintable(text: str) -> str:
    """What people wrote, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], empty_text: str) -> None:
    """Print a table as wide as the terminal, or the sentence for when there is nothing."""
    if not rows:
        click.echo(empty_text)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        # An id that is cut short cannot be copied.
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for row in rows:
        table.add_row(*(replace_unprintable(str(cell)) for cell in row))
    width = None if sys.stdout.isatty() else UNLIMITED_WIDTH_COLUMNS
    Console(markup=False, highlight=False, width=width).print(table)
