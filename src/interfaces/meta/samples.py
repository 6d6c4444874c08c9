"""Makes WhatsApp and Instagram deliveries in Meta's shape, with made-up senders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.connection import Channel
from interfaces.meta.instagram.parser import INSTAGRAM_OBJECT
from interfaces.meta.whatsapp.items import WHATSAPP_OBJECT

MAX_MESSAGES_PER_DELIVERY = 1000
"""Meta batches up to 1,000 updates in one delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text message of one sender.

    `sender` is a phone number (WhatsApp) or an Instagram user id; Instagram does not send `name`.
    """

    sender: str
    name: str
    text: str
    message_id: str
    sent_at: datetime


def make_delivery(channel: Channel, to: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return one delivery of all samples to the connection with the external id `to`."""
    if channel is Channel.WHATSAPP:
        return _make_whatsapp_delivery(to, samples)
    return _make_instagram_delivery(to, samples)


def _make_whatsapp_delivery(to: str, samples: Sequence[Sample]) -> dict[str, Any]:
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
    return {"object": WHATSAPP_OBJECT, "entry": [{"id": f"waba-{to}", "changes": [change]}]}


def _make_instagram_delivery(to: str, samples: Sequence[Sample]) -> dict[str, Any]:
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
    return {"object": INSTAGRAM_OBJECT, "entry": [{"id": to, "time": time, "messaging": messaging}]}
