"""`leadport org`: organisations and their members."""

from uuid import UUID

import click

from application.accounts.add_member import MembershipResult
from application.use_cases import UseCases
from domain.organization import OrgId, Role
from interfaces.cli.context import JSON, CliContext, Uuid, print_json


@click.group("org")
def group() -> None:
    """Organisations and the people in them."""


@group.command()
@click.argument("name")
@click.option("--owner", "email", required=True, help="E-mail address of the owner.")
@JSON
@click.pass_obj
def create(service: CliContext, name: str, email: str, *, as_json: bool) -> None:
    """Create the organisation NAME and its owner.

    Prints the ids and, for a new person, a generated password: once.
    """

    async def work(use_cases: UseCases) -> MembershipResult:
        return await use_cases.create_organization(name, email)

    _print(service.run(work), email, as_json=as_json)


@group.command("add-member")
@click.argument("org_id", metavar="ORG", type=Uuid())
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.MEMBER.value,
    help="What the person may do.",
)
@JSON
@click.pass_obj
def add_member(service: CliContext, org_id: UUID, email: str, role: str, *, as_json: bool) -> None:
    """Make EMAIL a member of ORG, or give a member another role."""

    async def work(use_cases: UseCases) -> MembershipResult:
        return await use_cases.add_member(OrgId(org_id), email, Role(role))

    _print(service.run(work), email, as_json=as_json)


def _print(joined: MembershipResult, email: str, *, as_json: bool) -> None:
    if as_json:
        print_json(joined)
        return
    click.echo(f"Organisation  {joined.org_id}")
    click.echo(f"Person        {joined.user_id}  {email}")
    if joined.password:
        click.echo(f"Password      {joined.password}  (shown only now)")
