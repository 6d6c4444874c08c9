import pytest

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
async def test_intents_are_known_by_their_words(text: str, intent: str) -> None:
    (description,) = await DummyInsights().describe([text])

    assert description.intent == intent
    assert 0 <= description.score <= 100
    assert description.next_step


async def test_the_same_words_always_get_the_same_answer() -> None:
    texts = ["hola", "¿precio?", "hola"]

    first, second = [await DummyInsights().describe(texts) for _ in range(2)]

    assert first == second
    assert first[0] == first[2]


async def test_a_summary_is_one_short_line() -> None:
    (description,) = await DummyInsights().describe(["hola\n\n" + "muy " * 50_000 + "largo"])

    assert "\n" not in description.summary
    assert len(description.summary) <= 140
    assert description.summary.startswith("greeting: hola muy muy")
