"""WhatsApp items, parts and fields that do not count and are ignored by name."""

from typing import Literal

import pytest

from interfaces.meta.parsed import IgnoredItem
from tests.support.payloads import (
    ANA,
    HOLA,
    METADATA,
    WABA_ID,
    Json,
    Object,
    count_ignored_items,
    message_delivery,
    parse_changes,
    parse_message,
    parse_messages,
    whatsapp_change,
    whatsapp_delivery,
    without,
)
from tests.support.whatsapp_payloads import (
    AD,
    STATUS,
    UNSUPPORTED_ERRORS,
    UNSUPPORTED_TYPES,
    message_from_ana,
    system_part,
    typed_part,
    unsupported_part,
)


def ignored_item(part: Literal["event", "field"], name: str) -> IgnoredItem:
    return IgnoredItem("ignored", "whatsapp", part, name)


IN_GROUP = {"group_id": "Z3J1cG8"}


UNCOUNTED_ITEMS: dict[str, Object] = {
    "reaction": typed_part("reaction", message_id="wamid.1", emoji="👍"),
    "reaction taken back": typed_part("reaction", message_id="wamid.1"),
    "reaction emptied": typed_part("reaction", message_id="wamid.1", emoji=""),
    "new number": system_part("user_changed_number", wa_id="5491155550002"),
    "new number, old form": system_part(
        "user_changed_number", new_wa_id="5491155550002", customer=ANA
    ),
    "new user id": system_part("user_changed_user_id", user_id="AR.2"),
    "new identity": system_part("customer_identity_changed") | {"identity": {"hash": "x"}},
    "edit": typed_part(
        "edit", original_message_id="wamid.1", message=typed_part("text", body="adiós")
    ),
    "revoke": typed_part("revoke", original_message_id="wamid.1"),
    "welcome": {"type": "request_welcome"},
    "call permission by its type": {
        "type": "interactive",
        "interactive": {"type": "call_permission_reply"},
    },
    "call permission": typed_part("interactive", call_permission_reply={"response": "accept"}),
    "empty call permission": typed_part("interactive", call_permission_reply={}),
    "group text": typed_part("text", body="hola a todos") | IN_GROUP,
    "group image": typed_part("image", caption="miren") | IN_GROUP,
    "group, unsupported": unsupported_part("gif") | IN_GROUP,
    "group, from an ad": {"type": "request_welcome", "referral": AD} | IN_GROUP,
    **{
        f"{name} {kind}": unsupported_part(kind, name)
        for name in UNSUPPORTED_TYPES
        for kind in ("edit", "pin", "keep_in_chat", "poll_update", "reaction")
    },
}


@pytest.mark.parametrize("parts", UNCOUNTED_ITEMS.values(), ids=UNCOUNTED_ITEMS)
def test_uncounted_item_hides_no_message_beside_it(parts: Object) -> None:
    other = message_from_ana(**parts, id="wamid.other")

    assert parse_messages(message_delivery(other)) == []
    assert parse_messages(message_delivery(other, HOLA, other)) == parse_messages(
        message_delivery(HOLA)
    )
    traces = [
        *parse_changes(message_delivery(other)),
        *count_ignored_items(message_delivery(other)).elements(),
    ]
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (typed_part("text", body="hola a todos") | IN_GROUP, "group"),
        (typed_part("reaction", message_id="wamid.1", emoji="👍") | IN_GROUP, "group"),
        ({"type": "request_welcome"}, "request_welcome"),
        (typed_part("interactive", call_permission_reply={}), "call_permission_reply"),
        (UNCOUNTED_ITEMS["call permission by its type"], "call_permission_reply"),
        (unsupported_part("pin"), "unsupported: pin"),
        (unsupported_part("edit", "unknown"), "unsupported: edit"),
        (system_part("customer_identity_changed"), "customer_identity_changed"),
    ],
)
def test_uncounted_item_is_ignored_by_name(parts: Object, name: str) -> None:
    other = message_from_ana(**parts)

    assert count_ignored_items(message_delivery(other, HOLA, other)) == {
        ignored_item("event", name): 2
    }


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (typed_part("hologram", body="…"), ["hologram"]),
        (typed_part("hologram") | IN_GROUP, ["hologram"]),
        (typed_part("text", body="hola"), []),
        (typed_part("voice", id="1"), []),
        (typed_part("request_welcome") | {"referral": AD}, []),
        (typed_part("reaction", message_id="wamid.1", emoji="👍"), []),
        (system_part("user_changed_number", wa_id="5491155550002"), []),
        ({"type": "unknown", **UNSUPPORTED_ERRORS}, []),
        ({}, []),
    ],
)
def test_unknown_type_is_reported_by_name(parts: Object, names: list[str]) -> None:
    ignored_items = count_ignored_items(message_delivery(message_from_ana(**parts)))

    assert [item.name for item in ignored_items if item.part == "type"] == names
    assert all(
        ignored_items[item] == 1 and item.verdict == "unknown"
        for item in ignored_items
        if item.part == "type"
    )


@pytest.mark.parametrize("by", ["from", "from_user_id"])
def test_system_message_without_contacts_does_not_count(by: str) -> None:
    message = without(HOLA, "from") | system_part("user_changed_user_id") | {by: "AR.1"}

    assert parse_messages(message_delivery(message, contacts=None)) == []


