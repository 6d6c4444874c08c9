"""`leadport user`, `token` and `keys`: what operators do about people and secrets."""

import click

from application.use_cases import UseCases
from interfaces.cli.context import JSON_OPTION, CliContext, print_json


@click.group("user")
def group() -> None:
    """People who sign in."""


@group.command("password")
@click.argument("email")
@JSON_OPTION
@click.pass_obj
def reset_password(context: CliContext, email: str, *, as_json: bool) -> None:
    """Give EMAIL a new password, and print it: once."""

    async def work(use_cases: UseCases) -> str:
        return await use_cases.reset_password(email)

    new_password = context.run(work)
    if as_json:
        print_json({"email": email, "password": new_password})
    else:
        click.echo(f"Password      {new_password}  (shown only now)")


@click.command()
@click.argument("email")
@click.pass_obj
def token(context: CliContext, email: str) -> None:
    """Print a bearer token of EMAIL for calling the API."""

    async def work(use_cases: UseCases) -> str:
        return await use_cases.issue_token(email)

    click.echo(context.run(work))


@click.group()
def keys() -> None:
    """Keys that encrypt access tokens."""


@keys.command()
@JSON_OPTION
@click.pass_obj
def rotate(context: CliContext, *, as_json: bool) -> None:
    """Encrypt every access token with the newest key of TOKEN_ENCRYPTION_KEYS.

    It can be stopped and started again; older keys may be dropped when it has ended.
    """

    async def work(use_cases: UseCases) -> int:
        return await use_cases.rotate_keys()

    rotated = context.run(work)
    if as_json:
        print_json({"rotated": rotated})
    else:
        click.echo(f"{rotated} access tokens are encrypted with the newest key now.")
