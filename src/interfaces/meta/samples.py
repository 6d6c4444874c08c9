"""Deliveries in Meta's shape, with made-up people in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.connection import Channel
from interfaces.meta.instagram import parser as instagram
from interfaces.meta.whatsapp import items as whatsapp_items


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text that somebody sends."""

    sender: str
    name: str
    text: str
    message_id: str
    sent_at: datetime


def delivery(channel: Channel, to: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """One delivery of all the samples to one connection, by its external id."""
    if channel is Channel.WHATSAPP:
        return _whatsapp(to, samples)
    return _instagram(to, samples)


def _whatsapp(to: str, samples: Sequence[Sample]) -> dict[str, Any]:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100", "phone_number_id": to},
        "contacts": [
            {"profile": {"name": sample.name}, "wa_id": sample.sender} for sample in samples
        ],
        "messages": [
            {
                "from": sample.sender,
                "id": sample.message_id,
                "timestamp": str(int(sample.sent_at.timestamp())),
                "type": "text",
                "text": {"body": sample.text},
            }
            for sample in samples
        ],
    }
    change = {"field": "messages", "value": value}
    return {"object": whatsapp_items.OBJECT, "entry": [{"id": f"waba-{to}", "changes": [change]}]}


def _instagram(to: str, samples: Sequence[Sample]) -> dict[str, Any]:
    messaging = [
        {
            "sender": {"id": sample.sender},
            "recipient": {"id": to},
            "timestamp": int(sample.sent_at.timestamp() * 1000),
            "message": {"mid": sample.message_id, "text": sample.text},
        }
        for sample in samples
    ]
    time = int(samples[0].sent_at.timestamp() * 1000)
    return {"object": instagram.OBJECT, "entry": [{"id": to, "time": time, "messaging": messaging}]}
