"""Orders in WhatsApp messages: their items, count and total."""

import pytest

from interfaces.meta.parsed import MessageContent
from interfaces.meta.whatsapp.content import parse_content
from tests.support.payloads import (
    Json,
    Object,
    without,
)
from tests.support.whatsapp_payloads import message_of_type, order_line


def order_message(*items: Json, **parts: Json) -> Object:
    return message_of_type("order", {"catalog_id": "19", "product_items": list(items), **parts})


def parse_order(message: Object) -> Object:
    """What is kept of the order."""
    order: Object = parse_content(message).content["order"]
    return order


def test_order_has_items_count_total_and_text() -> None:
    message = order_message(order_line(2, 15), order_line("1", "15.00"), text="para hoy")

    assert parse_content(message) == MessageContent(
        "order",
        "para hoy",
        {
            "order": {
                "catalog_id": "19",
                "items": [order_line(2, 15), order_line("1", "15.00")],
                "count": 3,
                "total": {"amount": "45.00", "currency": "ARS"},
                "text": "para hoy",
            }
        },
    )


@pytest.mark.parametrize(
    ("items", "amount"),
    [
        ([order_line(3, 0.1)], "0.30"),
        ([order_line(3, 1 / 3), order_line(1.0, "0.005")], "1.00"),
        ([order_line(1, "0.015"), order_line("2.0", 10)], "20.02"),
        ([order_line(1, 10, "ars"), order_line(1, 5, " ARS ")], "15.00"),
        ([order_line(2, 1500, "CLP")], "3000"),
        ([order_line(2, 1.5, "KWD")], "3.000"),
        ([order_line(2, 1.5, "ZZZ")], "3.00"),
        ([order_line(0, 5)], "0.00"),
        ([order_line(1, 0)], "0.00"),
        ([order_line(99999, "999999999999.99")], "99998999999999000.01"),
    ],
)
def test_total_is_exact_to_the_currencys_last_digit(items: list[Json], amount: str) -> None:
    assert parse_order(order_message(*items))["total"]["amount"] == amount


@pytest.mark.parametrize(
    "price",
    [
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
        -1,
        -0.01,
        float("nan"),
        float("inf"),
        1e300,
        1e-300,
        10**350,
        10**12,
        "9" * 5000,
        True,
        [],
        {},
        "0." + "1" * 5000,
        "1e999999999",
    ],
    ids=lambda value: repr(value)[:12],
)
def test_order_with_unreadable_price_has_count_but_no_total(price: Json) -> None:
    order = parse_order(order_message(order_line(1, 10), order_line(2, price)))

    assert order["count"] == 3
    assert "total" not in order
    assert len(order["items"]) == 2


@pytest.mark.parametrize(
    "quantity",
    [
        None,
        "",
        "dos",
        "1.5",
        1.5,
        -1,
        "-1",
        float("nan"),
        float("inf"),
        1e300,
        10**350,
        True,
        [],
        {},
        "9" * 5000,
        10**9,
        "1e3",
        "٣",
    ],
    ids=lambda value: repr(value)[:12],
)
def test_order_with_unreadable_quantity_has_neither_count_nor_total(quantity: Json) -> None:
    order = parse_order(order_message(order_line(1, 10), order_line(quantity, 10)))

    assert not {"count", "total"} & set(order)
    assert order["items"][0] == order_line(1, 10)


@pytest.mark.parametrize(
    "items",
    [
        [order_line(1, 10, "ARS"), order_line(1, 10, "USD")],
        [order_line(1, 10, None)],
        [order_line(1, 10, "pesos")],
        [order_line(1, 10, "AR$")],
        [order_line(1, 10), without(order_line(1, 10), "currency")],
        [order_line(10**6, "999999999999")] * 2,
    ],
)
def test_order_without_one_currency_or_over_the_maximum_has_no_total(items: list[Json]) -> None:
    assert "total" not in parse_order(order_message(*items))


@pytest.mark.parametrize("items", [None, [], "x", 7])
def test_order_without_items_has_no_count(items: Json) -> None:
    message = message_of_type("order", {"catalog_id": "19", "product_items": items, "text": ""})

    assert parse_content(message) == MessageContent("order", "", {"order": {"catalog_id": "19"}})


def test_order_with_a_malformed_item_has_no_count() -> None:
    order = parse_order(order_message(order_line(1, 10), None))

    assert order == {"catalog_id": "19", "items": [order_line(1, 10)]}
