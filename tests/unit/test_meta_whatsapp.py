"""What becomes of each row of WhatsApp's catalogue (1.1 to 1.4), by the decisions of 3."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest

from domain.connection import Address, Channel
from domain.contact import Identity, IdentityKind, Sender
from domain.inbound import BrokenMessage, InboundMessage
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
    broken_in,
    change,
    changes_in,
    decoded,
    message_in,
    messages_in,
    notes_in,
    whatsapp,
    without,
)

AD: Object = {
    "source_type": "ad",
    "source_id": "1202000000000001",
    "source_url": "https://fb.example/ad",
    "headline": "Rebajas de verano",
    "body": "Todo a mitad de precio",
    "ctwa_clid": "Afc-1",
    "welcome_message": {"text": "¿En qué te ayudamos?"},
}
ANA_IDS = (phone_identity(ANA), phone_identity("541155550001"))
UNREADABLE = ("unsupported", "unknown")
CANNOT_SHOW: Object = {"errors": [{"code": 131051, "title": "Message type unknown"}]}
QUESTION = {"from": "5491100000001", "id": "wamid.question"}
ENQUIRY = QUESTION | {"referred_product": {"catalog_id": "19", "product_retailer_id": "a1"}}
CARD: Object = {"name": {"formatted_name": "Taller Sur"}, "phones": [{"phone": "+54 11 5555 0009"}]}


def from_ana(**parts: Json) -> Object:
    """A message of Ana's with no content but this."""
    return without(HOLA, "type", "text") | parts


def of(type: str, **part: Json) -> Object:
    return {"type": type, type: part}


def unsupported(kind: str, type: str = "unsupported") -> Object:
    return {"type": type, **CANNOT_SHOW, "unsupported": {"type": kind}}


def system(kind: str, **parts: str) -> Object:
    return {"type": "system", "system": {"type": kind, "body": "Ana cambió", **parts}}


def test_a_text_becomes_a_message() -> None:
    assert message_in(whatsapp(change(HOLA))) == InboundMessage(
        address=Address(Channel.WHATSAPP, "106500000000001"),
        external_id="wamid.hola",
        sender=Sender(
            identities=(phone_identity("5491155550001"), phone_identity("541155550001")), name="Ana"
        ),
        kind="text",
        body="hola",
        sent_at=SENT_AT,
        thread_external_id="wa:106500000000001:5491155550001",
        payload={
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "102200000000007",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": METADATA,
                                "contacts": [ANA_CARD],
                                "messages": [HOLA],
                            },
                        }
                    ],
                }
            ],
        },
    )


COUNTED: dict[str, tuple[Object, str]] = {
    "text": (of("text", body="¿Precio?"), "¿Precio?"),
    "text as written": (of("text", body=" a\n\n👋 "), " a\n\n👋 "),
    "blank text": (of("text", body=" \n"), "[text]"),
    "reply": (of("text", body="sí") | {"context": QUESTION}, "sí"),
    "forwarded": (of("text", body="mira") | {"context": {"forwarded": True}}, "mira"),
    "product enquiry": (of("text", body="¿Queda?") | {"context": ENQUIRY}, "¿Queda?"),
    "text from an ad": (of("text", body="info") | {"referral": AD}, "info"),
    "empty text from an ad": (of("text") | {"referral": AD}, "[text]"),
    "image": (of("image", id="1"), "[image]"),
    "image with caption": (of("image", id="1", caption="este"), "este"),
    "image from an ad": (of("image", id="1") | {"referral": AD}, "[image]"),
    "image that failed": (of("image", id="1") | {"errors": [{"code": 131052}]}, "[image]"),
    "video": (of("video", id="1"), "[video]"),
    "video with caption": (of("video", id="1", caption="así"), "así"),
    "document": (of("document", id="1"), "[document]"),
    "document with filename": (of("document", filename="señal.pdf"), "[document: señal.pdf]"),
    "document with caption": (of("document", filename="a.pdf", caption="el pago"), "el pago"),
    "audio": (of("audio", id="1", voice=False), "[audio]"),
    "voice note": (of("audio", id="1", voice=True), "[audio]"),
    "old voice note": (of("voice", id="1"), "[voice]"),
    "sticker": (of("sticker", id="1", animated=True), "[sticker]"),
    "location": (of("location", latitude=-34.6, longitude=-58.4), "[location: -34.6, -58.4]"),
    "location with address": (of("location", latitude=1, address="Calle 1"), "[location: Calle 1]"),
    "location with name": (
        of("location", address="Calle 1", name="Casa"),
        "[location: Casa, Calle 1]",
    ),
    "contacts": ({"type": "contacts", "contacts": [CARD]}, "[contacts: Taller Sur]"),
    "contacts from an ad": (
        {"type": "contacts", "contacts": [CARD | {"origin": "other"}], "referral": AD},
        "[contacts: Taller Sur]",
    ),
    "own contact, asked for": (
        {"type": "contacts", "contacts": [{"origin": "contact_request", "vcard": "BEGIN:VCARD"}]},
        "[contacts]",
    ),
    "button": (of("button", text="Sí", payload="YES") | {"context": QUESTION}, "Sí"),
    "button without text": (of("button", payload="YES"), "[button]"),
    "button reply": (of("interactive", button_reply={"id": "1", "title": "Rojo"}), "Rojo"),
    "list reply": (of("interactive", list_reply={"title": "XL", "description": "…"}), "XL"),
    "flow": (
        of("interactive", nfm_reply={"body": "Sent", "response_json": '{"talla": "M"}'}),
        "[form: M]",
    ),
    "flow of broken JSON": (of("interactive", nfm_reply={"response_json": "{"}), "[form]"),
    "interactive of nothing": ({"type": "interactive", **CANNOT_SHOW}, "[interactive]"),
    "order": (of("order", product_items=[{"quantity": 2}], text=""), "[order: 2 items]"),
    "order with text": (of("order", product_items=[], text="para hoy"), "para hoy"),
    "unsupported": ({"type": "unsupported", **CANNOT_SHOW}, "[unsupported]"),
    "unavailable, from an ad": (
        {"type": "unsupported", "errors": [{"code": 131060}], "referral": AD},
        "[unsupported]",
    ),
    "unknown": ({"type": "unknown", **CANNOT_SHOW}, "[unknown]"),
    "welcome from an ad": ({"type": "request_welcome", "referral": AD}, "[request_welcome]"),
    "errors": ({"type": "errors"}, "[errors]"),
    "type of tomorrow": (of("hologram", body="…", caption="…", text="…"), "[hologram]"),
    "text is null": ({"type": "text", "text": None}, "[text]"),
    "image is a list": ({"type": "image", "image": ["x"]}, "[image]"),
    "interactive is null": ({"type": "interactive", "interactive": None}, "[interactive]"),
    "caption is null": (of("video", caption=None), "[video]"),
    "words are a number": (of("text", body=38), "38"),
    "caption is a number": (of("image", caption=12), "12"),
    "group is null": (of("text", body="hola") | {"group_id": None}, "hola"),
}


