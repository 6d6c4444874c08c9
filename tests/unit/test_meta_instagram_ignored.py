"""Instagram items and fields that do not count and are ignored by name."""

from collections.abc import Callable

import pytest

from domain.inbound import InboundMessage
from interfaces.meta.parsed import IgnoredItem
from tests.support.instagram_payloads import (
    ECHO,
    OTHER_ENVELOPES,
    POSTBACK_WITHOUT_ID,
    TEXT_ITEM,
    edit_item,
    parse_all_items,
    reaction_item,
    with_attachments,
)
from tests.support.payloads import (
    IVO,
    MID,
    SENT_AT_SECONDS,
    Json,
    count_ignored_items,
    direct_message,
    instagram_delivery,
    instagram_item,
    parse_changes,
    parse_messages,
    without,
)

UNCOUNTED_ITEMS: dict[str, Json] = {
    **{
        f"{flag} is {yes!r}": direct_message(text="hola", **{flag: yes})
        for flag in ("is_echo", "is_deleted", "is_self")
        for yes in (True, "true", 1)
    },
    "echo of a story mention": direct_message(is_echo=True, **with_attachments("story_mention")),
    "reaction": instagram_item(
        reaction={"mid": MID, "action": "react", "reaction": "love", "emoji": "❤️"}
    ),
    "reaction taken back": instagram_item(reaction={"mid": MID, "action": "unreact"}),
    "seen": instagram_item(read={"mid": MID}),
    "seen without sender": {"timestamp": SENT_AT_SECONDS * 1000, "read": {"mid": MID}},
    "edit": instagram_item(message_edit={"mid": MID, "text": "adiós", "num_edit": 1}),
    "edit, counted in a string": instagram_item(
        message_edit={"mid": MID, "text": "adiós", "num_edit": "1"}
    ),
    "edit of nothing": {"timestamp": SENT_AT_SECONDS, "message_edit": {"mid": MID, "num_edit": 0}},
    "referral alone": instagram_item(
        referral={"ref": "afiche", "source": "IG_ME", "type": "OPEN_THREAD"}
    ),
    **{
        name: instagram_item(**{name: {"previous_owner_app_id": "1", "metadata": "x"}})
        for name in (
            "pass_thread_control",
            "take_thread_control",
            "request_thread_control",
            "app_roles",
            "optin",
            "policy_enforcement",
            "response_feedback",
            "tomorrow",
        )
    },
    "empty": instagram_item(),
    "message is null": instagram_item(message=None),
    "null": None,
    "a string": "hola",
}


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize("event", UNCOUNTED_ITEMS.values(), ids=UNCOUNTED_ITEMS)
def test_uncounted_item_hides_no_message_beside_it(event: Json, under: str) -> None:
    assert parse_messages(instagram_delivery(event, under=under)) == []
    assert parse_messages(
        instagram_delivery(event, TEXT_ITEM, event, under=under)
    ) == parse_messages(instagram_delivery(TEXT_ITEM))


@pytest.mark.parametrize("event", UNCOUNTED_ITEMS.values(), ids=UNCOUNTED_ITEMS)
@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
def test_uncounted_item_does_not_count_in_other_envelopes(
    event: Json, envelope: Callable[[str, Json], Json]
) -> None:
    assert parse_messages(envelope("messages", event)) == []


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize("event", UNCOUNTED_ITEMS.values(), ids=UNCOUNTED_ITEMS)
def test_uncounted_item_is_one_change_or_one_ignored_item(event: Json, under: str) -> None:
    delivery = instagram_delivery(event, under=under)

    assert len(parse_changes(delivery)) + count_ignored_items(delivery).total() == 1
    assert (
        count_ignored_items(instagram_delivery(TEXT_ITEM)).total()
        == len(parse_changes(instagram_delivery(TEXT_ITEM)))
        == 0
    )


@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
@pytest.mark.parametrize(
    "field",
    [
        "comments",
        "live_comments",
        "mentions",
        "story_insights",
        "message_reactions",
        "messaging_seen",
        "messaging_handover",
        "messaging_optins",
        "message_echoes",
        "message_edit",
        "messaging_referral",
        "tomorrow",
        "",
        None,
        7,
    ],
)
def test_other_fields_hold_no_messages(field: str, envelope: Callable[[str, Json], Json]) -> None:
    comment = {"from": {"id": IVO, "username": "ivo"}, "id": "1", "text": "¡lindo!", "media": {}}

    for value in (comment, {"media_id": "1", "comment_id": "2"}, TEXT_ITEM, POSTBACK_WITHOUT_ID):
        assert parse_messages(envelope(field, value)) == []


def parse_only_ignored(event: Json) -> IgnoredItem:
    (ignored_item,) = parse_all_items(instagram_delivery(event))
    assert isinstance(ignored_item, IgnoredItem)
    return ignored_item


