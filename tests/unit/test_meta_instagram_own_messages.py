"""Instagram messages whose sender is the account itself, with and without the flags of an echo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.change import ChangeKind
from interfaces.meta.parsed import IgnoredItem
from tests.support.arbitrary_json import ANY_JSON, THOROUGH
from tests.support.instagram_payloads import OTHER_ENVELOPES, account_item, ivo_sender
from tests.support.payloads import (
    ACCOUNT_ID,
    MID,
    Json,
    Object,
    count_ignored_items,
    instagram_delivery,
    parse_change,
    parse_changes,
    parse_messages,
    without,
)

OWN_TEXT: Object = {"mid": MID, "text": "respuesta"}
OWN_ITEM = account_item(message=OWN_TEXT)


@pytest.mark.parametrize("flags", [{}, {"is_echo": False}, {"is_echo": None}, {"is_echo": "no"}])
@pytest.mark.parametrize("under", ["messaging", "standby"])
def test_message_of_the_account_without_the_flag_is_an_echo(flags: Object, under: str) -> None:
    delivery = instagram_delivery(account_item(message=OWN_TEXT | flags), under=under)

    change = parse_change(delivery)

    assert parse_messages(delivery) == []
    assert (change.kind, change.external_id, change.person) == (ChangeKind.ECHO, MID, ivo_sender())
    assert change.content == {"kind": "text", "body": "respuesta", "content": {}}
    assert parse_changes(change.payload) == [change]


@pytest.mark.parametrize("field", ["messages", "standby", "message_echoes"])
def test_message_of_the_account_is_an_echo_in_other_envelopes(field: str) -> None:
    for make_delivery in OTHER_ENVELOPES[:2]:
        delivery = make_delivery(field, OWN_ITEM)
        assert parse_change(delivery).kind is ChangeKind.ECHO
        assert parse_messages(delivery) == []


@pytest.mark.parametrize(
    ("item", "verdict", "name"),
    [
        (OWN_ITEM | {"recipient": {"id": ACCOUNT_ID}}, "ignored", "is_self"),
        (without(OWN_ITEM, "recipient"), "unknown", "echo without recipient"),
        (account_item(message="respuesta"), "unknown", "echo without message"),
        (account_item(postback={"mid": MID, "title": "x"}), "unknown", "echo without message"),
    ],
)
def test_item_of_the_account_that_is_no_echo_is_ignored(
    item: Object, verdict: str, name: str
) -> None:
    delivery = instagram_delivery(item)

    assert parse_messages(delivery) == []
    assert parse_changes(delivery) == []
    assert count_ignored_items(delivery) == {IgnoredItem(verdict, "instagram", "event", name): 1}  # type: ignore[arg-type]


def test_unsend_by_the_account_is_no_echo() -> None:
    item = account_item(message={"mid": MID, "is_deleted": True})

    assert parse_change(instagram_delivery(item)).kind is ChangeKind.UNSEND


@given(ANY_JSON, st.sampled_from(["message", "postback"]))
@THOROUGH
def test_nothing_that_the_account_sends_counts(part: Json, name: str) -> None:
    assert parse_messages(instagram_delivery(account_item(**{name: part}))) == []
