"""What each type of WhatsApp message says and carries."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.meta.json_values import parse_json
from interfaces.meta.parsed import MessageContent
from interfaces.meta.placeholders import LANGUAGES, PlaceholderText
from interfaces.meta.whatsapp.content import READERS_BY_TYPE, parse_content
from tests.support.payloads import HOLA, Json, Object, without

FILE: Object = {"id": "90", "mime_type": "image/jpeg", "sha256": "kq=", "url": "https://m.example"}
QUOTED: Object = {"from": "5491100000001", "id": "wamid.question"}
AD: Object = {
    "source_type": "ad",
    "source_id": "1202000000000001",
    "source_url": "https://fb.example/ad",
    "headline": "Rebajas de verano",
    "body": "Todo a mitad de precio",
    "media_type": "video",
    "video_url": "https://cdn.example/v",
    "thumbnail_url": "https://cdn.example/t",
    "ctwa_clid": "Afc-1",
    "welcome_message": {"text": "¿En qué te ayudamos?"},
}


def of(type: str, part: Json, **beside: Json) -> Object:
    """A message of Ana's with its part and nothing else but what stands beside it."""
    return without(HOLA, "type", "text") | {"type": type, type: part} | beside


def hello(**beside: Json) -> Object:
    return HOLA | beside


def form(response: Json, **parts: Json) -> Object:
    reply = {"body": "Sent", "response_json": response, **parts}
    return of("interactive", {"type": "nfm_reply", "nfm_reply": reply})


def line(quantity: Json, price: Json, currency: Json = "ARS") -> Object:
    return {
        "product_retailer_id": "zap-1",
        "quantity": quantity,
        "item_price": price,
        "currency": currency,
    }


def basket(*items: Json, **parts: Json) -> Object:
    return of("order", {"catalog_id": "19", "product_items": list(items), **parts})


def in_order(message: Object) -> Object:
    """What is kept of the order."""
    order: Object = parse_content(message).content["order"]
    return order


