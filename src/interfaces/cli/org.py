"""`leadport org`: organisations and their members."""

from uuid import UUID

import click

from application.accounts.add_member import MembershipResult
from application.use_cases import UseCases
from domain.organization import OrgId, Role
from interfaces.cli.context import JSON_OPTION, CliContext, IdParamType, print_json


@click.group("org")
def group() -> None:
    """Organisations and the people in them."""


@group.command()
@click.argument("name")
@click.option("--owner", "email", required=True, help="E-mail address of the owner.")
@JSON_OPTION
@click.pass_obj
def create(context: CliContext, name: str, email: str, *, as_json: bool) -> None:
    """Create the organisation NAME and its owner.

    Prints the ids and, for a new person, a generated password: once.
    """

    async def work(use_cases: UseCases) -> MembershipResult:
        return await use_cases.create_organization(name, email)

    _print_membership(context.run(work), email, as_json=as_json)


@group.command("add-member")
@click.argument("org_id", metavar="ORG", type=IdParamType())
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.MEMBER.value,
    help="What the person may do.",
)
@JSON_OPTION
@click.pass_obj
def add_member(context: CliContext, org_id: UUID, email: str, role: str, *, as_json: bool) -> None:
    """Make EMAIL a member of ORG, or give a member another role."""

    async def work(use_cases: UseCases) -> MembershipResult:
        return await use_cases.add_member(OrgId(org_id), email, Role(role))

    _print_membership(context.run(work), email, as_json=as_json)


def _print_membership(membership: MembershipResult, email: str, *, as_json: bool) -> None:
    if as_json:
        print_json(membership)
        return
    click.echo(f"Organisation  {membership.org_id}")
    click.echo(f"Person        {membership.user_id}  {email}")
    if membership.password:
        click.echo(f"Password      {membership.password}  (shown only now)")
