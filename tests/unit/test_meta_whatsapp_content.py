"""The kind, text and content of each type of WhatsApp message."""

import json

import pytest

from interfaces.meta.parsed import MessageContent
from interfaces.meta.whatsapp.content import READERS_BY_TYPE, parse_content
from tests.support.payloads import (
    HOLA,
    Json,
    Object,
    without,
)
from tests.support.whatsapp_payloads import (
    MEDIA,
    ODD_PARTS,
    QUOTED_MESSAGE,
    message_of_type,
    text_message,
)

PRODUCT: Object = {"catalog_id": "19", "product_retailer_id": "zap-1"}


def form_message(response: Json, **parts: Json) -> Object:
    reply = {"body": "Sent", "response_json": response, **parts}
    return message_of_type("interactive", {"type": "nfm_reply", "nfm_reply": reply})


CONTENTS: dict[str, tuple[Object, MessageContent]] = {
    "text": (text_message(), MessageContent("text", "hola")),
    "text as written": (
        message_of_type("text", {"body": " a\n\n👋 "}),
        MessageContent("text", " a\n\n👋 "),
    ),
    "long text": (
        message_of_type("text", {"body": "a" * 9000}),
        MessageContent("text", "a" * 9000),
    ),
    "text of digits": (message_of_type("text", {"body": 38}), MessageContent("text", "38")),
    "blank text": (message_of_type("text", {"body": " \n"}), MessageContent("text", "")),
    "text without a type": (without(HOLA, "type"), MessageContent("text", "hola")),
    "image": (message_of_type("image", MEDIA), MessageContent("image", "", {"media": MEDIA})),
    "image with caption": (
        message_of_type("image", MEDIA | {"caption": "este"}),
        MessageContent("image", "este", {"media": MEDIA}),
    ),
    "video with caption": (
        message_of_type("video", {"id": 90, "caption": "así"}),
        MessageContent("video", "así", {"media": {"id": "90"}}),
    ),
    "document": (
        message_of_type("document", MEDIA | {"filename": "señal.pdf"}),
        MessageContent("document", "", {"media": MEDIA | {"filename": "señal.pdf"}}),
    ),
    "document with caption": (
        message_of_type("document", {"filename": "a.pdf", "caption": "el pago"}),
        MessageContent("document", "el pago", {"media": {"filename": "a.pdf"}}),
    ),
    "audio": (
        message_of_type("audio", {"id": "1", "voice": False}),
        MessageContent("audio", "", {"media": {"id": "1", "voice": False}}),
    ),
    "voice note": (
        message_of_type("audio", {"id": "1", "voice": True}),
        MessageContent("audio", "", {"media": {"id": "1", "voice": True}}),
    ),
    "old voice note": (
        message_of_type("voice", {"id": "1"}),
        MessageContent("voice", "", {"media": {"id": "1"}}),
    ),
    "sticker": (
        message_of_type("sticker", {"id": "1", "animated": True}),
        MessageContent("sticker", "", {"media": {"id": "1", "animated": True}}),
    ),
    "file with wrong types": (
        message_of_type("sticker", {"id": ["1"], "animated": "yes", "mime_type": None, "url": {}}),
        MessageContent("sticker", ""),
    ),
    "position": (
        message_of_type("location", {"latitude": -34.6037, "longitude": -58}),
        MessageContent("location", "", {"location": {"latitude": -34.6037, "longitude": -58.0}}),
    ),
    "position in strings": (
        message_of_type("location", {"latitude": " -34.6037", "longitude": "0"}),
        MessageContent("location", "", {"location": {"latitude": -34.6037, "longitude": 0.0}}),
    ),
    "place": (
        message_of_type(
            "location", {"name": "Taller", "address": "Calle 1", "url": "https://t.example"}
        ),
        MessageContent(
            "location",
            "",
            {"location": {"name": "Taller", "address": "Calle 1", "url": "https://t.example"}},
        ),
    ),
    "button": (
        message_of_type("button", {"text": "Sí", "payload": "YES"}, context=QUOTED_MESSAGE),
        MessageContent(
            "button",
            "Sí",
            {
                "choice": {"type": "button", "title": "Sí", "payload": "YES"},
                "reply": {"message_id": "wamid.question", "from": "5491100000001"},
            },
        ),
    ),
    "button without text": (
        message_of_type("button", {"payload": "YES"}),
        MessageContent("button", "", {"choice": {"type": "button", "payload": "YES"}}),
    ),
    "empty button": (message_of_type("button", {}), MessageContent("button", "")),
    "button reply": (
        message_of_type(
            "interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Rojo"}}
        ),
        MessageContent(
            "interactive", "Rojo", {"choice": {"type": "button_reply", "id": "1", "title": "Rojo"}}
        ),
    ),
    "list reply": (
        message_of_type(
            "interactive", {"list_reply": {"id": "x", "title": "XL", "description": "Pecho 110"}}
        ),
        MessageContent(
            "interactive",
            "XL",
            {
                "choice": {
                    "type": "list_reply",
                    "id": "x",
                    "title": "XL",
                    "description": "Pecho 110",
                }
            },
        ),
    ),
    "list reply without a title": (
        message_of_type("interactive", {"list_reply": {"id": "x", "description": "Pecho 110"}}),
        MessageContent(
            "interactive",
            "",
            {"choice": {"type": "list_reply", "id": "x", "description": "Pecho 110"}},
        ),
    ),
    "form": (
        form_message('{"talla": "M", "flow_token": "t-1"}', name="flow"),
        MessageContent(
            "interactive",
            "",
            {"flow": {"name": "flow", "answers": {"talla": "M", "flow_token": "t-1"}}},
        ),
    ),
    "form as a list": (
        form_message('[{"talla": "M"}]'),
        MessageContent("interactive", "", {"flow": {"answers": [{"talla": "M"}]}}),
    ),
    "form that is JSON already": (
        form_message({"talla": "M"}),
        MessageContent("interactive", "", {"flow": {"answers": {"talla": "M"}}}),
    ),
    "form of broken JSON": (
        form_message('{"talla', name="flow"),
        MessageContent("interactive", "", {"flow": {"name": "flow", "raw": '{"talla'}}),
    ),
    "form of no object": (
        form_message("null"),
        MessageContent("interactive", "", {"flow": {"raw": "null"}}),
    ),
    "form of long broken JSON": (
        form_message("{" * 9000),
        MessageContent("interactive", "", {"flow": {"raw": "{" * 8000}}),
    ),
    "form of a deep list": (
        form_message("[" * 900 + "]" * 900),
        MessageContent("interactive", "", {"flow": {"raw": "[" * 900 + "]" * 900}}),
    ),
    "form of a deep list with what cannot be stored": (
        form_message("[" * 900 + r'"\u0000"' + "]" * 900),
        MessageContent("interactive", "", {"flow": {"raw": "[" * 900 + r'"\u0000"' + "]" * 900}}),
    ),
    "form with what cannot be stored": (
        form_message(r'{"a": "\u0000\ud83d", "b": NaN}'),
        MessageContent("interactive", "", {"flow": {"answers": {"a": "\ufffd\ufffd", "b": None}}}),
    ),
    "form without answers": (
        form_message(None, name="flow"),
        MessageContent("interactive", "", {"flow": {"name": "flow"}}),
    ),
    "interactive of nothing": (
        message_of_type("interactive", {}),
        MessageContent("interactive", ""),
    ),
    "unknown interactive type": (
        message_of_type("interactive", {"type": "slider", "slider": {"value": 7}}),
        MessageContent("interactive", "", {"raw": {"type": "slider", "slider": {"value": 7}}}),
    ),
    "product": (
        message_of_type("interactive", {"type": "product", "product": PRODUCT}),
        MessageContent("interactive", "", {"referred_product": PRODUCT}),
    ),
    "product in the form of the business's messages": (
        message_of_type(
            "interactive", {"type": "product", "body": {"text": "¿hay?"}, "action": PRODUCT}
        ),
        MessageContent("interactive", "¿hay?", {"referred_product": PRODUCT}),
    ),
    "product without a part of its own": (
        message_of_type("interactive", {"type": "product", **PRODUCT}),
        MessageContent("interactive", "", {"referred_product": PRODUCT}),
    ),
    "product of an unknown interactive type": (
        message_of_type("interactive", {"type": "product_share", "product_share": PRODUCT}),
        MessageContent("interactive", "", {"referred_product": PRODUCT}),
    ),
    "product that answers a message": (
        message_of_type(
            "interactive", {"type": "product", "product": PRODUCT}, context=QUOTED_MESSAGE
        ),
        MessageContent(
            "interactive",
            "",
            {
                "referred_product": PRODUCT,
                "reply": {"message_id": "wamid.question", "from": "5491100000001"},
            },
        ),
    ),
    "several products": (
        message_of_type(
            "interactive",
            {
                "type": "product_list",
                "action": {
                    "catalog_id": "19",
                    "sections": [
                        {"title": "a", "product_items": [{"product_retailer_id": "zap-1"}]},
                        {"title": "b", "product_items": [{"product_retailer_id": "zap-2"}]},
                    ],
                },
            },
        ),
        MessageContent(
            "interactive",
            "",
            {
                "order": {
                    "catalog_id": "19",
                    "items": [
                        {"product_retailer_id": "zap-1"},
                        {"product_retailer_id": "zap-2"},
                    ],
                }
            },
        ),
    ),
    "product without an id": (
        message_of_type("interactive", {"type": "product", "product": {"catalog_id": "19"}}),
        MessageContent(
            "interactive", "", {"raw": {"type": "product", "product": {"catalog_id": "19"}}}
        ),
    ),
    "unsupported": (
        {"type": "unsupported", "unsupported": {"type": "poll_creation"}},
        MessageContent("unsupported", "", {"unsupported": {"type": "poll_creation"}}),
    ),
    "unavailable, from an ad": (
        {"type": "unknown", "errors": [{"code": 131060}], "referral": {"source_id": "12"}},
        MessageContent(
            "unknown", "", {"errors": [{"code": 131060}], "referral": {"source_id": "12"}}
        ),
    ),
    "welcome from an ad": (
        {"type": "request_welcome", "referral": {"source_id": "12"}},
        MessageContent("request_welcome", "", {"referral": {"source_id": "12"}}),
    ),
    "errors": (
        {"type": "errors", "errors": [{"code": 500}]},
        MessageContent("errors", "", {"errors": [{"code": 500}]}),
    ),
    "unknown type": (
        message_of_type("hologram", {"caption": "x", "depth": [1, {"a": None}]}),
        MessageContent("hologram", "", {"raw": {"caption": "x", "depth": [1, {"a": None}]}}),
    ),
    "unknown type, no object": (
        message_of_type("hologram", ["x"]),
        MessageContent("hologram", ""),
    ),
    "unknown type, too big": (
        message_of_type("hologram", {"a": "ñ" * 4000}),
        MessageContent("hologram", ""),
    ),
    "unknown type, too deep": (
        message_of_type("hologram", json.loads('{"a":' * 17 + "1" + "}" * 17)),
        MessageContent("hologram", ""),
    ),
    "type with a long name": (
        message_of_type("x" * 600, {"a": 1}),
        MessageContent("x" * 512, "", {"raw": {"a": 1}}),
    ),
    "type of a number": ({"type": 7, "7": {"a": 1}}, MessageContent("7", "", {"raw": {"a": 1}})),
    "no type": ({}, MessageContent("unknown", "")),
    "no type but a part": ({"image": MEDIA}, MessageContent("unknown", "")),
}


@pytest.mark.parametrize(("message", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_message_has_kind_text_and_content(message: Object, expected: MessageContent) -> None:
    assert parse_content(message) == expected


@pytest.mark.parametrize("broken", ODD_PARTS, ids=repr)
@pytest.mark.parametrize("type", READERS_BY_TYPE)
def test_part_of_another_shape_leaves_no_text_and_content(type: str, broken: Json) -> None:
    assert parse_content(message_of_type(type, broken)) == MessageContent(type, "")