READ: dict[str, tuple[Object, MessageContent]] = {
    "text": (hello(), MessageContent("text", "hola")),
    "text as written": (of("text", {"body": " a\n\n👋 "}), MessageContent("text", " a\n\n👋 ")),
    "long text": (of("text", {"body": "a" * 9000}), MessageContent("text", "a" * 9000)),
    "text of digits": (of("text", {"body": 38}), MessageContent("text", "38")),
    "blank text": (of("text", {"body": " \n"}), MessageContent("text", "")),
    "text without a type": (without(HOLA, "type"), MessageContent("text", "hola")),
    "image": (of("image", FILE), MessageContent("image", "", {"media": FILE})),
    "image with caption": (
        of("image", FILE | {"caption": "este"}),
        MessageContent("image", "este", {"media": FILE}),
    ),
    "video with caption": (
        of("video", {"id": 90, "caption": "así"}),
        MessageContent("video", "así", {"media": {"id": "90"}}),
    ),
    "document": (
        of("document", FILE | {"filename": "señal.pdf"}),
        MessageContent("document", "", {"media": FILE | {"filename": "señal.pdf"}}),
    ),
    "document with caption": (
        of("document", {"filename": "a.pdf", "caption": "el pago"}),
        MessageContent("document", "el pago", {"media": {"filename": "a.pdf"}}),
    ),
    "audio": (
        of("audio", {"id": "1", "voice": False}),
        MessageContent("audio", "", {"media": {"id": "1", "voice": False}}),
    ),
    "voice note": (
        of("audio", {"id": "1", "voice": True}),
        MessageContent("audio", "", {"media": {"id": "1", "voice": True}}),
    ),
    "old voice note": (
        of("voice", {"id": "1"}),
        MessageContent("voice", "", {"media": {"id": "1"}}),
    ),
    "sticker": (
        of("sticker", {"id": "1", "animated": True}),
        MessageContent("sticker", "", {"media": {"id": "1", "animated": True}}),
    ),
    "file with wrong types": (
        of("sticker", {"id": ["1"], "animated": "yes", "mime_type": None, "url": {}}),
        MessageContent("sticker", ""),
    ),
    "position": (
        of("location", {"latitude": -34.6037, "longitude": -58}),
        MessageContent("location", "", {"location": {"latitude": -34.6037, "longitude": -58.0}}),
    ),
    "position in strings": (
        of("location", {"latitude": " -34.6037", "longitude": "0"}),
        MessageContent("location", "", {"location": {"latitude": -34.6037, "longitude": 0.0}}),
    ),
    "place": (
        of("location", {"name": "Taller", "address": "Calle 1", "url": "https://t.example"}),
        MessageContent(
            "location",
            "",
            {"location": {"name": "Taller", "address": "Calle 1", "url": "https://t.example"}},
        ),
    ),
    "button": (
        of("button", {"text": "Sí", "payload": "YES"}, context=QUOTED),
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
        of("button", {"payload": "YES"}),
        MessageContent("button", "", {"choice": {"type": "button", "payload": "YES"}}),
    ),
    "empty button": (of("button", {}), MessageContent("button", "")),
    "button reply": (
        of("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Rojo"}}),
        MessageContent(
            "interactive", "Rojo", {"choice": {"type": "button_reply", "id": "1", "title": "Rojo"}}
        ),
    ),
    "list reply": (
        of("interactive", {"list_reply": {"id": "x", "title": "XL", "description": "Pecho 110"}}),
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
        of("interactive", {"list_reply": {"id": "x", "description": "Pecho 110"}}),
        MessageContent(
            "interactive",
            "",
            {"choice": {"type": "list_reply", "id": "x", "description": "Pecho 110"}},
        ),
    ),
    "form": (
        form('{"talla": "M", "flow_token": "t-1"}', name="flow"),
        MessageContent(
            "interactive",
            "",
            {"flow": {"name": "flow", "answers": {"talla": "M", "flow_token": "t-1"}}},
        ),
    ),
    "form as a list": (
        form('[{"talla": "M"}]'),
        MessageContent("interactive", "", {"flow": {"answers": [{"talla": "M"}]}}),
    ),
    "form that is JSON already": (
        form({"talla": "M"}),
        MessageContent("interactive", "", {"flow": {"answers": {"talla": "M"}}}),
    ),
    "form of broken JSON": (
        form('{"talla', name="flow"),
        MessageContent("interactive", "", {"flow": {"name": "flow", "raw": '{"talla'}}),
    ),
    "form of no object": (
        form("null"),
        MessageContent("interactive", "", {"flow": {"raw": "null"}}),
    ),
    "form of long broken JSON": (
        form("{" * 9000),
        MessageContent("interactive", "", {"flow": {"raw": "{" * 8000}}),
    ),
    "form of a deep list": (
        form("[" * 900 + "]" * 900),
        MessageContent("interactive", "", {"flow": {"raw": "[" * 900 + "]" * 900}}),
    ),
    "form of a deep list with what cannot be stored": (
        form("[" * 900 + r'"\u0000"' + "]" * 900),
        MessageContent("interactive", "", {"flow": {"raw": "[" * 900 + r'"\u0000"' + "]" * 900}}),
    ),
    "form with what cannot be stored": (
        form(r'{"a": "\u0000\ud83d", "b": NaN}'),
        MessageContent("interactive", "", {"flow": {"answers": {"a": "\ufffd\ufffd", "b": None}}}),
    ),
    "form without answers": (
        form(None, name="flow"),
        MessageContent("interactive", "", {"flow": {"name": "flow"}}),
    ),
    "interactive of nothing": (of("interactive", {}), MessageContent("interactive", "")),
    "interactive of tomorrow": (
        of("interactive", {"type": "slider", "slider": {"value": 7}}),
        MessageContent("interactive", "", {"raw": {"type": "slider", "slider": {"value": 7}}}),
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
    "type of tomorrow": (
        of("hologram", {"caption": "x", "depth": [1, {"a": None}]}),
        MessageContent("hologram", "", {"raw": {"caption": "x", "depth": [1, {"a": None}]}}),
    ),
    "type of tomorrow, no object": (of("hologram", ["x"]), MessageContent("hologram", "")),
    "type of tomorrow, too big": (
        of("hologram", {"a": "ñ" * 4000}),
        MessageContent("hologram", ""),
    ),
    "type of tomorrow, too deep": (
        of("hologram", json.loads('{"a":' * 17 + "1" + "}" * 17)),
        MessageContent("hologram", ""),
    ),
    "type with a long name": (
        of("x" * 600, {"a": 1}),
        MessageContent("x" * 512, "", {"raw": {"a": 1}}),
    ),
    "type of a number": ({"type": 7, "7": {"a": 1}}, MessageContent("7", "", {"raw": {"a": 1}})),
    "no type": ({}, MessageContent("unknown", "")),
    "no type but a part": ({"image": FILE}, MessageContent("unknown", "")),
}


