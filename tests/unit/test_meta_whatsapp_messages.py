"""WhatsApp messages that count: their kind, body, id and time."""

import pytest

from domain.connection import Address, Channel
from domain.contact import Sender
from domain.inbound import InboundMessage
from tests.support.builders import NOON, phone_identity
from tests.support.payloads import (
    ANA,
    ANA_CONTACT,
    HOLA,
    METADATA,
    PHONE_NUMBER_ID,
    SENT_AT,
    Json,
    Object,
    message_delivery,
    parse_message,
)
from tests.support.whatsapp_payloads import (
    AD,
    ANA_IDENTITIES,
    QUOTED_MESSAGE,
    UNSUPPORTED_ERRORS,
    UNSUPPORTED_TYPES,
    message_from_ana,
    typed_part,
    unsupported_part,
)

PRODUCT_ENQUIRY = QUOTED_MESSAGE | {
    "referred_product": {"catalog_id": "19", "product_retailer_id": "a1"}
}


CONTACT_CARD: Object = {
    "name": {"formatted_name": "Taller Sur"},
    "phones": [{"phone": "+54 11 5555 0009"}],
}


def test_text_is_parsed_completely() -> None:
    assert parse_message(message_delivery(HOLA)) == InboundMessage(
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
                                "contacts": [ANA_CONTACT],
                                "messages": [HOLA],
                            },
                        }
                    ],
                }
            ],
        },
    )


COUNTED_MESSAGES: dict[str, tuple[Object, str]] = {
    "text": (typed_part("text", body="¿Precio?"), "¿Precio?"),
    "text as written": (typed_part("text", body=" a\n\n👋 "), " a\n\n👋 "),
    "blank text": (typed_part("text", body=" \n"), "[text]"),
    "reply": (typed_part("text", body="sí") | {"context": QUOTED_MESSAGE}, "sí"),
    "forwarded": (typed_part("text", body="mira") | {"context": {"forwarded": True}}, "mira"),
    "product enquiry": (
        typed_part("text", body="¿Queda?") | {"context": PRODUCT_ENQUIRY},
        "¿Queda?",
    ),
    "text from an ad": (typed_part("text", body="info") | {"referral": AD}, "info"),
    "empty text from an ad": (typed_part("text") | {"referral": AD}, "[text]"),
    "image": (typed_part("image", id="1"), "[image]"),
    "image with caption": (typed_part("image", id="1", caption="este"), "este"),
    "image from an ad": (typed_part("image", id="1") | {"referral": AD}, "[image]"),
    "image that failed": (typed_part("image", id="1") | {"errors": [{"code": 131052}]}, "[image]"),
    "video": (typed_part("video", id="1"), "[video]"),
    "video with caption": (typed_part("video", id="1", caption="así"), "así"),
    "document": (typed_part("document", id="1"), "[document]"),
    "document with filename": (
        typed_part("document", filename="señal.pdf"),
        "[document: señal.pdf]",
    ),
    "document with caption": (
        typed_part("document", filename="a.pdf", caption="el pago"),
        "el pago",
    ),
    "audio": (typed_part("audio", id="1", voice=False), "[audio]"),
    "voice note": (typed_part("audio", id="1", voice=True), "[audio]"),
    "old voice note": (typed_part("voice", id="1"), "[voice]"),
    "sticker": (typed_part("sticker", id="1", animated=True), "[sticker]"),
    "location": (
        typed_part("location", latitude=-34.6, longitude=-58.4),
        "[location: -34.6, -58.4]",
    ),
    "location with address": (
        typed_part("location", latitude=1, address="Calle 1"),
        "[location: Calle 1]",
    ),
    "location with name": (
        typed_part("location", address="Calle 1", name="Casa"),
        "[location: Casa, Calle 1]",
    ),
    "contacts": ({"type": "contacts", "contacts": [CONTACT_CARD]}, "[contacts: Taller Sur]"),
    "contacts from an ad": (
        {"type": "contacts", "contacts": [CONTACT_CARD | {"origin": "other"}], "referral": AD},
        "[contacts: Taller Sur]",
    ),
    "own contact, asked for": (
        {"type": "contacts", "contacts": [{"origin": "contact_request", "vcard": "BEGIN:VCARD"}]},
        "[contacts]",
    ),
    "button": (typed_part("button", text="Sí", payload="YES") | {"context": QUOTED_MESSAGE}, "Sí"),
    "button without text": (typed_part("button", payload="YES"), "[button]"),
    "button reply": (typed_part("interactive", button_reply={"id": "1", "title": "Rojo"}), "Rojo"),
    "list reply": (typed_part("interactive", list_reply={"title": "XL", "description": "…"}), "XL"),
    "flow": (
        typed_part("interactive", nfm_reply={"body": "Sent", "response_json": '{"talla": "M"}'}),
        "[form: M]",
    ),
    "flow of broken JSON": (typed_part("interactive", nfm_reply={"response_json": "{"}), "[form]"),
    "interactive of nothing": ({"type": "interactive", **UNSUPPORTED_ERRORS}, "[interactive]"),
    "order": (typed_part("order", product_items=[{"quantity": 2}], text=""), "[order: 2 items]"),
    "order with text": (typed_part("order", product_items=[], text="para hoy"), "para hoy"),
    "unsupported": ({"type": "unsupported", **UNSUPPORTED_ERRORS}, "[unsupported]"),
    "unavailable, from an ad": (
        {"type": "unsupported", "errors": [{"code": 131060}], "referral": AD},
        "[unsupported]",
    ),
    "unknown": ({"type": "unknown", **UNSUPPORTED_ERRORS}, "[unknown]"),
    "welcome from an ad": ({"type": "request_welcome", "referral": AD}, "[request_welcome]"),
    "errors": ({"type": "errors"}, "[errors]"),
    "unknown type": (typed_part("hologram", body="…", caption="…", text="…"), "[hologram]"),
    "text is null": ({"type": "text", "text": None}, "[text]"),
    "image is a list": ({"type": "image", "image": ["x"]}, "[image]"),
    "interactive is null": ({"type": "interactive", "interactive": None}, "[interactive]"),
    "caption is null": (typed_part("video", caption=None), "[video]"),
    "text is a number": (typed_part("text", body=38), "38"),
    "caption is a number": (typed_part("image", caption=12), "12"),
    "group is null": (typed_part("text", body="hola") | {"group_id": None}, "hola"),
}


