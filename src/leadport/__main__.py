"""`leadport`, and `python -m leadport`: the command line's entry.

Server and database are imported by the commands that need them, because they take most of a second.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from application.errors import (
    ConcurrentUpdate,
    StorageRefused,
    StorageUnavailable,
    TokenDecryptionError,
    TokenIssuingDisabled,
)
from application.use_cases import UseCases
from domain.errors import DomainError
from interfaces.cli import connection, failed, leads, org, simulate, user
from interfaces.cli.context import CliContext, Webhook
from leadport.settings import CannotListen, Settings, SettingsError

USER_FACING_ERRORS = (
    TokenIssuingDisabled,
    CannotListen,
    ConcurrentUpdate,
    DomainError,
    TokenDecryptionError,
    StorageRefused,
    StorageUnavailable,
)
USAGE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.pass_context
def cli(context: click.Context) -> None:
    """Receives Meta's webhooks and turns every message into a lead."""
    context.obj = CliContext(open_use_cases, read_webhook)


@cli.command("serve")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8000, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=1, type=click.IntRange(1, 64), help="Processes that answer.")
def serve_command(host: str, port: int, workers: int) -> None:
    """Run the service, with an embedded PostgreSQL unless DATABASE_URL is set."""
    from leadport.serve import serve

    serve(host, port, workers)


@cli.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from infrastructure.postgres import migrations
    from leadport.database import database

    settings = Settings.read()
    if settings.storage == "memory":
        raise SettingsError("STORAGE=memory has no schema")
    with database(settings):
        migrations.migrate(os.environ["DATABASE_URL"])
    click.echo("The schema is up to date.")


for command in (
    org.group,
    user.group,
    user.token,
    user.keys,
    connection.group,
    failed.group,
    simulate.command,
    leads.command,
):
    cli.add_command(command)


@asynccontextmanager
async def open_use_cases() -> AsyncIterator[UseCases]:
    """The use cases over the database that the settings name; the embedded one is started."""
    from leadport.database import database
    from leadport.operators import open_operator_container

    settings = Settings.read()
    if settings.storage == "memory":
        raise SettingsError("STORAGE=memory keeps all in the service's own process; ask it there")
    with database(settings):
        async with open_operator_container() as container:
            yield container.use_cases()


def read_webhook() -> Webhook:
    """Where to send a delivery, and how to sign it."""
    settings = Settings.read()
    return Webhook(settings.public_url, settings.app_secrets[0] if settings.app_secrets else None)


def main() -> None:
    """Run a command; what can be expected to go wrong is one line and an exit code."""
    try:
        cli()
    except SettingsError as error:
        click.echo(f"leadport: {error}", err=True)
        sys.exit(USAGE)
    except USER_FACING_ERRORS as error:
        click.echo(f"leadport: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
