"""`leadport org`: creates organisations and adds their members."""

import click

from application.accounts.add_member import MembershipResult
from domain.organization import OrgId, Role
from interfaces.cli.context import JSON_OPTION, CliContext, IdParamType, print_json


@click.group("org")
def org_commands() -> None:
    """Create organisations and add members to them."""


@org_commands.command()
@click.argument("name")
@click.option("--owner", "email", required=True, help="E-mail address of the owner.")
@JSON_OPTION
@click.pass_obj
def create(context: CliContext, name: str, email: str, *, as_json: bool) -> None:
    """Create the organisation NAME and its owner.

    Prints both ids. For a new person it also prints a generated password, which is shown only once.
    """
    membership = context.run(lambda use_cases: use_cases.create_organization(name, email))
    _print_membership(membership, email, as_json=as_json)


@org_commands.command("add-member")
@click.argument("org_id", metavar="ORG", type=IdParamType())
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.MEMBER.value,
    help="Owners and admins manage connections; members do not.",
)
@JSON_OPTION
@click.pass_obj
def add_member(context: CliContext, org_id: OrgId, email: str, role: str, *, as_json: bool) -> None:
    """Add EMAIL to an organisation, or change a member's role.

    ORG is the id of the organisation. Prints both ids. For a new person it also prints a generated
    password, which is shown only once.
    """
    membership = context.run(lambda use_cases: use_cases.add_member(org_id, email, Role(role)))
    _print_membership(membership, email, as_json=as_json)


def _print_membership(membership: MembershipResult, email: str, *, as_json: bool) -> None:
    if as_json:
        print_json(membership)
        return
    click.echo(f"Organisation  {membership.org_id}")
    click.echo(f"Person        {membership.user_id}  {email}")
    if membership.password:
        click.echo(f"Password      {membership.password}  (shown only now)")