@pytest.mark.parametrize(("message", "expected"), READ.values(), ids=READ)
def test_a_message_has_kind_words_and_content(message: Object, expected: MessageContent) -> None:
    assert parse_content(message) == expected


def test_a_contact_is_kept_with_all_that_stands_on_the_card() -> None:
    card = {
        "name": {"formatted_name": "Ana Gómez", "first_name": "Ana"},
        "phones": [{"phone": "+54 11 5555 0009", "wa_id": "5491155550009", "type": "CELL"}, {}],
        "emails": [{"email": "ana@x.example", "type": "WORK"}],
        "org": {"company": "Taller Sur", "department": "Ventas", "title": "Jefa"},
        "urls": [{"url": "https://t.example", "type": "WORK"}],
        "addresses": [{"street": "Calle 1", "city": "Rosario", "country_code": "ar", "floor": 2}],
        "birthday": "1990-01-31",
        "vcard": "BEGIN:VCARD",
        "origin": "contact_request",
        "tomorrow": 1,
    }

    assert parse_content(of("contacts", [card])) == MessageContent(
        "contacts",
        "",
        {
            "contacts": [
                {
                    "name": "Ana Gómez",
                    "phones": [
                        {"phone": "+54 11 5555 0009", "wa_id": "5491155550009", "type": "CELL"}
                    ],
                    "emails": [{"email": "ana@x.example", "type": "WORK"}],
                    "org": {"company": "Taller Sur", "department": "Ventas", "title": "Jefa"},
                    "urls": [{"url": "https://t.example", "type": "WORK"}],
                    "addresses": [{"street": "Calle 1", "city": "Rosario", "country_code": "ar"}],
                    "birthday": "1990-01-31",
                    "vcard": "BEGIN:VCARD",
                    "origin": "contact_request",
                }
            ]
        },
    )


@pytest.mark.parametrize(
    ("cards", "names"),
    [
        ([{"name": {"first_name": "Ana", "last_name": "Gómez"}}], ["Ana Gómez"]),
        (
            [{"name": {"formatted_name": "Ana"}}, {"name": {"formatted_name": "Ivo"}}],
            ["Ana", "Ivo"],
        ),
        ({"name": {"formatted_name": "Ana"}}, ["Ana"]),
        ([None, {}, "x", {"name": "Ana"}, {"name": {"first_name": "Ivo"}}], ["Ivo"]),
    ],
)
def test_contacts_are_called_by_their_names(cards: Json, names: list[str]) -> None:
    assert [
        card["name"] for card in parse_content(of("contacts", cards)).content["contacts"]
    ] == names


@pytest.mark.parametrize("cards", [None, [], {}, "x", [None, {}, {"phones": {}}]])
def test_contacts_of_nobody_are_none(cards: Json) -> None:
    assert parse_content(of("contacts", cards)) == MessageContent("contacts", "")


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        *((90.1, 180.1), (-91, "-181"), ("nan", "inf"), (10**350, float("inf")), (True, [1])),
        *(("Norte", ""), (None, {}), ("1,5", "0x1")),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_a_position_off_the_earth_is_left_out(latitude: Json, longitude: Json) -> None:
    place = {"latitude": latitude, "longitude": longitude, "name": "Casa"}

    assert parse_content(of("location", place)).content == {"location": {"name": "Casa"}}


