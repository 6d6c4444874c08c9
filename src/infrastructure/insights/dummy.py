"""The `dummy` insight provider: derives the intent from Spanish and English keywords."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from application.ports.insights import InsightProvider
from domain.insight import Description

MAX_SUMMARY_LENGTH = 120
"""Characters of the message in a summary, without the intent's name."""

MAX_READ_LENGTH = 1000
"""Characters of a message that are searched; a longer message states its intent by then."""


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent of a message, with the insight that follows from it."""

    name: str
    score: int
    next_step: str
    pattern: str = ""
    """A regular expression for the beginnings of its keywords, in lower case and without groups."""


# The most important intent comes first, because a message gets the first one that matches.
INTENTS = (
    Intent(
        "complaint",
        35,
        "Apologise and solve the problem first",
        r"reclam|quej|devoluci|reembols|no funciona|rot[oa]s?\b|mal[ao]? servicio"
        r"|complain|refund|broken|does(?:n't| not) work|terrible|disappointed",
    ),
    Intent(
        "unsubscribe",
        0,
        "Stop writing to this person",
        r"baja\b|no me escrib|dejen de|stop\b|unsubscribe",
    ),
    Intent(
        "purchase",
        90,
        "Send the payment link",
        r"comprar|compro\b|lo quiero|la quiero|me lo llevo|pagar|pago\b|encarg|reserv"
        r"|buy|purchase|order\b|pay\b|take it|i want (?:it|one|to buy)|book\b",
    ),
    Intent(
        "price",
        75,
        "Send the price and ask when they need it",
        r"preci|cu[aá]nto|costo|cuesta|sale\b|valor|presupuesto|cotiza|descuento|cuotas"
        r"|price|how much|cost|quote|discount|rates?\b",
    ),
    Intent(
        "availability",
        65,
        "Confirm stock, and offer to set one aside",
        r"stock|disponib|tienen\b|ten[eé]s\b|hay\b|queda[n]?\b|talle|color"
        r"|available|in stock|do you have|sizes?\b|colou?r",
    ),
    Intent(
        "appointment",
        65,
        "Offer two times to choose from",
        r"turno|cita\b|visita|horario|cu[aá]ndo abren|reuni[oó]n|llamad"
        r"|appointment|schedule|visit|opening hours|meeting|call me",
    ),
    Intent(
        "delivery",
        55,
        "Tell the shipping cost and time",
        r"env[ií]o|env[ií]an|entrega|domicilio|direcci[oó]n|ubicaci[oó]n|d[oó]nde est[aá]n"
        r"|ship|deliver|address|location|where are you",
    ),
    Intent(
        "thanks",
        30,
        "Keep in touch",
        r"gracias|perfecto|genial|thank|thx|great\b|perfect\b",
    ),
    Intent(
        "greeting",
        20,
        "Answer and ask what they are looking for",
        r"hola|buen[oa]s\b|buen d[ií]a|hello|hi\b|hey\b|good (?:morning|afternoon|evening)",
    ),
)
UNKNOWN_INTENT = Intent("unknown", 10, "Read the message and ask what they need")

# One expression with a group for each intent, matched at every word of the lower-cased text.
# Searching for one intent after the other, ignoring case, takes three times as long.
INTENT_PATTERN = re.compile(rf"\b(?=\w)(?={'|'.join(f'({intent.pattern})' for intent in INTENTS)})")


@dataclass(frozen=True, slots=True)
class DummyInsights(InsightProvider):
    """A provider without network or failures, used until a real provider is chosen."""

    name: str = "dummy"

    async def describe(self, texts: Sequence[str]) -> Sequence[Description]:
        return [_describe(text) for text in texts]


def _describe(text: str) -> Description:
    text = text[:MAX_READ_LENGTH]
    matched_groups = [word.lastindex or 0 for word in INTENT_PATTERN.finditer(text.lower())]
    intent = INTENTS[min(matched_groups) - 1] if matched_groups else UNKNOWN_INTENT
    line = " ".join(text.split())
    if len(line) > MAX_SUMMARY_LENGTH:
        line = line[: MAX_SUMMARY_LENGTH - 1].rstrip() + "…"
    return Description(
        summary=f"{intent.name}: {line}",
        intent=intent.name,
        score=intent.score,
        next_step=intent.next_step,
    )
