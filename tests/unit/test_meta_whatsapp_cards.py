"""Contact cards and locations in WhatsApp messages."""

import pytest

from interfaces.meta.parsed import MessageContent
from interfaces.meta.whatsapp.content import parse_content
from tests.support.payloads import (
    Json,
)
from tests.support.whatsapp_payloads import message_of_type


def test_contact_card_is_kept_with_all_known_parts() -> None:
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

    assert parse_content(message_of_type("contacts", [card])) == MessageContent(
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
def test_contact_card_has_the_formatted_or_composed_name(cards: Json, names: list[str]) -> None:
    assert [
        card["name"]
        for card in parse_content(message_of_type("contacts", cards)).content["contacts"]
    ] == names


@pytest.mark.parametrize("cards", [None, [], {}, "x", [None, {}, {"phones": {}}]])
def test_empty_contact_cards_are_absent(cards: Json) -> None:
    assert parse_content(message_of_type("contacts", cards)) == MessageContent("contacts", "")


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (90.1, 180.1),
        (-91, "-181"),
        ("nan", "inf"),
        (10**350, float("inf")),
        (True, [1]),
        ("Norte", ""),
        (None, {}),
        ("1,5", "0x1"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_coordinates_out_of_range_are_absent(latitude: Json, longitude: Json) -> None:
    place = {"latitude": latitude, "longitude": longitude, "name": "Casa"}

    assert parse_content(message_of_type("location", place)).content == {
        "location": {"name": "Casa"}
    }