OTHER_PARTS: dict[str, Object] = {
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


@pytest.mark.parametrize("value", OTHER_PARTS.values(), ids=OTHER_PARTS)
def test_other_part_does_not_count_and_hides_no_message(value: Object) -> None:
    assert parse_messages(message_delivery(**value)) == []

    message = parse_message(message_delivery(HOLA, **value))

    assert (message.external_id, message.body) == ("wamid.hola", "hola")
    alone = message.payload["entry"][0]["changes"][0]["value"]
    assert set(alone) == {"messaging_product", "metadata", "contacts", "messages"}
    assert parse_message(message.payload) == message


@pytest.mark.parametrize("value", OTHER_PARTS.values(), ids=OTHER_PARTS)
def test_each_item_of_another_part_is_ignored_by_name(value: Object) -> None:
    (name,) = value.keys() - {"contacts"}

    ignored_items = count_ignored_items(message_delivery(HOLA, **value))

    assert ignored_items == {ignored_item("event", name): len(value[name])}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"tomorrow": [{}, {}], "next_week": {"a": 1}}, ["next_week", "tomorrow"]),
        ({"message_echoes": [HOLA]}, ["message_echoes"]),
        ({"tomorrow": [], "b": None, "c": "x", "d": 7, "e": True}, []),
        ({"statuses": None, "errors": "x"}, []),
    ],
)
def test_unknown_part_is_reported_once_by_name(value: Object, names: list[str]) -> None:
    ignored_items = count_ignored_items(message_delivery(HOLA, **value))

    assert ignored_items == {IgnoredItem("unknown", "whatsapp", "event", name): 1 for name in names}


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
    "flows": {"event": "FLOW_STATUS_CHANGE"},
    **{
        name: {"event": "SOMETHING", "metadata": None, "contacts": None}
        for name in (
            "account_update",
            "account_alerts",
            "account_review_update",
            "security",
            "business_capability_update",
            "payment_configuration_update",
            "partner_solutions",
            "phone_number_name_update",
            "phone_number_quality_update",
            "message_template_status_update",
            "message_template_quality_update",
            "message_template_components_update",
            "template_category_update",
            "tomorrow",
        )
    },
}


@pytest.mark.parametrize(("field", "value"), OTHER_FIELDS.items(), ids=OTHER_FIELDS)
def test_other_field_does_not_count_and_hides_no_message(field: str, value: Object) -> None:
    other = whatsapp_change(field=field, **value)

    assert parse_messages(whatsapp_delivery(other)) == []
    assert parse_messages(whatsapp_delivery(other, whatsapp_change(HOLA))) == parse_messages(
        message_delivery(HOLA)
    )


READ_FIELDS = {"smb_message_echoes", "message_echoes", "user_preferences", "user_id_update"}


@pytest.mark.parametrize("field", sorted(OTHER_FIELDS.keys() - READ_FIELDS - {"tomorrow"}))
def test_ignored_field_is_counted_by_name(field: str) -> None:
    other = whatsapp_change(field=field, **OTHER_FIELDS[field])

    assert count_ignored_items(whatsapp_delivery(other, other)) == {ignored_item("field", field): 2}
    assert parse_changes(whatsapp_delivery(other)) == []


@pytest.mark.parametrize(
    ("field", "name"), [("tomorrow", "tomorrow"), (7, "7"), ("", "none"), (None, "none")]
)
def test_unknown_field_is_reported_by_name(field: Json, name: str) -> None:
    other = whatsapp_change(HOLA, field=field)

    assert count_ignored_items(whatsapp_delivery(other)) == {
        IgnoredItem("unknown", "whatsapp", "field", name): 1
    }


@pytest.mark.parametrize("part", ["messages", "message_echoes"])
def test_imported_history_holds_neither_messages_nor_changes(part: str) -> None:
    """A file sent after its message stands where a message would."""
    history: Object = {part: [HOLA, message_from_ana(**UNCOUNTED_ITEMS["edit"])]}
    other = whatsapp_change(field="history", **history)

    assert parse_messages(whatsapp_delivery(other)) == []
    assert parse_changes(whatsapp_delivery(other)) == []
    assert count_ignored_items(whatsapp_delivery(other)) == {ignored_item("field", "history"): 1}


@pytest.mark.parametrize("field", [*OTHER_FIELDS, "", None, 7, ["messages"]])
def test_items_under_another_field_are_no_messages(field: Json) -> None:
    assert parse_messages(message_delivery(HOLA, message_echoes=[HOLA], field=field)) == []


DECLINED_HISTORY = {
    "messaging_product": "whatsapp",
    "metadata": METADATA,
    "history": [{"errors": []}],
}


ACCOUNT_EVENT = {"event": "PARTNER_APP_INSTALLED", "waba_info": {"waba_id": WABA_ID}}


@pytest.mark.parametrize(
    "delivery",
    [
        pytest.param(DECLINED_HISTORY, id="history declined, without an envelope"),
        pytest.param(
            {
                "entry": [{"id": WABA_ID, "changes": [{"value": ACCOUNT_EVENT}]}],
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
def test_malformed_examples_on_metas_pages_do_not_count(delivery: Json) -> None:
    assert parse_messages(delivery) == []