@pytest.mark.parametrize(("parts", "body"), COUNTED_MESSAGES.values(), ids=COUNTED_MESSAGES)
def test_message_counts_with_its_text_or_placeholder(parts: Object, body: str) -> None:
    sent = message_from_ana(**parts)

    message = parse_message(message_delivery(sent))

    assert (message.kind, message.body) == (parts["type"], body)
    assert (message.external_id, message.sent_at) == ("wamid.hola", SENT_AT)
    assert message.sender == Sender(identities=ANA_IDENTITIES, name="Ana")
    assert message.thread_external_id == f"wa:{PHONE_NUMBER_ID}:{ANA}"
    assert parse_message(message.payload) == message
    assert message.payload == message_delivery(sent)


@pytest.mark.parametrize(
    ("parts", "kind", "body"),
    [
        ({"text": {"body": "hola"}}, "text", "hola"),
        ({}, "unknown", "[unknown]"),
        ({"type": None, "image": {"caption": "este"}}, "unknown", "[unknown]"),
        ({"type": 7}, "7", "[7]"),
    ],
)
def test_message_without_type_counts(parts: Object, kind: str, body: str) -> None:
    message = parse_message(message_delivery(message_from_ana(**parts)))

    assert (message.kind, message.body) == (kind, body)


@pytest.mark.parametrize("type", UNSUPPORTED_TYPES)
@pytest.mark.parametrize(
    "kind",
    [
        "button",
        "errors",
        "gif",
        "group_invite",
        "hsm",
        "image",
        "interactive",
        "link_preview",
        "list",
        "location",
        "media_placeholder",
        "order",
        "poll_creation",
        "product",
        "tomorrow",
    ],
)
def test_unsupported_content_counts_with_its_kind_in_the_placeholder(kind: str, type: str) -> None:
    message = parse_message(message_delivery(message_from_ana(**unsupported_part(kind, type))))

    assert (message.kind, message.body) == (type, f"[{type}: {kind}]")


@pytest.mark.parametrize(
    ("id", "external_id"),
    [("wamid.1", "wamid.1"), (" wamid.1 ", "wamid.1"), (1234567890123456, "1234567890123456")],
)
def test_id_is_that_of_meta(id: Json, external_id: str) -> None:
    assert parse_message(message_delivery(HOLA | {"id": id})).external_id == external_id


@pytest.mark.parametrize("id", [None, "", " ", [], {}, False])
def test_id_is_derived_from_content_where_meta_sends_none(id: Json) -> None:
    def derive_id(**other: Json) -> str:
        to = other.pop("to", PHONE_NUMBER_ID)
        return parse_message(message_delivery(HOLA | {"id": id} | other, to=to)).external_id

    derived_id = derive_id()

    assert derived_id.startswith("derived:")
    assert derived_id == derive_id()
    assert derived_id not in {
        derive_id(timestamp="1795347001"),
        derive_id(text={"body": "Hola"}),
        derive_id(**{"from": "5491155550002"}),
        derive_id(to="1002"),
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
def test_time_is_the_messages_own_or_that_of_arrival(timestamp: Json, sent_at: object) -> None:
    assert parse_message(message_delivery(HOLA | {"timestamp": timestamp})).sent_at == sent_at


def test_long_type_is_cut_at_512_characters() -> None:
    message = parse_message(message_delivery(message_from_ana(type="x" * 5000)))

    assert message.kind == "x" * 512
    assert len(message.body) < 200


def test_long_text_is_not_cut() -> None:
    long_text = "ñ" * 100_000

    assert parse_message(message_delivery(HOLA | {"text": {"body": long_text}})).body == long_text


def test_dashboard_test_message_counts_like_any_other() -> None:
    message = parse_message(message_delivery(HOLA | {"id": "ABGGFlA5Fpa"}, to="123456123"))

    assert message.address == Address(Channel.WHATSAPP, "123456123")
    assert (message.external_id, message.body) == ("ABGGFlA5Fpa", "hola")
