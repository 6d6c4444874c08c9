"""`leadport simulate`: sends signed sample deliveries in Meta's format to the running service."""

import secrets
from datetime import UTC, datetime

import click
import httpx
import msgspec

from domain.connection import Channel
from interfaces.cli.context import CliContext, print_json
from interfaces.meta.samples import MAX_MESSAGES_PER_DELIVERY, Sample, make_delivery
from interfaces.meta.signature import sign

REQUEST_TIMEOUT_SECONDS = 30.0


@click.command("simulate")
@click.argument("channel", type=click.Choice([channel.value for channel in Channel]))
@click.option("--to", required=True, help="The connection's external id.")
@click.option("--from", "sender", help="The sender's id; a new one for each message if left out.")
@click.option("--name", default="Ana Prueba", help="The sender's profile name (WhatsApp).")
@click.option("--text", default="Hola, ¿cuánto cuesta?", help="The text of the messages.")
@click.option("--message-id", help="The id of a single message, to send the same message again.")
@click.option(
    "--count", default=1, type=click.IntRange(1, 1_000_000), help="The number of messages."
)
@click.option("--url", help="The service's base URL.  [default: PUBLIC_URL]")
@click.pass_obj
def simulate_messages(
    context: CliContext,
    channel: str,
    to: str,
    sender: str | None,
    name: str,
    text: str,
    message_id: str | None,
    count: int,
    url: str | None,
) -> None:
    """Send sample messages to the running service.

    Prints the sum of the counters that the service answers. With --count, one delivery holds up to
    1,000 messages, as with Meta.
    """
    if message_id and count > 1:
        raise click.UsageError("--message-id names one message; it cannot be used with --count")
    service = context.read_service_endpoint()
    endpoint = f"{(url or service.base_url).rstrip('/')}/api/webhooks/meta"
    totals: dict[str, int] = {}
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS) as client:
        for start in range(0, count, MAX_MESSAGES_PER_DELIVERY):
            samples = [
                Sample(
                    sender=sender or _make_sender_id(channel),
                    name=name,
                    text=text if count == 1 else f"{text} ({number + 1})",
                    message_id=message_id or _make_message_id(channel),
                    sent_at=datetime.now(UTC),
                )
                for number in range(start, min(start + MAX_MESSAGES_PER_DELIVERY, count))
            ]
            body = msgspec.json.encode(make_delivery(Channel(channel), to, samples))
            counters = _post(client, endpoint, body, service.app_secret)
            totals = {key: totals.get(key, 0) + counters[key] for key in counters}
    print_json(totals)


def _post(client: httpx.Client, endpoint: str, body: bytes, secret: str | None) -> dict[str, int]:
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["X-Hub-Signature-256"] = sign(body, secret)
    try:
        response = client.post(endpoint, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise click.ClickException(
            f"no answer from {endpoint} ({type(error).__name__}); is `leadport serve` running?"
        ) from error
    if response.status_code == httpx.codes.FORBIDDEN:
        raise click.ClickException(
            "the service refused the signature: it uses another META_APP_SECRET"
        )
    if response.status_code != httpx.codes.OK:
        raise click.ClickException(f"the service answered {response.status_code}: {response.text}")
    return msgspec.json.decode(response.content, type=dict[str, int])


def _make_sender_id(channel: str) -> str:
    """Return a phone number of the fictitious 555 exchange, or digits like an Instagram-scoped id."""
    if channel == Channel.WHATSAPP:
        return f"1555{secrets.randbelow(10**7):07}"
    return f"9{secrets.randbelow(10**15):015}"


def _make_message_id(channel: str) -> str:
    prefix = "wamid." if channel == Channel.WHATSAPP else "aWdfZAG1"
    return prefix + secrets.token_urlsafe(24)
