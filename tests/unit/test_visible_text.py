"""Tests which texts a reader can see, and which profile names hold nothing visible."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contact import Contact, ContactId, Sender
from domain.organization import OrgId
from domain.text import is_visible
from tests.support.builders import NOON, new_id, phone_identity

INVISIBLE_SAMPLES = [
    "",
    " ",
    "\u200e",
    "\u202e\u202c",
    "\u2066\u2069",
    "\u200b\u200d\ufeff",
    "\u00ad",
    "\u00a0\u3000",
    "\u2028\u2029",
    "\t\n\x7f",
    "\u3164",
    "\u115f\u1160\uffa0",
    "\u2800",
    "\ufe0f",
]

INVISIBLE_TEXTS = st.text(
    st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp"])
    | st.sampled_from("\u115f\u1160\u3164\uffa0\u2800")
)
VISIBLE_CHARACTERS = st.characters(categories=["L", "N", "P", "S"]).filter(
    lambda character: character not in "\u115f\u1160\u3164\uffa0\u2800"
)

NAMELESS = Contact(id=ContactId(new_id()), org_id=OrgId(new_id()))


def sender_named(name: str) -> Sender:
    return Sender(identities=(phone_identity("34600009601"),), name=name)


@pytest.mark.parametrize("text", INVISIBLE_SAMPLES, ids=ascii)
def test_text_without_a_visible_character_is_invisible(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize("text", ["Ana", "李", "👩‍💻", ".", "\u200eAna", "1", "ᄀ", "\u3164a"])
def test_text_with_a_visible_character_is_visible(text: str) -> None:
    assert is_visible(text)


@given(INVISIBLE_TEXTS, VISIBLE_CHARACTERS, INVISIBLE_TEXTS)
def test_one_visible_character_suffices(before: str, character: str, after: str) -> None:
    assert not is_visible(before + after)
    assert is_visible(before + character + after)


@given(INVISIBLE_TEXTS)
def test_invisible_profile_name_is_no_name_in_any_order(invisible: str) -> None:
    senders = [sender_named(name) for name in (invisible, "Quique", invisible)]
    for order in permutations(range(len(senders))):
        contact = NAMELESS
        for minute in order:
            contact = contact.with_profile_from(senders[minute], NOON + timedelta(minutes=minute))
        assert (contact.name, contact.profile_name) == ("Quique", "Quique")
        assert contact.profile_seen_at == NOON + timedelta(minutes=1)


@given(INVISIBLE_TEXTS)
def test_invisible_name_that_is_stored_gives_way(invisible: str) -> None:
    stored = Contact(
        id=NAMELESS.id,
        org_id=NAMELESS.org_id,
        name=invisible,
        profile_name=invisible,
        profile_seen_at=NOON,
    )

    contact = stored.with_profile_from(sender_named("Rita"), NOON + timedelta(days=1))

    assert (contact.name, contact.profile_name) == ("Rita", "Rita")


def test_name_that_a_user_of_the_crm_gave_stays() -> None:
    stored = Contact(id=NAMELESS.id, org_id=NAMELESS.org_id, name="Señora Rita")

    contact = stored.with_profile_from(sender_named("Rita"), NOON)

    assert (contact.name, contact.profile_name) == ("Señora Rita", "Rita")