@pytest.mark.parametrize(("parts", "body"), COUNTED.values(), ids=COUNTED)
def test_what_a_person_sends_counts_with_their_words_or_a_placeholder(
    parts: Object, body: str
) -> None:
    sent = from_ana(**parts)

    message = message_in(whatsapp(change(sent)))

    assert (message.kind, message.body) == (parts["type"], body)
    assert (message.external_id, message.sent_at) == ("wamid.hola", SENT_AT)
    assert message.sender == Sender(identities=ANA_IDS, name="Ana")
    assert message.thread_external_id == f"wa:{NUMBER}:{ANA}"
    assert message_in(message.payload) == message
    assert message.payload == whatsapp(change(sent))


@pytest.mark.parametrize(
    ("parts", "kind", "body"),
    [
        ({"text": {"body": "hola"}}, "text", "hola"),
        ({}, "unknown", "[unknown]"),
        ({"type": None, "image": {"caption": "este"}}, "unknown", "[unknown]"),
        ({"type": 7}, "7", "[7]"),
    ],
)
def test_a_message_without_a_type_counts(parts: Object, kind: str, body: str) -> None:
    message = message_in(whatsapp(change(from_ana(**parts))))

    assert (message.kind, message.body) == (kind, body)


@pytest.mark.parametrize("type", UNREADABLE)
@pytest.mark.parametrize(
    "kind",
    [
        *("button", "errors", "gif", "group_invite", "hsm", "image", "interactive", "link_preview"),
        *("list", "location", "media_placeholder", "order", "poll_creation", "product", "tomorrow"),
    ],
)
def test_content_that_meta_cannot_show_counts(kind: str, type: str) -> None:
    message = message_in(whatsapp(change(from_ana(**unsupported(kind, type)))))

    assert (message.kind, message.body) == (type, f"[{type}: {kind}]")


def ignored(part: Literal["event", "field"], name: str) -> IgnoredItem:
    return IgnoredItem("ignored", "whatsapp", part, name)


GROUP = {"group_id": "Z3J1cG8"}
NOT_COUNTED: dict[str, Object] = {
    "reaction": of("reaction", message_id="wamid.1", emoji="👍"),
    "reaction taken back": of("reaction", message_id="wamid.1"),
    "reaction emptied": of("reaction", message_id="wamid.1", emoji=""),
    "new number": system("user_changed_number", wa_id="5491155550002"),
    "new number, old form": system("user_changed_number", new_wa_id="5491155550002", customer=ANA),
    "new user id": system("user_changed_user_id", user_id="AR.2"),
    "new identity": system("customer_identity_changed") | {"identity": {"hash": "x"}},
    "edit": of("edit", original_message_id="wamid.1", message=of("text", body="adiós")),
    "revoke": of("revoke", original_message_id="wamid.1"),
    "welcome": {"type": "request_welcome"},
    "call permission by its type": {
        "type": "interactive",
        "interactive": {"type": "call_permission_reply"},
    },
    "call permission": of("interactive", call_permission_reply={"response": "accept"}),
    "empty call permission": of("interactive", call_permission_reply={}),
    "group text": of("text", body="hola a todos") | GROUP,
    "group image": of("image", caption="miren") | GROUP,
    "group, unsupported": unsupported("gif") | GROUP,
    "group, from an ad": {"type": "request_welcome", "referral": AD} | GROUP,
    **{
        f"{name} {kind}": unsupported(kind, name)
        for name in UNREADABLE
        for kind in ("edit", "pin", "keep_in_chat", "poll_update", "reaction")
    },
}