def test_an_order_is_kept_with_its_total() -> None:
    message = basket(line(2, 15), line("1", "15.00"), text="para hoy")

    assert parse_content(message) == MessageContent(
        "order",
        "para hoy",
        {
            "order": {
                "catalog_id": "19",
                "items": [line(2, 15), line("1", "15.00")],
                "count": 3,
                "total": {"amount": "45.00", "currency": "ARS"},
                "text": "para hoy",
            }
        },
    )


@pytest.mark.parametrize(
    ("items", "amount"),
    [
        ([line(3, 0.1)], "0.30"),
        ([line(3, 1 / 3), line(1.0, "0.005")], "1.00"),
        ([line(1, "0.015"), line("2.0", 10)], "20.02"),
        ([line(1, 10, "ars"), line(1, 5, " ARS ")], "15.00"),
        ([line(2, 1500, "CLP")], "3000"),
        ([line(2, 1.5, "KWD")], "3.000"),
        ([line(2, 1.5, "ZZZ")], "3.00"),
        ([line(0, 5)], "0.00"),
        ([line(1, 0)], "0.00"),
        ([line(99999, "999999999999.99")], "99998999999999000.01"),
    ],
)
def test_a_total_is_exact_to_the_currencys_last_digit(items: list[Json], amount: str) -> None:
    assert in_order(basket(*items))["total"]["amount"] == amount


