"""The door Meta knocks on, and examples of everything that Meta brings.

Each example says what Meta posts, and what becomes of it where its numbers are connected.
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg
from dependency_injector.providers import Object
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from application.ports.storage import Transactions
from domain.actor import Operator
from domain.connection import Address, Channel
from domain.failed_message import FailedMessage
from domain.message import Message, MessageKey
from domain.organization import OrgId
from infrastructure.memory import MemoryTables
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings
from tests.support.app import FAST_PASSWORD_HASHER, SECRET, TOKEN, run_in_app, shutdown_hooks
from tests.support.builders import StoppedClock
from tests.support.stored_rows import open_stored_rows

WEBHOOK = "/api/webhooks/meta"


@dataclass(frozen=True)
class Example:
    """A delivery of Meta's, and what is expected of it.

    `passed_over` counts the notes: verdict, channel, part and name.
    """

    delivery: Any
    counters: Mapping[str, int]
    messages: Sequence[Mapping[str, Any]]
    events: Mapping[str, int]
    passed_over: Mapping[str, int]

    @property
    def body(self) -> bytes:
        """As Meta posts it."""
        return json.dumps(self.delivery).encode()

    @property
    def addresses(self) -> set[Address]:
        """The numbers and accounts in it."""
        return set(_numbers(self.delivery)) | set(_accounts(self.delivery))


def _numbers(part: Any) -> Iterator[Address]:
    if isinstance(part, dict):
        if "phone_number_id" in part:
            yield Address(Channel.WHATSAPP, part["phone_number_id"])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _numbers(each)


def _accounts(delivery: Any) -> Iterator[Address]:
    for part in delivery if isinstance(delivery, list) else [delivery]:
        if part.get("object") == "instagram":
            yield from (Address(Channel.INSTAGRAM, entry["id"]) for entry in part["entry"])
        elif "recipient" in part.get("value", {}):
            yield Address(Channel.INSTAGRAM, part["value"]["recipient"]["id"])


EXAMPLES = {
    file.stem: Example(**json.loads(file.read_text(encoding="utf-8")))
    for file in sorted(Path(__file__).parent.glob("*.json"))
}


@dataclass
class WebhookHarness:
    """The service over one storage, on the other side of HTTP."""

    container: Container
    operator_container: Container
    client: TestClient[Litestar]

    def empty(self) -> None:
        """Forget everything."""
        if url := self.container.settings().database_url:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("TRUNCATE organizations, auth.users, failed_messages CASCADE")
        self.container.memory().committed = MemoryTables()

    def connect(self, *addresses: Address) -> OrgId:
        """Give all the addresses to one new organisation."""
        operator_use_cases = self.operator_container.use_cases()

        async def connect() -> OrgId:
            shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
            for channel, external_id in addresses:
                await operator_use_cases.upsert_connection(
                    shop.org_id, channel, external_id, actor=Operator()
                )
            return shop.org_id

        return run_in_app(self.client, connect)

    def post(self, body: bytes) -> Response:
        """Post it signed."""
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return self.client.post(
            WEBHOOK, content=body, headers={"X-Hub-Signature-256": f"sha256={digest}"}
        )

    def stored(self) -> "Stored":
        """Read what has become of everything so far."""
        stored_rows = open_stored_rows(self.operator_container.transactions())

        async def read() -> Stored:
            known: dict[Any, dict[str, list[str]]] = {}
            for identity in await stored_rows.identities():
                ids = known.setdefault(identity.contact_id, {})
                ids[identity.kind] = sorted([*ids.get(identity.kind, ()), identity.value])
            names = {contact.id: contact.name for contact in await stored_rows.contacts()}
            whose = {thread.id: thread.contact_id for thread in await stored_rows.threads()}
            messages = await stored_rows.messages()
            return Stored(
                messages=[
                    {
                        "kind": message.kind,
                        "body": message.body,
                        "content": message.content,
                        "direction": message.direction,
                        "sent_at": message.sent_at.astimezone(UTC).isoformat(),
                        "contact": names[whose[message.thread_id]],
                        "identities": known[whose[message.thread_id]],
                    }
                    for message in sorted(messages, key=lambda m: (m.sent_at, m.external_id))
                ],
                events=Counter(event.type for event in await stored_rows.events()),
                deals=len(await stored_rows.deals()),
                changes=len(await stored_rows.changes()),
            )

        return run_in_app(self.client, read)

    def message(self, org_id: OrgId, channel: Channel, external_id: str) -> Message | None:
        """Find one message by Meta's id."""
        transactions: Transactions = self.operator_container.transactions()
        key = MessageKey(org_id, channel, external_id)

        async def read() -> Message | None:
            async with transactions.begin(Operator()) as repos:
                return (await repos.messages.get_for_update({key})).get(key)

        return run_in_app(self.client, read)

    def failures(self, org_id: OrgId) -> list[FailedMessage]:
        """Read what is kept for another try."""
        transactions: Transactions = self.operator_container.transactions()

        async def read() -> list[FailedMessage]:
            async with transactions.begin(Operator()) as repos:
                return await repos.failed_messages.list_for_organization(org_id)

        return run_in_app(self.client, read)


@dataclass(frozen=True)
class Stored:
    """What a salesperson would find; the messages are in the order they were sent in."""

    messages: Sequence[Mapping[str, Any]]
    events: Mapping[str, int]
    deals: int
    changes: int


@contextmanager
def open_webhook_harness(
    storage: str, folder: Path, database_url: str | None
) -> Iterator[WebhookHarness]:
    """Start the service, at noon."""
    environ = {
        "STORAGE": storage,
        "LEADPORT_DATA_DIR": str(folder),
        "META_APP_SECRET": SECRET,
        "META_WEBHOOK_VERIFY_TOKEN": TOKEN,
    }
    if database_url is not None:
        environ["DATABASE_URL"] = database_url
    container, operator_container = Container(), Container()
    for each in (container, operator_container):
        each.settings.override(Object(Settings.read(environ)))
        each.memory.override(Object(container.memory()))
        each.clock.override(Object(StoppedClock()))
        each.passwords.override(FAST_PASSWORD_HASHER)
    operator_container.pools.override(operator_container.operator_pools)
    app = create_app(
        container.use_cases(),
        public_url="http://testserver.local",
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )
    timeouts = container.delivery_timeouts()
    timeouts.silent_seconds = timeouts.busy_seconds = 60  # a busy machine is no failure
    with TestClient(app, raise_server_exceptions=False) as client:
        yield WebhookHarness(container, operator_container, client)