@pytest.mark.parametrize("parts", NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_what_is_no_message_does_not_count_and_hides_none(parts: Object) -> None:
    other = from_ana(**parts, id="wamid.other")

    assert decoded(whatsapp(change(other))) == []
    assert decoded(whatsapp(change(other, HOLA, other))) == decoded(whatsapp(change(HOLA)))
    traces = [*changes_in(whatsapp(change(other))), *notes_in(whatsapp(change(other))).elements()]
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (of("text", body="hola a todos") | GROUP, "group"),
        (of("reaction", message_id="wamid.1", emoji="👍") | GROUP, "group"),
        ({"type": "request_welcome"}, "request_welcome"),
        (of("interactive", call_permission_reply={}), "call_permission_reply"),
        (NOT_COUNTED["call permission by its type"], "call_permission_reply"),
        (unsupported("pin"), "unsupported: pin"),
        (unsupported("edit", "unknown"), "unsupported: edit"),
        (system("customer_identity_changed"), "customer_identity_changed"),
    ],
)
def test_what_is_passed_over_on_purpose_is_counted_by_name(parts: Object, name: str) -> None:
    other = from_ana(**parts)

    assert notes_in(whatsapp(change(other, HOLA, other))) == {ignored("event", name): 2}


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (of("hologram", body="…"), ["hologram"]),
        (of("hologram") | GROUP, ["hologram"]),
        (of("text", body="hola"), []),
        (of("voice", id="1"), []),
        (of("request_welcome") | {"referral": AD}, []),
        (of("reaction", message_id="wamid.1", emoji="👍"), []),
        (system("user_changed_number", wa_id="5491155550002"), []),
        ({"type": "unknown", **CANNOT_SHOW}, []),
        ({}, []),
    ],
)
def test_a_type_of_tomorrow_is_counted_by_name_besides(parts: Object, names: list[str]) -> None:
    found = notes_in(whatsapp(change(from_ana(**parts))))

    assert [n.name for n in found if n.part == "type"] == names
    assert all(found[n] == 1 and n.reason == "unknown" for n in found if n.part == "type")


@pytest.mark.parametrize("by", ["from", "from_user_id"])
def test_a_system_message_without_contacts_or_sender_does_not_count(by: str) -> None:
    message = without(HOLA, "from") | system("user_changed_user_id") | {by: "AR.1"}

    assert decoded(whatsapp(change(message, contacts=None))) == []


STATUS: Object = {"id": "wamid.ours", "recipient_id": ANA, "timestamp": str(SECONDS)}
WITHOUT_MESSAGES: dict[str, Object] = {
    **{
        f"status {status}": {"statuses": [STATUS | {"status": status}]}
        for status in ("sent", "delivered", "read", "played", "deleted", "warning")
    },
    "status failed": {
        "contacts": [],
        "statuses": [STATUS | {"status": "failed", "errors": [{"code": 131026}]}],
    },
    "status of a hidden number": {
        "contacts": [{"profile": {"name": "Ana", "username": "@ana"}, "user_id": "AR.1"}],
        "statuses": [{"id": "wamid.ours", "status": "read", "recipient_user_id": "AR.1"}],
    },
    "statuses of a group": {
        "statuses": [STATUS | {"status": "read", "recipient_type": "group"}] * 3,
    },
    "errors": {"contacts": [], "errors": [{"code": 130429, "message": "Rate limit hit"}]},
    "user actions": {"contacts": [], "user_actions": [{"action_type": "link_click"}]},
}


@pytest.mark.parametrize("value", WITHOUT_MESSAGES.values(), ids=WITHOUT_MESSAGES)
def test_what_stands_beside_messages_does_not_count_and_hides_none(value: Object) -> None:
    assert decoded(whatsapp(change(**value))) == []

    message = message_in(whatsapp(change(HOLA, **value)))

    assert (message.external_id, message.body) == ("wamid.hola", "hola")
    alone = message.payload["entry"][0]["changes"][0]["value"]
    assert set(alone) == {"messaging_product", "metadata", "contacts", "messages"}
    assert message_in(message.payload) == message


@pytest.mark.parametrize("value", WITHOUT_MESSAGES.values(), ids=WITHOUT_MESSAGES)
def test_what_stands_beside_messages_is_counted_by_name(value: Object) -> None:
    (name,) = value.keys() - {"contacts"}

    found = notes_in(whatsapp(change(HOLA, **value)))

    assert found == {ignored("event", name): len(value[name])}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"tomorrow": [{}, {}], "next_week": {"a": 1}}, ["next_week", "tomorrow"]),
        ({"message_echoes": [HOLA]}, ["message_echoes"]),
        ({"tomorrow": [], "b": None, "c": "x", "d": 7, "e": True}, []),
        ({"statuses": None, "errors": "x"}, []),
    ],
)
def test_what_stands_beside_messages_for_the_first_time_is_counted_as_unknown(
    value: Object, names: list[str]
) -> None:
    found = notes_in(whatsapp(change(HOLA, **value)))

    assert found == {IgnoredItem("unknown", "whatsapp", "event", name): 1 for name in names}


