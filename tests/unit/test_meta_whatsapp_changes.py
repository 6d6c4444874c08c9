"""What WhatsApp tells besides messages (catalogue 1.2 and 1.4, decision 3.3)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.change import ChangeKind, IncomingChange
from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.message import Direction
from interfaces.meta.parsed import IgnoredItem
from tests.support.builders import NOON, phone_identity, user_identity
from tests.support.payloads import (
    ANA,
    ANA_CARD,
    HOLA,
    METADATA,
    NUMBER,
    SECONDS,
    SENT_AT,
    WABA,
    Json,
    Object,
    change,
    change_in,
    changes_in,
    decoded,
    notes_in,
    whatsapp,
    without,
)

ANA_IDS = (phone_identity(ANA), phone_identity("541155550001"))
NEW = "5491155550002"
NEW_IDS = (phone_identity(NEW), phone_identity("541155550002"))
BSUID = "AR.13490000000000001"
NEW_BSUID = "AR.13490000000000002"
SHOP = METADATA["display_phone_number"]


def parent(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PARENT_USER, value)


def from_ana(type: str, **parts: Json) -> Object:
    return without(HOLA, "text") | {"id": "wamid.new", "type": type, **parts}


def edit(**message: Json) -> Object:
    return from_ana("edit", edit={"original_message_id": "wamid.hola", "message": message})


def reaction(**part: Json) -> Object:
    return from_ana("reaction", reaction={"message_id": "wamid.hola", **part})


REVOKE = from_ana("revoke", revoke={"original_message_id": "wamid.hola"})
EDIT = edit(type="text", text={"body": "adiós"})
REACTION = reaction(emoji="👍")


def system(type: str, **parts: Json) -> Object:
    return from_ana("system", system={"type": type, **parts})


def noted(name: str) -> dict[IgnoredItem, int]:
    return {IgnoredItem("unknown", "whatsapp", "event", name): 1}


def identity_content(*ids: Identity) -> dict[str, Any]:
    return {"identities": [list(identity) for identity in ids]}


def test_an_edit_has_the_new_text() -> None:
    assert change_in(whatsapp(change(EDIT))) == IncomingChange(
        address=Address(Channel.WHATSAPP, NUMBER),
        external_id="wamid.new",
        kind=ChangeKind.EDIT,
        sent_at=SENT_AT,
        message_id="wamid.hola",
        content={"body": "adiós"},
        payload={
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": WABA,
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": METADATA,
                                "contacts": [ANA_CARD],
                                "messages": [EDIT],
                            },
                        }
                    ],
                }
            ],
        },
    )


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ({"type": "text", "text": {"body": " a\n"}}, " a\n"),
        ({"text": {"body": "adiós"}, "context": {"id": "M0"}}, "adiós"),
        ({"type": "image", "image": {"caption": "otra"}}, "otra"),
        ({"type": "image", "image": {"id": "1"}}, "[image]"),
        ({"type": "video", "video": None}, "[video]"),
        ({"type": "document", "document": {"filename": "a.pdf"}}, "[document]"),
        ({"type": "text", "text": {}}, "[text]"),
        ({"type": "hologram"}, "[hologram]"),
    ],
)
def test_an_edit_may_be_of_a_caption_or_take_all_words_away(message: Object, body: str) -> None:
    assert change_in(whatsapp(change(edit(**message)))).content == {"body": body}


def test_a_revoked_message_has_no_words_any_more() -> None:
    found = change_in(whatsapp(change(REVOKE)))

    assert (found.kind, found.message_id) == (ChangeKind.UNSEND, "wamid.hola")
    assert (found.external_id, found.sent_at) == ("wamid.new", SENT_AT)
    assert (found.content, found.person) == ({"body": "[deleted]"}, None)


@pytest.mark.parametrize(
    ("part", "emoji"),
    [
        ({"emoji": "👍🏽"}, "👍🏽"),
        ({}, None),
        ({"emoji": ""}, None),
        ({"emoji": None}, None),
        ({"emoji": {"a": 1}}, None),
        ({"emoji": "x" * 1000}, "x" * 64),
    ],
)
def test_a_reaction_has_its_emoji_or_is_taken_back(part: Object, emoji: str | None) -> None:
    found = change_in(whatsapp(change(reaction(**part))))

    assert (found.kind, found.message_id) == (ChangeKind.REACTION, "wamid.hola")
    assert found.content == {"emoji": emoji, "by": Direction.INBOUND}


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (from_ana("edit"), "edit without text"),
        (from_ana("edit", edit=None), "edit without text"),
        (edit(), "edit without text"),
        (from_ana("edit", edit={"message": {"type": "image"}}), "edit without message"),
        (from_ana("revoke"), "unsend without message"),
        (from_ana("revoke", revoke={"original_message_id": [" "]}), "unsend without message"),
        (from_ana("reaction", reaction={"emoji": "👍"}), "reaction without message"),
        (reaction(message_id="w" * 513), "reaction with an id too long"),
        (REVOKE | {"id": "w" * 513}, "unsend with an id too long"),
        (system("user_changed_number"), "identity without a new one"),
        (system("user_changed_number", wa_id=None), "identity without a new one"),
        (system("user_changed_number", wa_id="5" * 513), "identity with an id too long"),
        (system("user_changed_user_id", wa_id=["1"]), "identity without a new one"),
        (system("user_changed_planet", wa_id=NEW), "system: user_changed_planet"),
        (from_ana("system"), "system: none"),
        (from_ana("system", system=None), "system: none"),
    ],
)
def test_what_names_nothing_to_change_is_counted_and_hides_none(item: Object, name: str) -> None:
    assert notes_in(whatsapp(change(item))) == noted(name)
    assert changes_in(whatsapp(change(item, EDIT))) == [change_in(whatsapp(change(EDIT)))]


def test_the_longest_ids_are_kept() -> None:
    found = change_in(whatsapp(change(reaction(message_id="w" * 512) | {"id": "x" * 512})))

    assert (found.message_id, found.external_id) == ("w" * 512, "x" * 512)


NEW_NUMBER: dict[str, tuple[Object, tuple[Identity, ...], tuple[Identity, ...]]] = {
    "number": (system("user_changed_number", wa_id=NEW), ANA_IDS, NEW_IDS),
    "number, as it was": (
        without(system("user_changed_number", new_wa_id=NEW, customer=ANA), "from"),
        ANA_IDS,
        NEW_IDS,
    ),
    "number, under its old name": (
        system("customer_changed_number", new_wa_id=NEW),
        ANA_IDS,
        NEW_IDS,
    ),
    "number, the old one in the text": (
        without(system("user_changed_number", wa_id=NEW, body=f"x from {ANA} to {NEW}"), "from"),
        ANA_IDS,
        NEW_IDS,
    ),
    "number and user id": (
        system("user_changed_number", wa_id=NEW, user_id=NEW_BSUID, parent_user_id="AR.ENT.2")
        | {"from_user_id": BSUID, "from_parent_user_id": "AR.ENT.1"},
        (*ANA_IDS, user_identity(BSUID), parent("AR.ENT.1")),
        (*NEW_IDS, user_identity(NEW_BSUID), parent("AR.ENT.2")),
    ),
    "number in `from` already": (
        system("user_changed_number", wa_id=NEW, customer=ANA) | {"from": NEW},
        ANA_IDS,
        NEW_IDS,
    ),
    "a sample's": (
        system("user_changed_number", wa_id="NEW_NUMBER", customer="OLD")
        | {"from": "PHONE_NUMBER"},
        (phone_identity("PHONE_NUMBER"), phone_identity("OLD")),
        (phone_identity("NEW_NUMBER"),),
    ),
    "user id": (
        system("user_changed_user_id", user_id=NEW_BSUID, previous_user_id=BSUID),
        (*ANA_IDS, user_identity(BSUID)),
        (user_identity(NEW_BSUID),),
    ),
    "user id, the old one in `from_user_id`": (
        system("user_changed_user_id", user_id=NEW_BSUID) | {"from_user_id": BSUID},
        (*ANA_IDS, user_identity(BSUID)),
        (user_identity(NEW_BSUID),),
    ),
    "user id, the old one in the text": (
        without(
            system(
                "user_changed_user_id",
                user_id=NEW_BSUID,
                body=f"User Ana changed from {BSUID} to {NEW_BSUID}",
            ),
            "from",
        ),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id, and a name that tells lies": (
        without(
            system(
                "user_changed_user_id",
                user_id=NEW_BSUID,
                body=f"User x changed from AR.9 to AR.8 changed from {BSUID} to {NEW_BSUID} ",
            ),
            "from",
        ),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id, and a text without ids": (
        system("user_changed_user_id", user_id=NEW_BSUID, body="Ana moved from here to there"),
        ANA_IDS,
        (user_identity(NEW_BSUID),),
    ),
    "user id, the new one in `from_user_id`": (
        system("user_changed_user_id", user_id=NEW_BSUID, previous_user_id=BSUID)
        | {"from": None, "from_user_id": NEW_BSUID},
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "user id and number": (
        system("user_changed_user_id", user_id=NEW_BSUID, wa_id=NEW),
        ANA_IDS,
        (*NEW_IDS, user_identity(NEW_BSUID)),
    ),
    "user id and the same number": (
        system("user_changed_user_id", user_id=NEW_BSUID, wa_id=ANA),
        ANA_IDS,
        (*ANA_IDS, user_identity(NEW_BSUID)),
    ),
    "user id and parent's": (
        system("user_changed_user_id", user_id=NEW_BSUID, parent_user_id="AR.2"),
        ANA_IDS,
        (user_identity(NEW_BSUID), parent("AR.2")),
    ),
    "user id where a number should be": (
        system("user_changed_user_id", wa_id=NEW_BSUID),
        ANA_IDS,
        (user_identity(NEW_BSUID),),
    ),
}


@pytest.mark.parametrize(("item", "old", "new"), NEW_NUMBER.values(), ids=NEW_NUMBER)
def test_a_person_may_have_new_ids(
    item: Object, old: tuple[Identity, ...], new: tuple[Identity, ...]
) -> None:
    found = change_in(whatsapp(change(item, contacts=None)))

    assert (found.kind, found.external_id) == (ChangeKind.IDENTITY, "wamid.new")
    assert found.person == Sender(identities=old)
    assert found.content == identity_content(*new)
    assert (found.message_id, found.sent_at) == (None, SENT_AT)


def test_nobody_has_new_ids_where_no_old_one_is_said() -> None:
    item = without(system("user_changed_user_id", user_id=NEW_BSUID), "from")

    assert notes_in(whatsapp(change(item, contacts=None))) == noted("identity without person")


def updated(*items: Json, **value: Json) -> Object:
    return change(field="user_id_update", user_id_update=list(items), **value)


UPDATE: Object = {
    "wa_id": ANA,
    "user_id": {"previous": BSUID, "current": NEW_BSUID},
    "timestamp": str(SECONDS),
}
UPDATES: dict[str, tuple[Object, tuple[Identity, ...], tuple[Identity, ...]]] = {
    "user id": (UPDATE, (*ANA_IDS, user_identity(BSUID)), (user_identity(NEW_BSUID),)),
    "user id of a hidden number": (
        without(UPDATE, "wa_id"),
        (user_identity(BSUID),),
        (user_identity(NEW_BSUID),),
    ),
    "parent's": (
        without(UPDATE, "user_id", "wa_id")
        | {"parent_user_id": {"previous": "AR.1", "current": "AR.2"}},
        (parent("AR.1"),),
        (parent("AR.2"),),
    ),
    "both": (
        UPDATE | {"parent_user_id": {"previous": "AR.ENT.1", "current": "AR.ENT.2"}},
        (*ANA_IDS, user_identity(BSUID), parent("AR.ENT.1")),
        (user_identity(NEW_BSUID), parent("AR.ENT.2")),
    ),
    "the first one": (
        UPDATE | {"user_id": {"current": NEW_BSUID}},
        ANA_IDS,
        (user_identity(NEW_BSUID),),
    ),
}


@pytest.mark.parametrize(("item", "old", "new"), UPDATES.values(), ids=UPDATES)
def test_a_user_id_may_be_updated(
    item: Object, old: tuple[Identity, ...], new: tuple[Identity, ...]
) -> None:
    found = change_in(whatsapp(updated(item, contacts=None)))

    assert (found.kind, found.address) == (
        ChangeKind.IDENTITY,
        Address(Channel.WHATSAPP, NUMBER),
    )
    assert found.person == Sender(identities=old)
    assert found.content == identity_content(*new)
    assert found.sent_at == SENT_AT


def test_the_previous_user_id_is_rather_theirs_than_the_contacts() -> None:
    cards = [ANA_CARD | {"user_id": "AR.9"}]

    found = change_in(whatsapp(updated(UPDATE, contacts=cards)))

    assert found.person == Sender(identities=(*ANA_IDS, user_identity(BSUID)))


def test_an_updated_user_id_is_the_contacts_where_the_item_names_nobody() -> None:
    item = UPDATE | {"wa_id": None, "user_id": {"current": NEW_BSUID}}
    cards = [ANA_CARD | {"user_id": NEW_BSUID}]

    assert change_in(whatsapp(updated(item, contacts=cards))).person == Sender(identities=ANA_IDS)


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (without(UPDATE, "user_id"), "identity without a new one"),
        (UPDATE | {"user_id": NEW_BSUID}, "identity without a new one"),
        (UPDATE | {"user_id": {"previous": BSUID}}, "identity without a new one"),
        (UPDATE | {"wa_id": 7.5, "user_id": {"current": BSUID}}, "identity without person"),
        (None, "identity without a new one"),
    ],
)
def test_an_update_of_nothing_is_counted(item: Json, name: str) -> None:
    assert notes_in(whatsapp(updated(item, contacts=None))) == noted(name)


def preferred(*items: Json, **value: Json) -> Object:
    return change(field="user_preferences", user_preferences=list(items), **value)


STOP: Object = {
    "wa_id": ANA,
    "category": "marketing_messages",
    "value": "stop",
    "detail": "User requested to stop marketing messages",
    "timestamp": SECONDS,
}


@pytest.mark.parametrize(
    ("value", "content"), [("stop", {"marketing": False}), ("resume", {"marketing": True})]
)
@pytest.mark.parametrize(
    ("ids", "person"),
    [
        ({}, ANA_IDS),
        ({"user_id": BSUID}, (*ANA_IDS, user_identity(BSUID))),
        ({"wa_id": None, "user_id": BSUID}, (user_identity(BSUID),)),
        ({"wa_id": BSUID}, (user_identity(BSUID),)),
        ({"wa_id": BSUID, "parent_user_id": "AR.1"}, (user_identity(BSUID), parent("AR.1"))),
    ],
)
def test_people_say_whether_they_want_marketing(
    value: str, content: Object, ids: Object, person: tuple[Identity, ...]
) -> None:
    found = change_in(whatsapp(preferred(STOP | {"value": value} | ids, contacts=[])))

    assert found.kind is ChangeKind.CONSENT
    assert found.content == content
    assert found.person == Sender(identities=person)
    assert (found.message_id, found.sent_at) == (None, SENT_AT)


def test_a_wish_is_the_contacts_where_the_item_names_nobody() -> None:
    found = change_in(whatsapp(preferred(without(STOP, "wa_id"))))

    assert found.person == Sender(identities=ANA_IDS)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"value": "pause"}, "user_preferences: marketing_messages pause"),
        ({"value": None}, "user_preferences: marketing_messages"),
        ({"category": "utility_messages"}, "user_preferences: utility_messages stop"),
        ({"wa_id": None}, "consent without person"),
        ({"wa_id": "5" * 513}, "consent with an id too long"),
    ],
)
def test_wishes_that_nobody_understands_are_counted(parts: Object, name: str) -> None:
    found = whatsapp(preferred(STOP | parts, contacts=None))

    assert notes_in(found) == noted(name)
    assert changes_in(found) == []


def test_every_wish_is_read() -> None:
    items = [STOP, None, STOP | {"wa_id": NEW, "value": "resume"}]

    found = changes_in(whatsapp(preferred(*items)))

    assert [(c.person, c.content["marketing"]) for c in found] == [
        (Sender(identities=ANA_IDS), False),
        (Sender(identities=NEW_IDS), True),
    ]


@pytest.mark.parametrize(("item", "told"), [(STOP, preferred), (UPDATE, updated)])
def test_the_id_of_what_has_none_is_that_of_a_repeat_and_of_nothing_else(
    item: Object, told: Any
) -> None:
    def id_of(to: str = NUMBER, **parts: Json) -> str:
        return change_in(whatsapp(told(item | parts, to=to))).external_id

    assert id_of() == id_of()
    assert len(id_of()) < 64
    assert len({id_of(), id_of(to="1002"), id_of(wa_id=NEW), id_of(timestamp=SECONDS + 1)}) == 4


def test_derived_ids_of_several_kinds_differ() -> None:
    kinds = [without(item, "id") for item in (EDIT, REVOKE, REACTION)]

    found = changes_in(whatsapp(change(*kinds)))

    assert [c.external_id.split(":")[0] for c in found] == ["edit", "unsend", "reaction"]
    assert len({c.external_id for c in found}) == 3


def echoed(*items: Json, field: str = "smb_message_echoes", **value: Json) -> Object:
    base: Object = {"message_echoes": list(items), "contacts": None}
    return change(field=field, **(base | value))


TOLD: Object = HOLA | {"from": SHOP, "to": ANA, "id": "wamid.ours"}


@pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes"])
def test_an_echo_is_what_the_business_said_elsewhere(field: str) -> None:
    assert change_in(whatsapp(echoed(TOLD, field=field))) == IncomingChange(
        address=Address(Channel.WHATSAPP, NUMBER),
        external_id="wamid.ours",
        kind=ChangeKind.ECHO,
        sent_at=SENT_AT,
        person=Sender(identities=ANA_IDS),
        content={"kind": "text", "body": "hola", "content": {}},
        payload=whatsapp(
            {
                "field": field,
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": METADATA,
                    "contacts": [{}],
                    "message_echoes": [TOLD],
                },
            }
        ),
    )


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        (
            {"type": "image", "image": {"id": "1", "caption": "este"}},
            {"kind": "image", "body": "este", "content": {"media": {"id": "1"}}},
        ),
        (
            {"type": "document", "document": {"filename": "a.pdf"}},
            {
                "kind": "document",
                "body": "[document: a.pdf]",
                "content": {"media": {"filename": "a.pdf"}},
            },
        ),
        ({"type": "hologram"}, {"kind": "hologram", "body": "[hologram]", "content": {}}),
        ({"type": "text", "text": None}, {"kind": "text", "body": "[text]", "content": {}}),
    ],
)
def test_an_echo_carries_what_a_message_does(parts: Object, content: Object) -> None:
    assert change_in(whatsapp(echoed(TOLD | parts))).content == content


@pytest.mark.parametrize(
    ("parts", "cards", "person"),
    [
        ({"to_user_id": BSUID}, None, (*ANA_IDS, user_identity(BSUID))),
        ({"to": None, "to_user_id": BSUID}, None, (user_identity(BSUID),)),
        ({"to": None, "to_parent_user_id": "AR.1"}, None, (parent("AR.1"),)),
        ({"to": BSUID}, None, (user_identity(BSUID),)),
        ({}, [ANA_CARD | {"user_id": BSUID}], (*ANA_IDS, user_identity(BSUID))),
        ({"to": None}, [ANA_CARD], ANA_IDS),
    ],
)
def test_an_echo_went_to_a_person(parts: Object, cards: Json, person: tuple[Identity, ...]) -> None:
    found = change_in(whatsapp(echoed(TOLD | parts, contacts=cards)))

    assert found.person == Sender(identities=person)


@pytest.mark.parametrize(
    ("item", "kind", "content"),
    [
        (EDIT, ChangeKind.EDIT, {"body": "adiós"}),
        (REVOKE, ChangeKind.UNSEND, {"body": "[deleted]"}),
        (REACTION, ChangeKind.REACTION, {"emoji": "👍", "by": Direction.OUTBOUND}),
    ],
)
def test_the_business_edits_takes_back_and_reacts_too(
    item: Object, kind: ChangeKind, content: Object
) -> None:
    found = change_in(whatsapp(echoed(item | {"from": SHOP, "to": ANA})))

    assert (found.kind, found.message_id) == (kind, "wamid.hola")
    assert (found.content, found.person) == (content, None)


@pytest.mark.parametrize(
    ("item", "note"),
    [
        (TOLD | {"group_id": "Z3"}, IgnoredItem("ignored", "whatsapp", "event", "group")),
        (
            TOLD | {"type": "unsupported", "unsupported": {"type": "pin"}},
            IgnoredItem("ignored", "whatsapp", "event", "unsupported: pin"),
        ),
        (without(TOLD, "to"), IgnoredItem("unknown", "whatsapp", "event", "echo without person")),
        (
            TOLD | {"id": "w" * 513},
            IgnoredItem("unknown", "whatsapp", "event", "echo with an id too long"),
        ),
        (
            TOLD | {"type": "system"},
            IgnoredItem("unknown", "whatsapp", "event", "echo without message"),
        ),
        (None, IgnoredItem("unknown", "whatsapp", "event", "echo without message")),
        ("hola", IgnoredItem("unknown", "whatsapp", "event", "echo without message")),
    ],
)
def test_echoes_of_nothing_are_counted(item: Json, note: IgnoredItem) -> None:
    assert notes_in(whatsapp(echoed(item))) == {note: 1}
    assert changes_in(whatsapp(echoed(item, TOLD))) == [change_in(whatsapp(echoed(TOLD)))]


def test_an_echo_of_a_type_of_tomorrow_is_counted_besides() -> None:
    found = notes_in(whatsapp(echoed(TOLD | {"type": "hologram"})))

    assert found == {IgnoredItem("unknown", "whatsapp", "type", "hologram"): 1}


def test_messages_under_the_field_of_echoes_are_nobodys() -> None:
    delivery = whatsapp(echoed(messages=[HOLA]))

    assert decoded(delivery) == []
    assert changes_in(delivery) == []
    assert notes_in(delivery) == noted("messages")


MANY = whatsapp(
    change(HOLA, EDIT, REVOKE, REACTION, system("user_changed_number", wa_id=NEW)),
    updated(UPDATE),
    preferred(STOP),
    echoed(TOLD, EDIT | {"to": ANA}, REVOKE | {"to": ANA}, REACTION | {"to": ANA}),
)


def test_a_payload_holds_only_its_change() -> None:
    found = changes_in(MANY)

    assert len(found) == 10
    for one in found:
        assert changes_in(one.payload) == [one]
        assert decoded(one.payload) == []


def paths(tree: Json, *above: str | int) -> list[tuple[str | int, ...]]:
    steps: Any = range(len(tree)) if isinstance(tree, list) else tree
    inside = steps if isinstance(tree, list | dict) else ()
    return [above, *(path for step in inside for path in paths(tree[step], *above, step))]


def replaced(tree: Json, path: tuple[str | int, ...], part: Json) -> Json:
    if not path:
        return part
    copy = tree.copy()
    copy[path[0]] = replaced(tree[path[0]], path[1:], part)
    return copy


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([[], {}, [None], [{}], {"a": 1}, "5" * 600, BSUID, "AR.ENT.1", "stop", "edit"]),
)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_anything_may_stand_anywhere_and_loses_no_neighbour(data: st.DataObject) -> None:
    (entry,) = MANY["entry"]
    path = data.draw(st.sampled_from(paths(entry)))
    broken = replaced(entry, path, data.draw(ANYTHING))

    found = changes_in(MANY | {"entry": [broken, entry]})

    assert found[-10:] == changes_in(MANY)
    for one in found[:-10]:
        assert changes_in(one.payload) == [one]


@pytest.mark.parametrize("timestamp", [None, "yesterday", "0"])
def test_the_time_is_that_of_arrival_where_there_is_none(timestamp: Json) -> None:
    assert change_in(whatsapp(preferred(STOP | {"timestamp": timestamp}))).sent_at == NOON