IGNORED_ITEMS: dict[str, tuple[Json, tuple[str, ...]]] = {
    name: (event, (reason, "instagram", "event", ignored_name))
    for name, event, reason, ignored_name in [
        ("new, announced", edit_item(num_edit=0), "ignored", "message_edit 0"),
        (
            "new, announced without names",
            {"timestamp": SENT_AT_SECONDS, "message_edit": {"mid": MID, "num_edit": "0"}},
            "ignored",
            "message_edit 0",
        ),
        ("new, announced at length", edit_item(num_edit="00"), "ignored", "message_edit 0"),
        (
            "edit, very long number",
            edit_item(num_edit="9" * 5000),
            "unknown",
            "edit with an id too long",
        ),
        ("edit is a string", instagram_item(message_edit="adiós"), "unknown", "edit without text"),
        ("edit without text", edit_item(text=" "), "unknown", "edit without text"),
        ("edit without message", edit_item(mid=None), "unknown", "edit without message"),
        ("edit, id too long", edit_item(mid="a" * 512), "unknown", "edit with an id too long"),
        (
            "unsend without message",
            direct_message(mid=" ", is_deleted=True),
            "unknown",
            "unsend without message",
        ),
        (
            "unsend, id too long",
            direct_message(mid="a" * 512, is_deleted=True),
            "unknown",
            "unsend with an id too long",
        ),
        (
            "reaction without message",
            reaction_item(mid=None),
            "unknown",
            "reaction without message",
        ),
        (
            "reaction, id too long",
            reaction_item(mid="a" * 513),
            "unknown",
            "reaction with an id too long",
        ),
        (
            "reaction without sender",
            reaction_item() | {"sender": None},
            "unknown",
            "reaction without sender",
        ),
        (
            "reaction is a list",
            instagram_item(reaction=["❤️"]),
            "unknown",
            "reaction without message",
        ),
        ("echo without recipient", without(ECHO, "recipient"), "unknown", "echo without recipient"),
        (
            "echo, id too long",
            direct_message(mid="a" * 513, is_echo=True),
            "unknown",
            "echo with an id too long",
        ),
        (
            "echo, recipient too long",
            ECHO | {"recipient": {"id": "9" * 513}},
            "unknown",
            "echo with an id too long",
        ),
        ("to itself", direct_message(text="hola", is_self=True), "ignored", "is_self"),
        (
            "to itself, echo",
            direct_message(text="hola", is_self=True, is_echo=True),
            "ignored",
            "is_self",
        ),
        (
            "to itself, unsent",
            direct_message(is_self="true", is_deleted=True),
            "ignored",
            "is_self",
        ),
        ("seen", instagram_item(read={"mid": MID}), "ignored", "read"),
        (
            "seen without sender",
            {"timestamp": SENT_AT_SECONDS, "read": {"mid": MID}},
            "ignored",
            "read",
        ),
        ("seen, and more", instagram_item(tomorrow={}, read={"mid": MID}), "ignored", "read"),
        ("referral alone", instagram_item(referral={"ref": "afiche"}), "ignored", "referral"),
        *(
            (name, instagram_item(**{name: {"metadata": "x"}}), "ignored", name)
            for name in (
                "pass_thread_control",
                "take_thread_control",
                "request_thread_control",
                "app_roles",
                "optin",
                "policy_enforcement",
                "response_feedback",
            )
        ),
        ("empty", instagram_item(), "ignored", "empty"),
        ("nothing at all", {}, "ignored", "empty"),
        ("message is null", instagram_item(message=None, reaction=None), "ignored", "empty"),
        ("unknown part", instagram_item(tomorrow={}), "unknown", "tomorrow"),
        ("two unknown parts", instagram_item(b={}, a={}), "unknown", "b"),
        ("unknown part without name", instagram_item(**{"": {}}), "unknown", "none"),
        ("null", None, "unknown", "no object"),
        ("a string", "hola", "unknown", "no object"),
    ]
}


@pytest.mark.parametrize("under", ["messaging", "standby"])
@pytest.mark.parametrize(("event", "ignored_item"), IGNORED_ITEMS.values(), ids=IGNORED_ITEMS)
def test_other_item_is_ignored_by_name_and_hides_no_message(
    event: Json, ignored_item: tuple[str, ...], under: str
) -> None:
    first, message, last = parse_all_items(
        instagram_delivery(event, direct_message(text="hola"), event, under=under)
    )

    assert parse_only_ignored(event) == first == last == ignored_item
    assert isinstance(message, InboundMessage)


@pytest.mark.parametrize(
    "value", [direct_message(text="hola"), {"id": "1", "text": "¡lindo!"}, None, "x", 7]
)
@pytest.mark.parametrize(
    ("field", "reason", "name"),
    [
        *(
            (field, "ignored", field)
            for field in (
                "comments",
                "live_comments",
                "mentions",
                "story_insights",
                "messaging_seen",
                "messaging_referral",
                "messaging_optins",
                "messaging_handover",
                "messaging_handovers",
                "messaging_policy_enforcement",
                "response_feedback",
            )
        ),
        ("tomorrow", "unknown", "tomorrow"),
        ("", "unknown", "none"),
        (None, "unknown", "none"),
        ([], "unknown", "none"),
    ],
)
@pytest.mark.parametrize("envelope", OTHER_ENVELOPES)
def test_other_field_is_ignored_by_name(
    field: Json, reason: str, name: str, value: Json, envelope: Callable[[str, Json], Json]
) -> None:
    assert parse_all_items(envelope(field, value)) == [(reason, "instagram", "field", name)]