OTHER_FIELDS: dict[str, Object] = {
    "smb_message_echoes": {"message_echoes": [HOLA | {"from": "5491100000001", "to": ANA}]},
    "message_echoes": {"message_echoes": [HOLA | {"from": "5491100000001", "to_user_id": "AR.1"}]},
    "history": {"history": [{"threads": [{"id": ANA, "messages": [HOLA]}]}]},
    "smb_app_state_sync": {"state_sync": [{"type": "contact", "action": "add", "contact": {}}]},
    "user_preferences": {"user_preferences": [{"wa_id": ANA, "value": "stop"}]},
    "user_id_update": {"user_id_update": [{"user_id": {"previous": "AR.1", "current": "AR.2"}}]},
    "business_username_update": {"username": "tienda", "status": "approved"},
    "business_username_updates": {"username": "tienda", "status": "approved"},
    "calls": {"calls": [{"id": "wacid.1", "from": ANA}], "statuses": [{"type": "call"}]},
    "group_lifecycle_update": {"groups": [{"group_id": "Z3J1cG8", "type": "group_create"}]},
    "group_participants_update": {"groups": [{"group_id": "Z3J1cG8"}]},
    "group_settings_update": {"groups": [{"group_id": "Z3J1cG8"}]},
    "group_status_update": {"groups": [{"group_id": "Z3J1cG8"}]},
    "automatic_events": {"automatic_events": [{"id": "wamid.1", "event_name": "LeadSubmitted"}]},
    "messaging_handovers": {"control_passed": {"metadata": "x"}, "sender": {"phone_number": ANA}},
    "standby": {"sender": {"phone_number": ANA}},
    "flows": {"event": "FLOW_STATUS_CHANGE"},
    **{
        name: {"event": "SOMETHING", "metadata": None, "contacts": None}
        for name in (
            *("account_update", "account_alerts", "account_review_update", "security"),
            *("business_capability_update", "payment_configuration_update", "partner_solutions"),
            *("phone_number_name_update", "phone_number_quality_update"),
            *("message_template_status_update", "message_template_quality_update"),
            *("message_template_components_update", "template_category_update", "tomorrow"),
        )
    },
}


@pytest.mark.parametrize(("field", "value"), OTHER_FIELDS.items(), ids=OTHER_FIELDS)
def test_other_fields_do_not_count_and_hide_none(field: str, value: Object) -> None:
    other = change(field=field, **value)

    assert decoded(whatsapp(other)) == []
    assert decoded(whatsapp(other, change(HOLA))) == decoded(whatsapp(change(HOLA)))


READ_FIELDS = {"smb_message_echoes", "message_echoes", "user_preferences", "user_id_update"}


@pytest.mark.parametrize("field", sorted(OTHER_FIELDS.keys() - READ_FIELDS - {"tomorrow"}))
def test_fields_that_are_passed_over_are_counted_by_name(field: str) -> None:
    other = change(field=field, **OTHER_FIELDS[field])

    assert notes_in(whatsapp(other, other)) == {ignored("field", field): 2}
    assert changes_in(whatsapp(other)) == []


@pytest.mark.parametrize(
    ("field", "name"), [("tomorrow", "tomorrow"), (7, "7"), ("", "none"), (None, "none")]
)
def test_unknown_fields_are_counted_as_such(field: Json, name: str) -> None:
    other = change(HOLA, field=field)

    assert notes_in(whatsapp(other)) == {IgnoredItem("unknown", "whatsapp", "field", name): 1}


@pytest.mark.parametrize("part", ["messages", "message_echoes"])
def test_imported_history_changes_nothing(part: str) -> None:
    """A file sent after its message stands where a message would."""
    history: Object = {part: [HOLA, from_ana(**NOT_COUNTED["edit"])]}
    other = change(field="history", **history)

    assert decoded(whatsapp(other)) == []
    assert changes_in(whatsapp(other)) == []
    assert notes_in(whatsapp(other)) == {ignored("field", "history"): 1}


@pytest.mark.parametrize("field", [*OTHER_FIELDS, "", None, 7, ["messages"]])
def test_only_the_field_tells_a_message_from_imported_history_and_echoes(field: Json) -> None:
    assert decoded(whatsapp(change(HOLA, message_echoes=[HOLA], field=field))) == []


DECLINED = {"messaging_product": "whatsapp", "metadata": METADATA, "history": [{"errors": []}]}
ACCOUNT_EVENT = {"event": "PARTNER_APP_INSTALLED", "waba_info": {"waba_id": WABA}}


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(DECLINED, id="history declined, without an envelope"),
        pytest.param(
            {
                "entry": [{"id": WABA, "changes": [{"value": ACCOUNT_EVENT}]}],
                "field": "account_update",
                "object": "whatsapp_business_account",
            },
            id="field outside its change",
        ),
        pytest.param(
            {"entry": [{"changes": [{"value": ACCOUNT_EVENT | {"field": "account_update"}}]}]},
            id="field inside its value",
        ),
    ],
)
def test_malformed_examples_of_metas_own_do_not_count(delivery: Json) -> None:
    assert decoded(delivery) == []


def card(name: str, **ids: Json) -> Object:
    return {"profile": {"name": name}, **ids}


