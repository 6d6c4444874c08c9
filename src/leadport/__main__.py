"""The command line: `leadport`, which is the same as `python -m leadport`.

Commands import the server and the database themselves, because those imports take most of a
second, which `--help` and the other commands save.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from application.errors import (
    ConcurrentUpdate,
    DependencyUnavailable,
    StorageRefused,
    TokenDecryptionError,
    TokenIssuingDisabled,
)
from application.use_cases import UseCases
from domain.errors import DomainError
from interfaces.cli import connection, failed, leads, org, simulate, user
from interfaces.cli.context import CliContext, ServiceEndpoint
from leadport.settings import CannotListen, Settings, SettingsError

USER_FACING_ERRORS = (
    TokenIssuingDisabled,
    CannotListen,
    ConcurrentUpdate,
    DomainError,
    TokenDecryptionError,
    StorageRefused,
    DependencyUnavailable,
)
"""Errors that `main` prints as one line and not as a traceback."""

EXIT_CODE_FAILURE = 1
EXIT_CODE_SETTINGS = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.pass_context
def cli(context: click.Context) -> None:
    """Receives Meta's webhooks and turns every message into a lead."""
    context.obj = CliContext(open_use_cases, read_service_endpoint)


@cli.command("serve")
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", default=8000, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option(
    "--workers", default=1, type=click.IntRange(1, 64), help="The number of server processes."
)
def serve_command(host: str, port: int, workers: int) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    Without DATABASE_URL it starts an embedded PostgreSQL in the data folder.
    """
    from leadport.serve import serve

    serve(host, port, workers)


@cli.command()
def migrate() -> None:
    """Upgrade the database to the schema of this version."""
    from infrastructure.postgres import migrations
    from leadport.database import open_database

    settings = Settings.read()
    if settings.storage == "memory":
        raise SettingsError("STORAGE=memory has no schema to migrate")
    with open_database(settings) as url:
        migrations.migrate(url)
    click.echo("The schema is up to date.")


for command in (
    org.org_commands,
    user.user_commands,
    user.issue_token,
    user.key_commands,
    connection.connection_commands,
    failed.failed_message_commands,
    simulate.simulate_messages,
    leads.show_leads,
):
    cli.add_command(command)


@asynccontextmanager
async def open_use_cases() -> AsyncIterator[UseCases]:
    """Open the database of the settings and yield the use cases on it.

    Raises SettingsError with STORAGE=memory, and DependencyUnavailable where the embedded database
    cannot be started.
    """
    from leadport.database import open_database
    from leadport.operators import open_operator_container

    settings = Settings.read()
    if settings.storage == "memory":
        raise SettingsError(
            "STORAGE=memory keeps all data in the service's process: no command sees it"
        )
    with open_database(settings):
        async with open_operator_container() as container:
            yield container.use_cases()


def read_service_endpoint() -> ServiceEndpoint:
    """Return the running service's address and the app secret for signing, if there is one."""
    settings = Settings.read()
    return ServiceEndpoint(
        settings.public_url, settings.app_secrets[0] if settings.app_secrets else None
    )


def main() -> None:
    """Run a command. An expected error is one line on standard error and an exit code."""
    try:
        cli()
    except SettingsError as error:
        click.echo(f"leadport: {error}", err=True)
        sys.exit(EXIT_CODE_SETTINGS)
    except USER_FACING_ERRORS as error:
        click.echo(f"leadport: {error}", err=True)
        sys.exit(EXIT_CODE_FAILURE)


if __name__ == "__main__":
    main()
