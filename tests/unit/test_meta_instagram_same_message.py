"""Instagram messages that come twice in one entry, in `standby` without their id."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arbitrary_json import THOROUGH
from tests.support.instagram_payloads import POSTBACK_WITHOUT_ID, TEXT_ITEM
from tests.support.payloads import (
    IVO,
    MID,
    Object,
    instagram_delivery,
    instagram_item,
    parse_messages,
    parse_readable_messages,
    without,
)

TEXT_WITHOUT_ID = instagram_item(message={"text": "hola"})


def list_ids(*items: Object, standby: Object) -> list[str]:
    """The ids of the messages of one entry."""
    delivery = instagram_delivery(*items, standby=[standby])
    messages = parse_readable_messages(delivery)
    assert [parse_messages(message.payload) for message in messages] == [[m] for m in messages]
    return [message.external_id for message in messages]


def test_message_without_an_id_is_the_one_with_an_id() -> None:
    assert list_ids(TEXT_ITEM, standby=TEXT_WITHOUT_ID) == [MID, MID]


def test_postback_without_its_payload_is_the_one_with_an_id() -> None:
    postback = instagram_item(postback={"mid": MID, "title": "Ver precios", "payload": "PRICES"})
    in_standby = instagram_item(postback={"title": "Ver precios"})

    assert list_ids(postback, standby=in_standby) == [MID, MID]


@pytest.mark.parametrize(
    "item",
    [
        instagram_item(message={"text": "hola."}),
        TEXT_WITHOUT_ID | {"timestamp": 1795347000001},
        without(TEXT_WITHOUT_ID, "timestamp"),
        TEXT_WITHOUT_ID | {"sender": {"id": IVO + "0"}},
        TEXT_WITHOUT_ID | {"recipient": {"id": "7"}},
        instagram_item(message={"attachments": [{"type": "image"}]}),
        POSTBACK_WITHOUT_ID,
    ],
    ids=["text", "time", "no time", "sender", "recipient", "no text", "postback"],
)
def test_another_message_keeps_its_own_id(item: Object) -> None:
    first, second = list_ids(TEXT_ITEM, standby=item)

    assert first == MID
    assert second.startswith("derived:")


def test_message_without_an_id_that_fits_two_keeps_its_own() -> None:
    twin = instagram_item(message={"mid": "mid.2", "text": "hola"})

    *ids, derived = list_ids(TEXT_ITEM, twin, standby=TEXT_WITHOUT_ID)

    assert ids == [MID, "mid.2"]
    assert derived.startswith("derived:")


TEXTS = st.sampled_from(["hola", "adiós", ""])
ITEMS = st.builds(
    lambda mid, text, time: instagram_item(
        message={**({"mid": mid} if mid else {}), "text": text}, timestamp=time
    ),
    st.sampled_from(["mid.1", "mid.2", None]),
    TEXTS,
    st.sampled_from([1795347000000, 1795347000001]),
)


@given(st.lists(ITEMS, max_size=5), st.lists(ITEMS, max_size=5), st.randoms(use_true_random=False))
@THOROUGH
def test_ids_do_not_depend_on_the_order_and_no_given_id_changes(
    items: list[Object], standby: list[Object], random: Random
) -> None:
    messages = parse_readable_messages(instagram_delivery(*items, standby=standby))
    everything = [*items, *standby]
    random.shuffle(everything)
    shuffled = parse_readable_messages(instagram_delivery(*everything))

    assert sorted(m.external_id for m in shuffled) == sorted(m.external_id for m in messages)
    given_ids = [item["message"].get("mid") for item in [*items, *standby]]
    assert [
        message.external_id for message, mid in zip(messages, given_ids, strict=True) if mid
    ] == [mid for mid in given_ids if mid]