def parent(value: str) -> Identity:
    return Identity(IdentityKind.WHATSAPP_PARENT_USER, value)


BSUID = "AR.13490000000000001"
SENDERS: dict[str, tuple[Object, Object, list[Identity]]] = {
    "phone": ({"from": ANA}, {"wa_id": ANA}, [*ANA_IDS]),
    "phone and user id": (
        {"from": ANA, "from_user_id": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDS, user_identity(BSUID)],
    ),
    "user id of the contact's": (
        {"from": ANA},
        {"wa_id": ANA, "user_id": "some_form"},
        [*ANA_IDS, user_identity("some_form")],
    ),
    "phone of the contact's": (
        {"from_user_id": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDS, user_identity(BSUID)],
    ),
    "user id alone": ({"from_user_id": BSUID}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id that the contact writes otherwise": (
        {"from_user_id": BSUID},
        {"user_id": f"u{BSUID}"},
        [user_identity(BSUID)],
    ),
    "user id in the contact alone": ({}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id in `wa_id` alone": ({}, {"wa_id": BSUID}, [user_identity(BSUID)]),
    "phone in the contact alone": ({}, {"wa_id": ANA}, [*ANA_IDS]),
    "user id in `from`": ({"from": BSUID}, {"user_id": BSUID}, [user_identity(BSUID)]),
    "user id in `from` and `wa_id`": ({"from": BSUID}, {"wa_id": BSUID}, [user_identity(BSUID)]),
    "user id in `from`, phone in the contact": (
        {"from": BSUID},
        {"wa_id": ANA, "user_id": BSUID},
        [*ANA_IDS, user_identity(BSUID)],
    ),
    "parent's user id in `from`": ({"from": "US.ENT.1a"}, {}, [parent("US.ENT.1a")]),
    "parent's user id in `wa_id`": (
        {"from_user_id": BSUID},
        {"wa_id": "US.ENT.1a"},
        [user_identity(BSUID), parent("US.ENT.1a")],
    ),
    "another user id in `from`": (
        {"from": "AR.9", "from_user_id": BSUID},
        {},
        [user_identity(BSUID)],
    ),
    "almost a user id in `from`": ({"from": "ARG.1"}, {}, [phone_identity("ARG.1")]),
    "parent's user id": (
        {"from_user_id": BSUID, "from_parent_user_id": "AR.ENT.1"},
        {"user_id": BSUID, "parent_user_id": "AR.ENT.1"},
        [user_identity(BSUID), parent("AR.ENT.1")],
    ),
    "parent's user id of the contact's": (
        {"from": ANA, "from_user_id": BSUID},
        {"wa_id": ANA, "parent_user_id": "AR.1"},
        [*ANA_IDS, user_identity(BSUID), parent("AR.1")],
    ),
    "parent's user id alone": ({"from_parent_user_id": "AR.ENT.1"}, {}, [parent("AR.ENT.1")]),
    "`from` and `wa_id` differ": ({"from": ANA}, {"wa_id": "541155550001"}, [*ANA_IDS]),
    "numbers": ({"from": 5491155550001}, {"wa_id": 5491155550001}, [*ANA_IDS]),
    "blanks around": ({"from": f" {ANA} "}, {"wa_id": ANA}, [*ANA_IDS]),
    "another country's": ({"from": "14155550001"}, {}, [phone_identity("14155550001")]),
    "Mexico's": (
        {"from": "5215512345678"},
        {},
        [phone_identity("5215512345678"), phone_identity("525512345678")],
    ),
    "Brazil's": (
        {"from": "551187654321"},
        {},
        [phone_identity("551187654321"), phone_identity("5511987654321")],
    ),
    "Brazil's landline": ({"from": "551132654321"}, {}, [phone_identity("551132654321")]),
    "written for people": ({"from": f"+{ANA}"}, {}, [phone_identity(f"+{ANA}"), *ANA_IDS]),
    "a sample's": ({"from": "PHONE_NUMBER"}, {}, [phone_identity("PHONE_NUMBER")]),
    "no string": ({"from": ["1"], "from_user_id": True}, {"wa_id": ANA}, [*ANA_IDS]),
}


@pytest.mark.parametrize(("ids", "contact", "identities"), SENDERS.values(), ids=SENDERS)
def test_the_sender_is_known_by_every_id_and_the_phone_comes_first(
    ids: Object, contact: Object, identities: Sequence[Identity]
) -> None:
    sent = without(HOLA, "from") | ids

    message = message_in(whatsapp(change(sent, contacts=[card("Ana", **contact)])))

    assert message.sender == Sender(identities=tuple(identities), name="Ana")
    assert message.thread_external_id == f"wa:{NUMBER}:{identities[0].value}"
    assert message_in(message.payload) == message


def asked(*phones: Json, origin: Json = "contact_request") -> Object:
    return {"origin": origin, "vcard": "BEGIN:VCARD", "phones": list(phones)}


HERS = {"phone": "+54 9 11 5555-0001", "wa_id": ANA}
THEIRS = {"phone": "+54 9 11 5555-0009", "wa_id": "5491155550009"}
GIVEN: dict[str, tuple[list[Json], tuple[Identity, ...]]] = {
    "number": ([asked(HERS)], ANA_IDS),
    "number without `wa_id`": ([asked({"phone": "+54 (9) 11 5555-0001"})], ANA_IDS),
    "number that is a number": ([asked({"wa_id": int(ANA)})], ANA_IDS),
    "number twice": ([asked(HERS, HERS), asked(HERS)], ANA_IDS),
    "number in both forms": ([asked(HERS, {"wa_id": "541155550001"})], ANA_IDS),
    "number beside somebody else's": ([asked(THEIRS, origin="other"), asked(HERS)], ANA_IDS),
    "number beside a local one": ([asked(HERS, {"phone": "011 15-5555-0001"})], ANA_IDS),
    "two numbers": ([asked(HERS, THEIRS)], ()),
    "numbers of two": ([asked(HERS), asked(THEIRS)], ()),
    "somebody else's": ([asked(HERS, origin="other")], ()),
    "card of no origin": ([asked(HERS, origin=None)], ()),
    "local number": ([asked({"phone": "011 15-5555-0001"})], ()),
    "user id": ([asked({"wa_id": "AR.1"})], ()),
    "no number": ([asked(None, {}, {"phone": None}, [])], ()),
    "no card": ([None, "x"], ()),
}


@pytest.mark.parametrize(("cards", "ids"), GIVEN.values(), ids=GIVEN)
def test_a_person_is_also_known_by_the_number_they_gave_when_asked(
    cards: list[Json], ids: tuple[Identity, ...]
) -> None:
    sent = from_ana(type="contacts", contacts=cards, from_user_id=BSUID)
    hidden = without(sent, "from")

    message = message_in(whatsapp(change(hidden, contacts=[card("Ana", user_id=BSUID)])))

    assert message.sender.identities == (user_identity(BSUID), *ids)
    assert message.thread_external_id == f"wa:{NUMBER}:{BSUID}"
    assert message_in(message.payload) == message


@pytest.mark.parametrize(
    ("given", "more"), [(HERS, ()), (THEIRS, (phone_identity("5491155550009"),))]
)
def test_the_number_that_a_person_shows_stays_the_first(
    given: Object, more: tuple[Identity, ...]
) -> None:
    sent = from_ana(type="contacts", contacts=[asked(given)])

    ids = message_in(whatsapp(change(sent))).sender.identities

    assert ids[: len(ANA_IDS) + len(more)] == (*ANA_IDS, *more)
    assert len(ids) == len(set(ids))


def test_a_card_gives_no_number_under_another_type() -> None:
    sent = from_ana(type="text", text={"body": "hola"}, contacts=[asked(THEIRS)])

    assert message_in(whatsapp(change(sent))).sender.identities == ANA_IDS


BEA = card("Bea", wa_id="5491155550002")
NAMES: dict[str, tuple[Json, str]] = {
    "name": ([ANA_CARD], "Ana"),
    "blanks around": ([card(" Ana B ", wa_id=ANA)], "Ana B"),
    "after another's": ([BEA, ANA_CARD], "Ana"),
    "id is a number": ([BEA, card("Ana", wa_id=int(ANA))], "Ana"),
    "after a null": ([None, ANA_CARD], "Ana"),
    "not listed": (ANA_CARD, "Ana"),
    "others' names": ([BEA, card("Caro", user_id="AR.3")], ""),
    "no profile": ([{"wa_id": ANA}], ""),
    "profile is null": ([{"wa_id": ANA, "profile": None}], ""),
    "profile is a string": ([{"wa_id": ANA, "profile": "Ana"}], ""),
    "name is null": ([{"wa_id": ANA, "profile": {"name": None}}], ""),
    "username": ([{"wa_id": ANA, "profile": {"username": "@ana"}}], ""),
    "contacts are null": (None, ""),
    "contacts are none": ([], ""),
    "contacts are a string": ("Ana", ""),
}


@pytest.mark.parametrize(("contacts", "name"), NAMES.values(), ids=NAMES)
def test_the_name_is_what_their_contact_says(contacts: Json, name: str) -> None:
    message = message_in(whatsapp(change(HOLA, contacts=contacts)))

    assert message.sender == Sender(identities=ANA_IDS, name=name)
    assert message_in(message.payload) == message


def test_contacts_are_matched_by_id_and_not_by_their_order() -> None:
    ids = [{"from": "1"}, {"from_user_id": "AR.2"}, {"from": "AR.3"}, {"from": "4"}]
    messages = [without(HOLA, "from") | by | {"id": f"wamid.{n}"} for n, by in enumerate(ids)]
    contacts = [
        card("Caro", user_id="AR.3"),
        card("Bea", wa_id="2", user_id="AR.2"),
        card("Ana", wa_id="1", user_id="AR.1"),
    ]

    found = messages_in(whatsapp(change(*messages, contacts=contacts)))

    assert [m.sender for m in found] == [
        Sender(identities=(phone_identity("1"), user_identity("AR.1")), name="Ana"),
        Sender(identities=(phone_identity("2"), user_identity("AR.2")), name="Bea"),
        Sender(identities=(user_identity("AR.3"),), name="Caro"),
        Sender(identities=(phone_identity("4"),)),
    ]
    assert [decoded(m.payload) for m in found] == [[m] for m in found]
    people = [m.payload["entry"][0]["changes"][0]["value"]["contacts"] for m in found]
    assert people == [[contacts[2]], [contacts[1]], [contacts[0]], [{}]]


def test_the_only_contact_is_nobodys_where_several_people_write() -> None:
    messages = [HOLA | {"from": "1", "id": "wamid.1"}, HOLA | {"from": "2", "id": "wamid.2"}]

    found = messages_in(whatsapp(change(*messages, contacts=[card("Ana", wa_id="2")])))

    assert [(m.external_id, m.sender.name) for m in found] == [
        ("wamid.1", ""),
        ("wamid.2", "Ana"),
    ]


def test_the_only_contact_is_theirs_where_one_person_writes_twice() -> None:
    messages = [HOLA, HOLA | {"id": "wamid.2"}]

    found = messages_in(whatsapp(change(*messages, contacts=[card("Ana", wa_id="541155550001")])))

    assert [m.sender.name for m in found] == ["Ana", "Ana"]


def test_every_message_is_read_and_goes_to_the_number_of_its_own_change() -> None:
    def numbered(*numbers: int) -> list[Object]:
        return [HOLA | {"id": f"wamid.{n}"} for n in numbers]

    first = whatsapp(
        change(*numbered(1, 2), to="1001"),
        change(statuses=[STATUS], to="1001"),
        change(*numbered(3), to="1002"),
    )
    second = whatsapp(change(*numbered(4, 5), to="1003"), change(*numbered(6), to="1001"))
    delivery = first | {"entry": [*first["entry"], *second["entry"]]}

    found = messages_in(delivery)

    assert [(m.address.external_id, m.external_id, m.thread_external_id) for m in found] == [
        ("1001", "wamid.1", f"wa:1001:{ANA}"),
        ("1001", "wamid.2", f"wa:1001:{ANA}"),
        ("1002", "wamid.3", f"wa:1002:{ANA}"),
        ("1003", "wamid.4", f"wa:1003:{ANA}"),
        ("1003", "wamid.5", f"wa:1003:{ANA}"),
        ("1001", "wamid.6", f"wa:1001:{ANA}"),
    ]
    assert decoded([first, second]) == found
    assert [decoded(m.payload) for m in found] == [[m] for m in found]


def test_a_payload_holds_only_its_message() -> None:
    delivery = whatsapp(
        change(HOLA | {"id": "wamid.1"}, HOLA, statuses=[STATUS], errors=[{"code": 1}]),
        change(HOLA | {"id": "wamid.2"}),
    )

    payloads = [message.payload for message in decoded(delivery)]

    assert payloads == [
        whatsapp(change(HOLA | {"id": "wamid.1"})),
        whatsapp(change(HOLA)),
        whatsapp(change(HOLA | {"id": "wamid.2"})),
    ]


@pytest.mark.parametrize(
    ("id", "external_id"),
    [("wamid.1", "wamid.1"), (" wamid.1 ", "wamid.1"), (1234567890123456, "1234567890123456")],
)
def test_the_id_is_metas(id: Json, external_id: str) -> None:
    assert message_in(whatsapp(change(HOLA | {"id": id}))).external_id == external_id


@pytest.mark.parametrize("id", [None, "", " ", [], {}, False])
def test_an_id_is_derived_where_meta_gave_none(id: Json) -> None:
    def derived(**other: Json) -> str:
        to = other.pop("to", NUMBER)
        return message_in(whatsapp(change(HOLA | {"id": id} | other, to=to))).external_id

    given = derived()

    assert given.startswith("derived:")
    assert given == derived()
    assert given not in {
        derived(timestamp="1795347001"),
        derived(text={"body": "Hola"}),
        derived(**{"from": "5491155550002"}),
        derived(to="1002"),
    }


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [
        ("1795347000", SENT_AT),
        (1795347000, SENT_AT),
        ("1795347000000", SENT_AT),
        (1795347000000, SENT_AT),
        (None, NOON),
        ("yesterday", NOON),
        ("0", NOON),
        ("1795521601", NOON),
    ],
)
def test_the_time_is_the_messages_own_unless_it_is_absurd(timestamp: Json, sent_at: object) -> None:
    assert message_in(whatsapp(change(HOLA | {"timestamp": timestamp}))).sent_at == sent_at


