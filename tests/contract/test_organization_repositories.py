"""The repositories of organisations, people and sessions, over each storage adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.organization import Member, MemberId, Organization, OrgId, Role, UserId
from tests.support.builders import NOON, create_shop, new_id
from tests.support.entities import make_user
from tests.support.stored_rows import open_stored_rows


async def test_organisations_are_found_by_id_and_listed_oldest_first(
    transactions: Transactions,
) -> None:
    first, second = (Organization(id=OrgId(new_id()), name=name) for name in ("B", "A"))

    async with transactions.begin(Operator()) as repos:
        await repos.organizations.add(first)
        await repos.organizations.add(second)

    async with transactions.begin(Operator()) as repos:
        assert await repos.organizations.get(second.id) == second
        assert await repos.organizations.list_all() == [first, second]


async def test_member_added_again_gets_the_new_role(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    person = make_user()
    member = Member(id=MemberId(new_id()), org_id=shop.org_id, user_id=person.id, role=Role.MEMBER)

    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)
        await repos.organizations.upsert_member(member)
        await repos.organizations.upsert_member(
            replace(member, id=MemberId(new_id()), role=Role.ADMIN)
        )

    async with transactions.begin(Operator()) as repos:
        (membership,) = await repos.organizations.list_for_user(person.id)
    assert membership.role is Role.ADMIN


async def test_person_is_found_by_the_address_in_any_case(transactions: Transactions) -> None:
    person = make_user("ana@shop.example")

    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)

    async with transactions.begin(Operator()) as repos:
        assert await repos.users.find_by_email("Ana@Shop.Example") == person
        assert await repos.users.find_by_email("eva@shop.example") is None


async def test_second_person_with_an_address_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.users.add(make_user("ana@shop.example"))
            await repos.users.add(make_user("ana@shop.example"))


async def test_session_is_ended_once(transactions: Transactions) -> None:
    ended, other = new_id(), new_id()

    for _ in range(2):
        async with transactions.begin(Operator()) as repos:
            await repos.sessions.end(ended, NOON)

    async with transactions.begin(Operator()) as repos:
        assert await repos.sessions.is_ended(ended)
        assert not await repos.sessions.is_ended(other)


async def test_memberships_are_listed_oldest_first_and_passwords_are_changed(
    transactions: Transactions,
) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    person = make_user("ana@shop.example")
    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)
        for org_id, role in ((shop.org_id, Role.MEMBER), (other.org_id, Role.OWNER)):
            member = Member(id=MemberId(new_id()), org_id=org_id, user_id=person.id, role=role)
            await repos.organizations.upsert_member(member)
        await repos.users.change_password(person.id, "$argon2id$new")

    async with transactions.begin(Operator()) as repos:
        memberships = await repos.organizations.list_for_user(person.id)
        assert [(m.organization.id, m.role) for m in memberships] == [
            (shop.org_id, Role.MEMBER),
            (other.org_id, Role.OWNER),
        ]
        assert await repos.organizations.list_for_user(UserId(new_id())) == []
        changed = await repos.users.find_by_email("ana@shop.example")
    assert changed == replace(person, password_hash="$argon2id$new")


async def test_second_organisation_with_an_id_is_a_concurrent_update(
    transactions: Transactions,
) -> None:
    shop = Organization(id=OrgId(new_id()), name="Shop")
    async with transactions.begin(Operator()) as repos:
        await repos.organizations.add(shop)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.organizations.add(replace(shop, name="Other"))

    async with transactions.begin(Operator()) as repos:
        assert await repos.organizations.list_all() == [shop]


async def test_two_organisations_may_have_one_name(transactions: Transactions) -> None:
    shops = [Organization(id=OrgId(new_id()), name="Shop") for _ in range(2)]

    async with transactions.begin(Operator()) as repos:
        for shop in shops:
            await repos.organizations.add(shop)
        assert await repos.organizations.list_all() == shops


async def test_membership_written_again_keeps_its_place(transactions: Transactions) -> None:
    """Memberships are in the order in which they began, not that of their organisations."""
    first, second = await create_shop(transactions), await create_shop(transactions, "222")
    person = make_user()
    members = [
        Member(id=MemberId(new_id()), org_id=shop.org_id, user_id=person.id, role=Role.MEMBER)
        for shop in (second, first)
    ]
    again = replace(members[0], id=MemberId(new_id()), role=Role.ADMIN)

    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)
        for member in (*members, again):
            await repos.organizations.upsert_member(member)

    async with transactions.begin(Operator()) as repos:
        memberships = await repos.organizations.list_for_user(person.id)
    assert [(m.organization.id, m.role) for m in memberships] == [
        (second.org_id, Role.ADMIN),
        (first.org_id, Role.MEMBER),
    ]


async def test_new_password_of_an_unknown_person_is_ignored(transactions: Transactions) -> None:
    person = make_user("ana@shop.example")

    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)
        await repos.users.change_password(UserId(new_id()), "$argon2id$new")

    async with transactions.begin(Operator()) as repos:
        assert await repos.users.find_by_email("ana@shop.example") == person


async def test_session_ended_again_keeps_its_first_expiry(transactions: Transactions) -> None:
    ended = new_id()

    for expires_at in (NOON, NOON - timedelta(hours=1)):
        async with transactions.begin(Operator()) as repos:
            await repos.sessions.end(ended, expires_at)

    assert (await open_stored_rows(transactions).ended_sessions())[ended] == NOON