@pytest.mark.parametrize(
    "price",
    [
        *(
            None,
            "",
            "gratis",
            "10,00",
            "1.000.00",
            "NaN",
            "Infinity",
            "-1",
            "+1",
            "1e3",
            "1_0",
            "٣",
        ),
        *(-1, -0.01, float("nan"), float("inf"), 1e300, 1e-300, 10**350, 10**12, "9" * 5000, True),
        *([], {}, "0." + "1" * 5000, "1e999999999"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_an_order_with_a_price_of_none_has_a_count_but_no_total(price: Json) -> None:
    order = in_order(basket(line(1, 10), line(2, price)))

    assert order["count"] == 3
    assert "total" not in order
    assert len(order["items"]) == 2


@pytest.mark.parametrize(
    "quantity",
    [
        *(None, "", "dos", "1.5", 1.5, -1, "-1", float("nan"), float("inf"), 1e300, 10**350),
        *(True, [], {}, "9" * 5000, 10**9, "1e3", "٣"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_an_order_with_a_quantity_of_none_has_neither_count_nor_total(quantity: Json) -> None:
    order = in_order(basket(line(1, 10), line(quantity, 10)))

    assert not {"count", "total"} & set(order)
    assert order["items"][0] == line(1, 10)


@pytest.mark.parametrize(
    "items",
    [
        [line(1, 10, "ARS"), line(1, 10, "USD")],
        [line(1, 10, None)],
        [line(1, 10, "pesos")],
        [line(1, 10, "AR$")],
        [line(1, 10), without(line(1, 10), "currency")],
        [line(10**6, "999999999999")] * 2,
    ],
)
def test_an_order_without_one_currency_or_beyond_all_money_has_no_total(items: list[Json]) -> None:
    assert "total" not in in_order(basket(*items))


@pytest.mark.parametrize("items", [None, [], "x", 7])
def test_an_order_of_nothing_has_nothing_to_count(items: Json) -> None:
    message = of("order", {"catalog_id": "19", "product_items": items, "text": ""})

    assert parse_content(message) == MessageContent("order", "", {"order": {"catalog_id": "19"}})


def test_an_item_that_is_none_cannot_be_counted() -> None:
    order = in_order(basket(line(1, 10), None))

    assert order == {"catalog_id": "19", "items": [line(1, 10)]}


BROKEN: list[Json] = [None, "x", "", 7, 1.5, True, [], ["x"], [[]], [None], {}]

BESIDE: dict[str, tuple[Object, Object]] = {
    "reply": (
        {"context": QUOTED},
        {"reply": {"message_id": "wamid.question", "from": "5491100000001"}},
    ),
    "reply to a hidden number": (
        {"context": {"id": "wamid.1", "from_user_id": "AR.1", "from_parent_user_id": "AR.ENT.1"}},
        {"reply": {"message_id": "wamid.1", "from": "AR.1"}},
    ),
    "forwarded": ({"context": {"forwarded": True}}, {"forwarded": True}),
    "forwarded often": (
        {"context": {"frequently_forwarded": "true", "forwarded": False}},
        {"frequently_forwarded": True},
    ),
    "not forwarded": ({"context": {"forwarded": False, "frequently_forwarded": None}}, {}),
    "product enquiry": (
        {
            "context": QUOTED
            | {"referred_product": {"catalog_id": "19", "product_retailer_id": "zap-1"}}
        },
        {"referred_product": {"catalog_id": "19", "product_retailer_id": "zap-1"}},
    ),
    "ad": (
        {"referral": AD},
        {
            "referral": {
                "source_type": "ad",
                "source_id": "1202000000000001",
                "click_id": "Afc-1",
                "url": "https://fb.example/ad",
                "headline": "Rebajas de verano",
                "body": "Todo a mitad de precio",
                "media_type": "video",
                "media_url": "https://cdn.example/v",
            }
        },
    ),
    "post with an image": (
        {"referral": {"source_id": 12, "image_url": "i", "thumbnail_url": "t"}},
        {"referral": {"source_id": "12", "media_url": "i"}},
    ),
    "ad with a thumbnail": (
        {"referral": {"image_url": None, "thumbnail_url": "t"}},
        {"referral": {"media_url": "t"}},
    ),
    "errors": (
        {
            "errors": [
                {
                    "code": 131052,
                    "title": "Media download error",
                    "message": "Failed",
                    "error_data": {"details": "Expired"},
                    "href": "https://x.example",
                },
                {"code": "131051", "details": "Not supported"},
                {"tomorrow": 1},
                None,
            ]
        },
        {
            "errors": [
                {
                    "code": 131052,
                    "title": "Media download error",
                    "message": "Failed",
                    "details": "Expired",
                },
                {"code": "131051", "details": "Not supported"},
            ]
        },
    ),
    "single error": ({"errors": {"code": 1}}, {"errors": [{"code": 1}]}),
    "what WhatsApp cannot show": (
        {"unsupported": {"type": "gif"}},
        {"unsupported": {"type": "gif"}},
    ),
    "group, hash and tomorrow": ({"group_id": None, "identity": {"hash": "x"}, "new": 1}, {}),
    "long strings": (
        {"referral": {"body": "a" * 9000, "ctwa_clid": "b" * 9000, "image_url": "c" * 9000}},
        {"referral": {"body": "a" * 4096, "click_id": "b" * 4096, "media_url": "c" * 4096}},
    ),
    **{
        f"all is {broken!r}": (
            dict.fromkeys(("context", "referral", "errors", "unsupported"), broken),
            {},
        )
        for broken in BROKEN
    },
}


@pytest.mark.parametrize(("beside", "content"), BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize(
    ("message", "alone"),
    [
        (hello(), MessageContent("text", "hola")),
        (of("image", FILE | {"caption": "este"}), MessageContent("image", "este", {"media": FILE})),
        (of("hologram", {"a": 1}), MessageContent("hologram", "", {"raw": {"a": 1}})),
    ],
    ids=["text", "image", "hologram"],
)
def test_any_type_may_have_things_beside_it(
    message: Object, alone: MessageContent, beside: Object, content: Object
) -> None:
    assert parse_content(message | beside) == MessageContent(
        alone.kind, alone.text, {**alone.content, **content}
    )


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
@pytest.mark.parametrize("type", READERS_BY_TYPE)
def test_a_part_of_another_shape_says_nothing(type: str, broken: Json) -> None:
    assert parse_content(of(type, broken)) == MessageContent(type, "")


ONE_OF_EACH = {
    "text": {"body": "hola"},
    "image": FILE | {"caption": "este", "filename": "a.pdf", "voice": True, "animated": False},
    "location": {"latitude": 1, "longitude": "2", "name": "n", "address": "a", "url": "u"},
    "contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+54"}], "org": {}}],
    "button": {"text": "Sí", "payload": "YES"},
    "interactive": {
        "type": "nfm_reply",
        "button_reply": {"id": "1", "title": "Rojo"},
        "list_reply": {"id": "1", "title": "Rojo", "description": "x"},
        "nfm_reply": {"name": "flow", "response_json": '{"talla": "M"}', "body": "Sent"},
    },
    "order": {"product_items": [line(2, 15), line(1, "0.5")], "text": "", "catalog_id": "19"},
    "unsupported": {"type": "gif"},
}
NAMES = sorted(
    {
        *ONE_OF_EACH,
        *("body", "caption", "id", "filename", "mime_type", "voice", "latitude", "longitude"),
        *("name", "address", "formatted_name", "phones", "phone", "org", "title", "payload"),
        *("button_reply", "list_reply", "nfm_reply", "response_json", "flow_token", "values"),
        *("product_items", "quantity", "item_price", "currency", "ARS", "USD", "JPY", "1.5", "-1"),
        *("type", "forwarded", "referred_product", "from", "code", "details", "error_data", "[1]"),
    }
)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5) | st.sampled_from(NAMES)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
FORMS = ANYTHING.map(json.dumps) | WORDS | ANYTHING
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "product_retailer_id": WORDS,
        "quantity": NUMBERS | WORDS | st.integers(0, 10**9).map(str),
        "item_price": NUMBERS | WORDS | st.decimals(0, 10**13, allow_nan=False).map(str),
        "currency": st.sampled_from(["ARS", "usd", "CLP", "EUR", "???"]) | ANYTHING,
    },
)
LIKELY = {
    "interactive": st.fixed_dictionaries(
        {"nfm_reply": st.fixed_dictionaries({"response_json": FORMS}, optional={"name": ANYTHING})}
    ),
    "order": st.fixed_dictionaries({"product_items": st.lists(ITEMS, max_size=3)}),
    "location": st.fixed_dictionaries({"latitude": ANYTHING, "longitude": NUMBERS}),
}
BODIES = [PlaceholderText(language) for language in LANGUAGES]