BROKEN = {
    "null": None,
    "a string": "hola",
    "a number": 7,
    "a list": [HOLA],
    "an empty object": {},
    "without a sender": without(HOLA, "from"),
    "with a sender that is null": HOLA | {"from": None},
    "with a sender that is an object": HOLA | {"from": {"id": ANA}},
    "of a type of tomorrow without a sender": {"id": "wamid.1", "type": "hologram"},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_counts_as_broken_and_hides_none(broken: Json) -> None:
    expected = BrokenMessage(
        address=Address(Channel.WHATSAPP, NUMBER),
        reason="`from` and `from_user_id` are missing"
        if isinstance(broken, dict)
        else "the item of `messages` is not an object",
        payload=whatsapp(change(broken, contacts=[{}])),
    )

    found = decoded(whatsapp(change(broken, HOLA)))

    assert found == [expected, message_in(whatsapp(change(HOLA)))]
    assert broken_in(expected.payload) == expected


def test_what_is_no_message_becomes_nobodys_even_beside_one_contact() -> None:
    assert broken_in(whatsapp(change(None))).reason == "the item of `messages` is not an object"


def test_nobody_is_the_sender_where_several_people_could_be() -> None:
    delivery = whatsapp(
        change(without(HOLA, "from"), contacts=[card("Ana", wa_id="1"), card("Bea")])
    )

    broken = broken_in(delivery)

    assert broken.reason == "`from` and `from_user_id` are missing"
    assert broken_in(broken.payload) == broken


@pytest.mark.parametrize("name", ["id", "from", "from_user_id"])
def test_ids_that_no_index_holds_are_broken(name: str) -> None:
    longest, longer = (whatsapp(change(HOLA | {name: "5" * length})) for length in (512, 513))

    assert message_in(longest).address == Address(Channel.WHATSAPP, NUMBER)
    assert broken_in(longer) == BrokenMessage(
        address=Address(Channel.WHATSAPP, NUMBER),
        reason="an id is longer than 512 characters",
        payload=longer,
    )


def test_a_type_without_end_is_cut() -> None:
    message = message_in(whatsapp(change(from_ana(type="x" * 5000))))

    assert message.kind == "x" * 512
    assert len(message.body) < 200


def test_words_of_any_length_are_kept() -> None:
    words = "ñ" * 100_000

    assert message_in(whatsapp(change(HOLA | {"text": {"body": words}}))).body == words


ENTRY = whatsapp(change(HOLA))["entry"][0]


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param([whatsapp(change(HOLA))], id="in a list"),
        pytest.param({"entry": [ENTRY]}, id="without an object"),
        pytest.param({"object": None, "entry": [ENTRY]}, id="object is null"),
        pytest.param(
            {"object": "whatsapp_business_account", "entry": ENTRY}, id="entry not listed"
        ),
        pytest.param(whatsapp() | {"entry": [None, ENTRY, 7]}, id="strange entries beside it"),
        pytest.param(whatsapp(None, change(HOLA), "x", []), id="strange changes beside it"),
        pytest.param(whatsapp(change(messages=HOLA)), id="messages not listed"),
        pytest.param(whatsapp(change(HOLA, tomorrow=[{}], statuses=None)), id="unknown keys"),
    ],
)
def test_the_envelope_may_be_of_many_shapes(delivery: Json) -> None:
    assert message_in(delivery) == message_in(whatsapp(change(HOLA)))


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(change(HOLA), id="bare"),
        pytest.param(change(HOLA, messaging_product=None), id="bare, known by its metadata"),
        pytest.param(change(HOLA) | {"object": "whatsapp_business_account"}, id="without entries"),
        pytest.param(
            {"object": "whatsapp_business_account", "entry": [change(HOLA)]}, id="without changes"
        ),
    ],
)
def test_a_change_may_stand_alone(delivery: Json) -> None:
    message, usual = message_in(delivery), message_in(whatsapp(change(HOLA)))

    assert replace(message, payload={}) == replace(usual, payload={})
    assert message_in(message.payload) == message


