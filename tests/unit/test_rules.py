"""Rules of the domain: valid fields, titles, the order of a batch, contacts of senders."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.connection import Channel, Connection, ConnectionId, validate_connection
from domain.contact import Identity, IdentityMatch
from domain.deal import Deal
from domain.errors import InvalidInput
from domain.insight import Description
from domain.organization import OrgId, normalize_email
from domain.planning.message_plan import MessageBatch
from tests.support.builders import SHOP_NUMBER, make_message, new_id, phone_identity, user_identity

SHOP = Connection(
    id=ConnectionId(new_id()),
    org_id=OrgId(new_id()),
    channel=Channel.WHATSAPP,
    external_id=SHOP_NUMBER,
)


def find_invalid_fields(
    external_id: str = "1", display_name: str = "", access_token: str = ""
) -> list[str]:
    try:
        validate_connection(external_id, display_name, access_token)
    except InvalidInput as error:
        return [field_error.field for field_error in error.errors]
    return []


@pytest.mark.parametrize("good", ["1", "106540352242922", "page:a_b.c-D", "x" * 64])
def test_external_id_of_any_provider_is_valid(good: str) -> None:
    assert find_invalid_fields(external_id=good) == []


@pytest.mark.parametrize("bad", ["", "x" * 65, "a/b", "ñ", "１", "1\n"])
def test_external_id_has_up_to_64_plain_characters(bad: str) -> None:
    assert find_invalid_fields(external_id=bad) == ["external_id"]


@pytest.mark.parametrize("number", ["+5491155550001", "54 9 11 5555", "(011) 5555-0001"])
def test_phone_number_in_place_of_its_id_is_explained(number: str) -> None:
    with pytest.raises(InvalidInput, match="phone number id is needed"):
        validate_connection(number, "", "")


def test_every_invalid_field_is_named() -> None:
    assert find_invalid_fields("+", "x" * 81, "a b") == [
        "external_id",
        "display_name",
        "access_token",
    ]
    assert find_invalid_fields(display_name="two\nlines") == ["display_name"]
    assert find_invalid_fields(display_name="Ventas 👩‍💻") == []


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("hola", "hola"),
        ("\n  hola  \nqué tal", "hola"),
        ("", "(no text)"),
        (" \n ", "(no text)"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_title_of_a_deal_is_the_first_line(body: str, title: str) -> None:
    assert Deal.make_title(body) == title


@pytest.mark.parametrize("score", [-1, 101])
def test_score_is_0_to_100(score: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        Description(summary="", intent="", score=score, next_step="")


def test_email_address_is_stored_in_lower_case() -> None:
    assert normalize_email("  Ana@Shop.Example ") == "ana@shop.example"


@pytest.mark.parametrize("bad", ["", "ana", "ana@", "@shop", "a b@shop", "a@b@c", "a@" + "b" * 254])
def test_invalid_email_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="email"):
        normalize_email(bad)


def test_batch_is_ordered_by_the_time_of_sending() -> None:
    late, early = make_message("late", minute=2), make_message("early", minute=1)

    batch = MessageBatch.resolve([late, early], {SHOP.address: SHOP})

    assert [item.message.body for item in batch.resolved.values()] == ["early", "late"]


people = st.lists(
    st.lists(
        st.sampled_from(
            [phone_identity("1"), phone_identity("2"), user_identity("A"), user_identity("B")]
        ),
        min_size=1,
        max_size=2,
        unique=True,
    ),
    max_size=6,
)


@given(senders=people)
def test_each_message_has_one_contact_and_each_identity_one_owner(
    senders: Sequence[Sequence[Identity]],
) -> None:
    batch = MessageBatch.resolve([make_message(by=ids) for ids in senders], {SHOP.address: SHOP})

    plan = batch.plan_contacts({}, {}, new_id)

    assert plan.contact_ids.keys() == batch.resolved.keys()
    assert plan.new_identities.keys() == {
        identity for item in batch.resolved.values() for identity in item.identity_keys
    }
    assert set(plan.contact_ids.values()) == plan.new_contacts.keys()
    for key, item in batch.resolved.items():
        owners = {plan.new_identities[id_].contact_id for id_ in item.identity_keys}
        assert plan.contact_ids[key] in owners


@given(senders=people)
def test_known_identities_make_no_new_contact(senders: Sequence[Sequence[Identity]]) -> None:
    batch = MessageBatch.resolve([make_message(by=ids) for ids in senders], {SHOP.address: SHOP})
    first = batch.plan_contacts({}, {}, new_id)
    owners = {
        key: IdentityMatch(first.new_contacts[identity.contact_id], is_linked=True)
        for key, identity in first.new_identities.items()
    }

    again = batch.plan_contacts(owners, {}, new_id)

    assert (again.new_contacts, again.new_identities) == ({}, {})
    assert again.contact_ids.keys() == first.contact_ids.keys()
