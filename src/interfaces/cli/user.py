"""`leadport user`, `token` and `keys`: passwords, bearer tokens, and rotation of encryption keys."""

import click

from interfaces.cli.context import JSON_OPTION, CliContext, print_json


@click.group("user")
def user_commands() -> None:
    """Manage the people who sign in."""


@user_commands.command("password")
@click.argument("email")
@JSON_OPTION
@click.pass_obj
def reset_password(context: CliContext, email: str, *, as_json: bool) -> None:
    """Generate a new password for EMAIL and print it. It is shown only once."""
    password = context.run(lambda use_cases: use_cases.reset_password(email))
    if as_json:
        print_json({"email": email, "password": password})
    else:
        click.echo(f"Password      {password}  (shown only now)")


@click.command("token")
@click.argument("email")
@click.pass_obj
def issue_token(context: CliContext, email: str) -> None:
    """Print a bearer token with which EMAIL may call the API."""
    click.echo(context.run(lambda use_cases: use_cases.issue_token(email)))


@click.group("keys")
def key_commands() -> None:
    """Manage the keys that encrypt access tokens."""


@key_commands.command()
@JSON_OPTION
@click.pass_obj
def rotate(context: CliContext, *, as_json: bool) -> None:
    """Encrypt every access token with the newest key of TOKEN_ENCRYPTION_KEYS.

    The command can be interrupted and run again. When it has ended, the older keys can be removed
    from the setting.
    """
    count = context.run(lambda use_cases: use_cases.rotate_keys())
    if as_json:
        print_json({"rotated": count})
    else:
        click.echo(f"{count} access tokens are encrypted with the newest key now.")