def test_a_bare_change_is_known_by_its_product() -> None:
    value = without(change(HOLA)["value"], "metadata")

    message = message_in({"field": "messages", "value": value})

    assert message.address == Address(Channel.WHATSAPP, "")
    assert (message.external_id, message.body) == ("wamid.hola", "hola")


@pytest.mark.parametrize(
    ("metadata", "number"),
    [
        ({"phone_number_id": " 1001 "}, "1001"),
        ({"phone_number_id": 1001}, "1001"),
        ({"phone_number_id": None}, ""),
        ({}, ""),
        (None, ""),
        ("1001", ""),
        ([{"phone_number_id": "1001"}], ""),
    ],
)
def test_a_message_counts_whatever_says_whose_number_it_is(metadata: Json, number: str) -> None:
    message = message_in(whatsapp(change(HOLA, metadata=metadata)))

    assert message.address == Address(Channel.WHATSAPP, number)
    assert message_in(message.payload) == message


def test_metas_test_message_is_like_any_other() -> None:
    message = message_in(whatsapp(change(HOLA | {"id": "ABGGFlA5Fpa"}, to="123456123")))

    assert message.address == Address(Channel.WHATSAPP, "123456123")
    assert (message.external_id, message.body) == ("ABGGFlA5Fpa", "hola")


STRANGE: list[Json] = [None, True, 7, 1.5, "x", [], {}, [None], [[]], [[HOLA]]]
NOTHING: dict[str, Json] = {
    **{f"{shape}": shape for shape in STRANGE},
    **{f"entry {shape}": whatsapp() | {"entry": shape} for shape in STRANGE},
    **{
        f"changes {shape}": whatsapp() | {"entry": [{"id": WABA, "changes": shape}]}
        for shape in STRANGE
    },
    **{f"value {shape}": whatsapp(change() | {"value": shape}) for shape in STRANGE},
    **{f"messages {shape}": whatsapp(change(messages=shape)) for shape in STRANGE[:6]},
    **{
        f"object {shape}": whatsapp(change(HOLA)) | {"object": shape}
        for shape in ("page", "user", "instagram", 7)
    },
}


@pytest.mark.parametrize("delivery", NOTHING.values(), ids=NOTHING)
def test_where_no_message_is_none_is_found(delivery: Json) -> None:
    assert decoded(delivery) == []
