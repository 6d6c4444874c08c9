"""What every adapter promises: each test runs over memory and over PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Repositories, Transactions
from domain.actor import Operator
from domain.change import ChangeId, ChangeKind, ChangeRecord, ChangeTarget
from domain.connection import Address, Channel, Connection, ConnectionActivity, ConnectionId
from domain.contact import (
    Contact,
    ContactId,
    ContactIdentity,
    ContactIdentityId,
    ContactKey,
    Identity,
    IdentityKey,
    IdentityKind,
    IdentityMatch,
)
from domain.deal import Deal, DealId, DealStatus, OpenDeal
from domain.errors import NumberConnectedElsewhere
from domain.failed_message import FailedMessage, FailedMessageId
from domain.insight import Insight, InsightId, description_of_deleted
from domain.message import Direction, Message, MessageId, Thread, ThreadId
from domain.organization import Member, MemberId, Organization, OrgId, Role, User, UserId
from domain.planning.snapshot import IngestSnapshot, MessageReference, Participant, SnapshotRequest
from tests.support.builders import NOON, SHOP_NUMBER, create_shop, make_message, new_id
from tests.support.stored_rows import open_stored_rows

NOWHERE = Address(Channel.INSTAGRAM, SHOP_NUMBER)


def a_contact(shop: Connection, phone: str | None = "5491155550001") -> Contact:
    return Contact(id=ContactId(new_id()), org_id=shop.org_id, name="Ana", phone=phone)


def known_as(contact: Contact, value: str) -> tuple[IdentityKey, ContactIdentity]:
    key = IdentityKey(contact.org_id, IdentityKind.WHATSAPP_PHONE, value)
    identity = ContactIdentity(
        id=ContactIdentityId(new_id()),
        org_id=contact.org_id,
        contact_id=contact.id,
        kind=key.kind,
        value=value,
    )
    return key, identity


def a_thread(shop: Connection, contact: Contact, name: str | None = "wa:1:2") -> Thread:
    return Thread(
        id=ThreadId(new_id()),
        org_id=shop.org_id,
        contact_id=contact.id,
        connection_id=shop.id,
        channel=shop.channel,
        external_id=name,
        last_message_at=NOON,
    )


def a_message(thread: Thread, id: str = "wamid.1") -> Message:
    return Message(
        id=MessageId(new_id()),
        org_id=thread.org_id,
        thread_id=thread.id,
        channel=thread.channel,
        external_id=id,
        direction=Direction.INBOUND,
        kind="text",
        body="hola ¿qué tal? 👋",
        content={"nested": [1, None, "é"]},
        sent_at=NOON,
    )


def a_deal(contact: Contact) -> Deal:
    return Deal(
        id=DealId(new_id()),
        org_id=contact.org_id,
        contact_id=contact.id,
        status=DealStatus.OPEN,
        title="hola",
    )


def key_of(contact: Contact) -> ContactKey:
    return ContactKey(contact.org_id, contact.id)


async def keep(transactions: Transactions, *things: Contact | Thread | Deal) -> None:
    async with transactions.begin(Operator()) as repos:
        for thing in things:
            match thing:
                case Contact():
                    await repos.contacts.add({thing.id: thing}, {})
                case Thread():
                    await repos.threads.add({thing.id: thing})
                case Deal():
                    await repos.deals.add({ContactKey(thing.org_id, thing.contact_id): thing})


async def read_matches(
    repos: Repositories, key: IdentityKey, *shops: Connection
) -> Mapping[IdentityKey, IdentityMatch]:
    """The contacts of the identity in the organisations of the shops."""
    identity = Identity(key.kind, key.value)
    request = SnapshotRequest(
        addresses={shop.address for shop in shops},
        participants={Participant(shop.address, identity) for shop in shops},
    )
    return (await repos.snapshots.read(request)).matches


async def test_nothing_is_kept_when_the_block_raises(transactions: Transactions) -> None:
    shop = Organization(id=OrgId(new_id()), name="Shop")

    with pytest.raises(ZeroDivisionError):
        async with transactions.begin(Operator()) as repos:
            await repos.organizations.add(shop)
            raise ZeroDivisionError

    async with transactions.begin(Operator()) as repos:
        assert await repos.organizations.get(shop.id) is None


async def test_the_storage_is_ready(transactions: Transactions) -> None:
    await transactions.check_ready()


async def test_organizations_are_found_by_id_and_listed_in_order(
    transactions: Transactions,
) -> None:
    first, second = (Organization(id=OrgId(new_id()), name=name) for name in ("B", "A"))

    async with transactions.begin(Operator()) as repos:
        await repos.organizations.add(first)
        await repos.organizations.add(second)

    async with transactions.begin(Operator()) as repos:
        assert await repos.organizations.get(second.id) == second
        assert await repos.organizations.list_all() == [first, second]


async def test_a_member_keeps_the_last_role(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    person = User(id=UserId(new_id()), email="ana@shop.example", password_hash="$argon2id$")
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


async def test_people_are_found_however_their_address_is_capitalised(
    transactions: Transactions,
) -> None:
    person = User(id=UserId(new_id()), email="ana@shop.example", password_hash="$argon2id$")

    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)

    async with transactions.begin(Operator()) as repos:
        assert await repos.users.find_by_email("Ana@Shop.Example") == person
        assert await repos.users.find_by_email("eva@shop.example") is None


async def test_an_address_has_one_person(transactions: Transactions) -> None:
    def person() -> User:
        return User(id=UserId(new_id()), email="ana@shop.example", password_hash="$argon2id$")

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.users.add(person())
            await repos.users.add(person())


async def test_a_connection_is_found_by_its_address_while_enabled(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    closed = await create_shop(transactions, "222", is_enabled=False)

    async with transactions.begin(Operator()) as repos:
        addresses = {shop.address, closed.address, NOWHERE}
        snapshot = await repos.snapshots.read(SnapshotRequest(addresses=addresses))
        assert snapshot.connections == {shop.address: shop}
        assert await repos.connections.get_for_update(closed.org_id, closed.address) == closed
        assert await repos.connections.get_for_update(shop.org_id, closed.address) is None


async def test_a_connection_is_changed(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    changed = replace(shop, display_name="Ventas", is_enabled=False, access_token="v1.k.c.1234")

    async with transactions.begin(Operator()) as repos:
        stored = await repos.connections.update(changed)

    assert stored == changed
    assert stored.created_at
    assert stored.updated_at
    assert stored.access_token_hint == "1234"
    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.list_for_organization(shop.org_id) == [stored]
        assert await repos.connections.find_by_id(shop.id) == stored


async def test_a_number_is_connected_once_in_an_organisation(transactions: Transactions) -> None:
    shop = await create_shop(transactions)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.add(replace(shop, id=ConnectionId(new_id()), is_enabled=False))


async def test_a_connection_that_was_removed_cannot_be_changed(transactions: Transactions) -> None:
    shop = await create_shop(transactions)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.remove(shop.id)
            await repos.connections.update(shop)


async def test_tokens_under_other_keys_are_found(transactions: Transactions) -> None:
    one, two = await create_shop(transactions), await create_shop(transactions, "222")
    await create_shop(transactions, "333")
    old = replace(one, access_token="v1.old%.c.1234")
    new = replace(two, access_token="v1.new_.c.1234")

    async with transactions.begin(Operator()) as repos:
        for connection in (old, new):
            await repos.connections.update(connection)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.list_not_encrypted_with("new_", 10) == [old]
        assert await repos.connections.list_not_encrypted_with("old%", 10) == [new]
        assert await repos.connections.list_not_encrypted_with("ne", 1) == [old]


async def test_activity_counts_what_people_sent_over_each_connection(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop, phone=None), a_contact(shop, phone=None)
    hers, evas = a_thread(shop, ana, "a"), a_thread(shop, eva, "b")
    later = replace(evas, last_message_at=NOON + timedelta(hours=3))
    await keep(transactions, ana, eva, hers, later)
    messages = [
        a_message(hers, "1"),
        replace(a_message(later, "2"), sent_at=NOON + timedelta(hours=3)),
        replace(a_message(later, "3"), sent_at=NOON + timedelta(hours=2)),
        replace(
            a_message(later, "4"), sent_at=NOON + timedelta(hours=2), direction=Direction.OUTBOUND
        ),
    ]

    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({message.key: message for message in messages})

    async with transactions.begin(Operator()) as repos:
        since = NOON + timedelta(hours=1)
        assert await repos.connections.read_activity(shop.org_id, since) == {
            shop.id: ConnectionActivity(
                last_message_at=NOON + timedelta(hours=3), messages_last_day=2
            )
        }
        assert await repos.connections.read_activity(OrgId(new_id()), since) == {}


async def test_a_session_ends_once(transactions: Transactions) -> None:
    ended, other = new_id(), new_id()

    for _ in range(2):
        async with transactions.begin(Operator()) as repos:
            await repos.sessions.end(ended, NOON)

    async with transactions.begin(Operator()) as repos:
        assert await repos.sessions.is_ended(ended)
        assert not await repos.sessions.is_ended(other)


async def test_a_person_sees_their_organisations_and_a_new_password_counts(
    transactions: Transactions,
) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    person = User(id=UserId(new_id()), email="ana@shop.example", password_hash="$argon2id$")
    async with transactions.begin(Operator()) as repos:
        await repos.users.add(person)
        for org_id, role in ((shop.org_id, Role.MEMBER), (other.org_id, Role.OWNER)):
            member = Member(id=MemberId(new_id()), org_id=org_id, user_id=person.id, role=role)
            await repos.organizations.upsert_member(member)
        await repos.users.change_password(person.id, "$argon2id$new")

    async with transactions.begin(Operator()) as repos:
        mine = await repos.organizations.list_for_user(person.id)
        assert [(m.organization.id, m.role) for m in mine] == [
            (shop.org_id, Role.MEMBER),
            (other.org_id, Role.OWNER),
        ]
        assert await repos.organizations.list_for_user(UserId(new_id())) == []
        changed = await repos.users.find_by_email("ana@shop.example")
    assert changed == replace(person, password_hash="$argon2id$new")


async def test_an_enabled_number_belongs_to_one_organisation(transactions: Transactions) -> None:
    await create_shop(transactions)

    with pytest.raises(NumberConnectedElsewhere):
        await create_shop(transactions)

    await create_shop(transactions, is_enabled=False)


async def test_a_disabled_number_cannot_be_enabled_while_another_has_it(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    second = await create_shop(transactions, is_enabled=False)

    with pytest.raises(NumberConnectedElsewhere):
        async with transactions.begin(Operator()) as repos:
            await repos.connections.update(replace(second, is_enabled=True))


async def test_a_removed_connection_leaves_its_conversations(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    await keep(transactions, ana, thread)

    async with transactions.begin(Operator()) as repos:
        assert await repos.connections.remove(shop.id)
        assert not await repos.connections.remove(shop.id)

    stored = await open_stored_rows(transactions).threads()
    assert stored == [replace(thread, connection_id=None)]


async def test_a_contact_is_found_by_identity(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    ana = a_contact(shop)
    key, identity = known_as(ana, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana}, {key: identity})

    async with transactions.begin(Operator()) as repos:
        assert await read_matches(repos, key, shop, other) == {
            key: IdentityMatch(ana, is_linked=True)
        }


@pytest.mark.parametrize("stored", ["5491155550001", "+5491155550001"])
async def test_a_contact_from_elsewhere_is_found_by_its_phone(
    transactions: Transactions, stored: str
) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop, phone=stored)
    await keep(transactions, ana)

    async with transactions.begin(Operator()) as repos:
        key, _ = known_as(ana, "5491155550001")
        assert await read_matches(repos, key, shop) == {key: IdentityMatch(ana, is_linked=False)}


async def test_an_identity_counts_more_than_a_phone(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop), a_contact(shop, phone=None)
    key, identity = known_as(eva, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana, eva.id: eva}, {key: identity})

    async with transactions.begin(Operator()) as repos:
        assert await read_matches(repos, key, shop) == {
            key: IdentityMatch(eva, is_linked=True, phone_holder_id=ana.id)
        }


async def test_an_identity_has_one_owner(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop, phone=None), a_contact(shop, phone=None)
    key, identity = known_as(ana, "5491155550001")
    _, same = known_as(eva, "5491155550001")

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({ana.id: ana}, {key: identity})
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.contacts.add({eva.id: eva}, {key: same})


async def test_a_phone_has_one_contact(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop), a_contact(shop)
    await keep(transactions, ana)

    with pytest.raises(ConcurrentUpdate):
        await keep(transactions, eva)


async def test_threads_are_found_by_name_and_by_contact(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva, leo = (a_contact(shop, phone=None) for _ in range(3))
    hers, evas, leos = (
        a_thread(shop, ana, "wa:1:2"),
        a_thread(shop, eva, None),
        a_thread(shop, leo, "x"),
    )
    await keep(transactions, ana, eva, leo, hers, evas, leos)

    key, identity = known_as(eva, "5491155550002")
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({}, {key: identity})
    request = SnapshotRequest(
        addresses={shop.address},
        participants={Participant(shop.address, Identity(key.kind, key.value))},
        messages=[MessageReference(shop.address, "wamid.1", "wa:1:2")],
    )

    async with transactions.begin(Operator()) as repos:
        found = (await repos.snapshots.read(request)).threads
        assert sorted(found, key=lambda thread: thread.id) == [hers, evas]


@pytest.mark.parametrize("same", ["name", "contact and connection"])
async def test_a_thread_is_started_once(transactions: Transactions, same: str) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop, phone=None), a_contact(shop, phone=None)
    first = a_thread(shop, ana)
    second = a_thread(shop, eva) if same == "name" else a_thread(shop, ana, "another name")
    await keep(transactions, ana, eva, first)

    with pytest.raises(ConcurrentUpdate):
        await keep(transactions, second)


async def test_the_end_of_a_thread_only_moves_forward(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    await keep(transactions, ana, thread)

    for hours in (2, 1):
        moved = replace(thread, last_message_at=NOON + timedelta(hours=hours))
        async with transactions.begin(Operator()) as repos:
            await repos.threads.advance({moved.id: moved})

    (found,) = await open_stored_rows(transactions).threads()
    assert found.last_message_at == NOON + timedelta(hours=2)


async def test_a_message_is_added_once(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    await keep(transactions, ana, thread)
    first, again, other = (a_message(thread, name) for name in ("wamid.1", "wamid.1", "wamid.2"))

    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({first.key: first})
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.messages.add({again.key: again, other.key: other})

    assert await open_stored_rows(transactions).messages() == [first]


async def test_a_message_id_is_another_one_on_another_channel(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    await keep(transactions, ana, thread)
    here = a_message(thread)
    there = replace(a_message(thread), channel=Channel.INSTAGRAM)

    async with transactions.begin(Operator()) as repos:
        both = {here.key: here, there.key: there}
        await repos.messages.add(both)

    assert len(await open_stored_rows(transactions).messages()) == 2


async def test_messages_are_locked_and_changed(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    await keep(transactions, ana, thread)
    one, two = a_message(thread, "wamid.1"), a_message(thread, "wamid.2")
    unknown = a_message(thread, "wamid.3")
    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({one.key: one, two.key: two})
    changed = replace(one, body="chau", content={"edits": [{"body": one.body}]})

    async with transactions.begin(Operator()) as repos:
        assert await repos.messages.get_for_update({one.key, unknown.key}) == {one.key: one}
        await repos.messages.update({one.key: changed})

    async with transactions.begin(Operator()) as repos:
        found = await repos.messages.get_for_update({one.key, two.key})
    assert found == {one.key: changed, two.key: two}


async def test_a_contact_is_changed_from_what_it_was(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop), a_contact(shop, phone=None)
    await keep(transactions, ana, eva)
    known = replace(
        ana,
        name="Ana G.",
        phone="5491155550009",
        profile_name="Ana",
        profile_seen_at=NOON,
        marketing_consent=False,
        marketing_consent_at=NOON,
    )

    async with transactions.begin(Operator()) as repos:
        await repos.contacts.compare_and_swap({ana.id: (ana, known)})

    async with transactions.begin(Operator()) as repos:
        key, _ = known_as(known, "5491155550009")
        assert await read_matches(repos, key, shop) == {key: IdentityMatch(known, is_linked=False)}
    for old in (ana, replace(eva, name="somebody else")):
        with pytest.raises(ConcurrentUpdate):
            async with transactions.begin(Operator()) as repos:
                await repos.contacts.compare_and_swap(
                    {old.id: (old, replace(old, name="overwritten"))}
                )
    assert {c.name for c in await open_stored_rows(transactions).contacts()} == {"Ana G.", "Ana"}


async def test_a_contact_cannot_take_anothers_phone(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop), a_contact(shop, phone=None)
    await keep(transactions, ana, eva)

    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.contacts.compare_and_swap({eva.id: (eva, replace(eva, phone=ana.phone))})


def a_change(shop: Connection, id: str = "wamid.9", about: str = "wamid.1") -> ChangeRecord:
    return ChangeRecord(
        id=ChangeId(new_id()),
        org_id=shop.org_id,
        channel=shop.channel,
        external_id=id,
        kind=ChangeKind.EDIT,
        subject=about,
        content={"body": "chau 👋", "nested": [None, 1]},
        sent_at=NOON,
        is_waiting=True,
    )


def in_order(
    found: Mapping[ChangeTarget, Sequence[ChangeRecord]],
) -> Mapping[ChangeTarget, Sequence[ChangeRecord]]:
    return {
        about: sorted(changes, key=lambda change: change.id) for about, changes in found.items()
    }


async def test_a_change_is_added_once(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    first, again, other = a_change(shop), a_change(shop), a_change(shop, "wamid.10")
    elsewhere = replace(a_change(shop), channel=Channel.INSTAGRAM)

    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.add({first.key: first}) == {first.key}
    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.find_stored_keys({first.key, other.key}) == {first.key}
        added = await repos.changes.add({c.key: c for c in (again, other, elsewhere)})
        assert added == {other.key, elsewhere.key}
    async with transactions.begin(Operator()) as repos:
        found = await repos.changes.list_for_targets({first.target})
    assert in_order(found) == {first.target: [first, other]}


async def test_changes_are_found_by_what_they_are_about(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    waits, done = a_change(shop), replace(a_change(shop, "wamid.10"), is_waiting=False)
    changes = [
        waits,
        done,
        a_change(other),
        replace(a_change(shop), channel=Channel.INSTAGRAM),
        a_change(shop, "wamid.11", about="wamid.2"),
    ]
    unknown = waits.target._replace(name="wamid.3")

    async with transactions.begin(Operator()) as repos:
        await repos.changes.add({change.key: change for change in changes})

    async with transactions.begin(Operator()) as repos:
        found = await repos.changes.list_for_targets({waits.target, unknown})
        waiting = await repos.changes.find_pending({waits.target, unknown})
    assert in_order(found) == {waits.target: [waits, done]}
    assert waiting == {waits.target: [waits]}


async def test_a_change_that_was_updated_waits_no_more(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    waits, other = a_change(shop), a_change(shop, "wamid.10")
    settled = replace(waits, is_waiting=False, content={})

    async with transactions.begin(Operator()) as repos:
        await repos.changes.lock_ingest_exclusively()
        await repos.changes.add({waits.key: waits, other.key: other})
    async with transactions.begin(Operator()) as repos:
        await repos.changes.update([settled])

    async with transactions.begin(Operator()) as repos:
        assert await repos.changes.find_pending({waits.target}) == {waits.target: [other]}
        found = await repos.changes.list_for_targets({waits.target})
    assert in_order(found) == {waits.target: [settled, other]}


async def test_a_contact_has_one_open_deal(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    deal = a_deal(ana)
    await keep(transactions, ana, deal)

    with pytest.raises(ConcurrentUpdate):
        await keep(transactions, a_deal(ana))

    async with transactions.begin(Operator()) as repos:
        found = await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
    assert found.open_deals == {key_of(ana): OpenDeal(deal, None)}


async def test_a_won_deal_is_not_open(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    await keep(transactions, ana, replace(a_deal(ana), status=DealStatus.WON))

    async with transactions.begin(Operator()) as repos:
        assert (
            await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
        ).open_deals == {}
    await keep(transactions, a_deal(ana))


async def test_an_open_deal_comes_with_the_message_it_is_named_after(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    message, other = a_message(thread), a_message(thread, "wamid.2")
    deal = replace(a_deal(ana), message_id=message.id, source={"ref": "é", "sent_at": None})
    await keep(transactions, ana, thread)
    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({message.key: message, other.key: other})
    await keep(transactions, deal)

    async with transactions.begin(Operator()) as repos:
        found = await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
        assert found.open_deals == {key_of(ana): OpenDeal(deal, message)}
        assert await repos.deals.list_with_first_message_in([message, other]) == [deal]
        assert await repos.deals.list_with_first_message_in([other]) == []


async def test_all_that_a_batch_may_need_is_found_at_once(transactions: Transactions) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    ana, eva, leo = a_contact(shop), a_contact(shop, phone=None), a_contact(shop, "+5491155550003")
    strangers = a_contact(other)
    key, identity = known_as(eva, "5491155550002")
    hers = a_thread(shop, ana, f"wa:{SHOP_NUMBER}:5491155550001")
    evas, another = a_thread(shop, eva, None), a_thread(shop, eva, "another")
    another = replace(another, connection_id=None)
    named = a_thread(shop, strangers_here := a_contact(shop, None), f"wa:{SHOP_NUMBER}:4")
    await keep(transactions, ana, eva, leo, strangers, strangers_here, hers, evas, another, named)
    stored = a_message(hers, "wamid.stored")
    deals = [replace(a_deal(ana), message_id=stored.id), a_deal(strangers_here), a_deal(strangers)]
    waits = a_change(shop, about="wamid.new")
    persons = a_change(shop, "wamid.10", about="whatsapp_phone:5491155550003")
    settled = replace(a_change(shop, "wamid.11", about="wamid.new"), is_waiting=False)
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({}, {key: identity})
        await repos.messages.add({stored.key: stored})
        await repos.changes.add({c.key: c for c in (waits, persons, settled)})
    await keep(transactions, *deals)
    batch = [
        make_message(id="wamid.stored"),
        make_message(id="wamid.new", by="5491155550002"),
        make_message(by="5491155550003"),
        make_message(by="4"),
        make_message(to="999"),
    ]

    async with transactions.begin(Operator()) as repos:
        found = await repos.snapshots.read(SnapshotRequest.for_messages(batch))

    assert {a: c.id for a, c in found.connections.items()} == {shop.address: shop.id}
    assert found.stored_keys == {stored.key}
    assert found.pending == {waits.target: [waits], persons.target: [persons]}
    anas, leos = (known_as(c, (c.phone or "").removeprefix("+"))[0] for c in (ana, leo))
    assert found.matches == {
        anas: IdentityMatch(ana, is_linked=False),
        key: IdentityMatch(eva, is_linked=True),
        leos: IdentityMatch(leo, is_linked=False),
    }
    assert sorted(found.threads, key=lambda thread: thread.id) == [hers, evas, another, named]
    assert found.open_deals == {
        key_of(ana): OpenDeal(deals[0], stored),
        key_of(strangers_here): OpenDeal(deals[1], None),
    }


async def test_a_deal_is_changed_from_what_it_was(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = a_contact(shop)
    thread = a_thread(shop, ana)
    message, deal = a_message(thread), a_deal(ana)
    await keep(transactions, ana, thread, deal)
    named = replace(deal, title="chau", message_id=message.id, source={"source_id": "1"})

    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({message.key: message})
        await repos.deals.compare_and_swap({deal.id: (deal, named)})

    assert await open_stored_rows(transactions).deals() == [named]
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.deals.compare_and_swap(
                {deal.id: (deal, replace(deal, title="overwritten"))}
            )
    assert await open_stored_rows(transactions).deals() == [named]


async def test_what_is_said_of_a_message_is_said_anew(transactions: Transactions) -> None:
    """Only where it is the one that is described."""
    shop = await create_shop(transactions)
    ana, eva = a_contact(shop), a_contact(shop, phone=None)
    hers, evas = a_thread(shop, ana, "a"), a_thread(shop, eva, "b")
    messages = [a_message(hers, "wamid.1"), a_message(hers, "wamid.2"), a_message(evas, "wamid.3")]
    deals = [a_deal(ana), a_deal(eva)]
    await keep(transactions, ana, eva, hers, evas, *deals)
    insights = [
        Insight(
            id=InsightId(new_id()),
            org_id=shop.org_id,
            deal_id=deal.id,
            summary="wants a cake",
            intent="purchase",
            score=90,
            next_step="Send the payment link",
            provider="dummy",
            updated_at=NOON,
            message_external_id=message,
        )
        for deal, message in zip(deals, ("wamid.2", "wamid.3"), strict=True)
    ]
    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({message.key: message for message in messages})
        await repos.insights.upsert({insight.deal_id: insight for insight in insights})

    gone = description_of_deleted("[deleted]")
    async with transactions.begin(Operator()) as repos:
        await repos.insights.replace_descriptions({messages[0].key: gone})
    assert await open_stored_rows(transactions).insights() == insights
    async with transactions.begin(Operator()) as repos:
        await repos.insights.replace_descriptions({message.key: gone for message in messages[:2]})

    first, second = await open_stored_rows(transactions).insights()
    assert second == insights[1]
    assert first == replace(
        insights[0], summary="[deleted]", intent="unknown", score=0, next_step=""
    )


async def test_failed_messages_are_listed_by_organisation(transactions: Transactions) -> None:
    shops = [await create_shop(transactions, number) for number in ("1", "2")]
    first, second = (
        FailedMessage(
            id=FailedMessageId(new_id()),
            org_id=shop.org_id,
            payload={"entry": [None, "é"]},
            error="`sender.id` is missing",
            next_attempt_at=NOON,
        )
        for shop in shops
    )

    async with transactions.begin(Operator()) as repos:
        await repos.failed_messages.add([first, second])

    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_for_organization(first.org_id) == [first]
        assert await repos.failed_messages.list_all() == [first, second]


async def test_empty_batches_are_welcome(transactions: Transactions) -> None:
    async with transactions.begin(Operator()) as repos:
        await repos.contacts.add({}, {})
        await repos.contacts.compare_and_swap({})
        await repos.threads.add({})
        await repos.threads.advance({})
        await repos.messages.add({})
        assert await repos.messages.get_for_update(set()) == {}
        await repos.messages.update({})
        assert await repos.changes.find_stored_keys(set()) == set()
        assert await repos.changes.find_pending(set()) == {}
        assert await repos.changes.list_for_targets(set()) == {}
        assert await repos.changes.add({}) == set()
        await repos.changes.update([])
        empty = await repos.snapshots.read(SnapshotRequest(addresses=set()))
        assert empty == IngestSnapshot(connections={}, stored_keys=set(), threads=[])
        assert await repos.deals.list_with_first_message_in([]) == []
        await repos.deals.add({})
        await repos.deals.compare_and_swap({})
        await repos.insights.upsert({})
        await repos.insights.replace_descriptions({})
        await repos.events.append([])
        await repos.failed_messages.add([])
        assert await repos.leads.list_latest(None, 10) == []