def parts(type: str) -> st.SearchStrategy[Any]:
    """Anything, a little more often of about the right shape."""
    right = st.just(ONE_OF_EACH.get(type))
    likely = LIKELY.get(type, right)
    keys = st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=6)
    return ANYTHING | likely | keys | st.lists(keys, max_size=3)


def absent_things(content: Json) -> list[Json]:
    """What says nothing, wherever it stands, but within what is kept as it came."""
    if isinstance(content, dict):
        inner = [part for name, part in content.items() if name not in {"raw", "answers"}]
    elif isinstance(content, list):
        inner = content
    else:
        return []
    found = [part for part in inner if part is None or part in ("", [], {})]
    return found + [absent for part in inner for absent in absent_things(part)]


@pytest.mark.parametrize("type", [*READERS_BY_TYPE, "hologram", "reaction"])
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_meta_sends_has_a_body_and_tidy_content(type: str, data: st.DataObject) -> None:
    beside = data.draw(
        st.dictionaries(
            st.sampled_from(["context", "referral", "errors", "unsupported"]), ANYTHING, max_size=2
        )
    )

    message = parse_content(of(type, data.draw(parts(type)), **beside))

    assert message.kind == type
    assert not absent_things(message.content)
    assert parse_json(json.dumps(message.content, allow_nan=False).encode()) == message.content
    for body in (placeholder_text.compose(type, message.content) for placeholder_text in BODIES):
        assert 2 < len(body) < 300
        assert (body[0], body[-1]) == ("[", "]")


@given(ANYTHING.filter(lambda value: isinstance(value, dict)))
@settings(deadline=None, max_examples=200)
def test_anything_may_be_a_message(message: Object) -> None:
    read = parse_content(message)

    assert read.text or all(
        placeholder_text.compose(read.kind, read.content) for placeholder_text in BODIES
    )
