"""Tests of the dummy insight provider: intents, whole descriptions, and the summary's form."""

import pytest

from domain.insight import Description
from infrastructure.insights.dummy import DummyInsights


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Hola!", "greeting"),
        ("hola, ¿cuánto sale?", "price"),
        ("How much is it?", "price"),
        ("Lo quiero, ¿dónde pago?", "purchase"),
        ("I want to buy two", "purchase"),
        ("¿Tenés talle 38?", "availability"),
        ("Do you have it in blue?", "availability"),
        ("¿Hacen envíos a Córdoba?", "delivery"),
        ("Can you ship to Berlin?", "delivery"),
        ("Quiero un turno para mañana", "appointment"),
        ("Quiero un reembolso, llegó roto", "complaint"),
        ("I want to buy nothing more, I want a refund", "complaint"),
        ("STOP", "unsubscribe"),
        ("no me escriban más", "unsubscribe"),
        ("muchas gracias", "thanks"),
        ("[image]", "unknown"),
        ("", "unknown"),
        ("asdf", "unknown"),
    ],
)
async def test_an_intent_is_recognised_by_its_keywords(text: str, intent: str) -> None:
    (description,) = await DummyInsights().describe([text])

    assert description.intent == intent
    assert 0 <= description.score <= 100
    assert description.next_step


async def test_each_text_gets_its_whole_description_in_the_order_of_the_texts() -> None:
    greeting = Description(
        summary="greeting: hola",
        intent="greeting",
        score=20,
        next_step="Answer and ask what they are looking for",
    )
    # It contains keywords of `price`, `purchase` and `complaint`, the most important of them.
    complaint = Description(
        summary="complaint: ¿Precio? Quiero comprar, o el reembolso",
        intent="complaint",
        score=35,
        next_step="Apologise and solve the problem first",
    )
    unknown = Description(
        summary="unknown: [image]",
        intent="unknown",
        score=10,
        next_step="Read the message and ask what they need",
    )

    descriptions = await DummyInsights().describe(
        ["hola", "¿Precio? Quiero comprar, o el reembolso", "[image]", "hola"]
    )

    assert descriptions == [greeting, complaint, unknown, greeting]


async def test_a_summary_is_one_line_of_at_most_140_characters() -> None:
    (description,) = await DummyInsights().describe(["hola\n\n" + "muy " * 50_000 + "largo"])

    assert "\n" not in description.summary
    assert len(description.summary) <= 140
    assert description.summary.startswith("greeting: hola muy muy")
