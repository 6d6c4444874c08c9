"""A webhook over one storage, to which tests post deliveries and from which they read the result."""

import hashlib
import hmac
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

WEBHOOK_PATH = "/api/webhooks/meta"


@dataclass(frozen=True)
class StoredOutcome:
    """What the storage holds; the messages are in the order in which they were sent."""

    messages: Sequence[Mapping[str, Any]]
    events: Mapping[str, int]
    deals: int
    changes: int


@dataclass
class WebhookHarness:
    """The service over one storage, seen through HTTP."""

    container: Container
    operator_container: Container
    client: TestClient[Litestar]

    def clear_storage(self) -> None:
        """Delete everything."""
        if url := self.container.settings().database_url:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("TRUNCATE organizations, auth.users, failed_messages CASCADE")
        self.container.memory().committed = MemoryTables()

    def connect(self, *addresses: Address) -> OrgId:
        """Create an organisation with a connection for each address."""
        operator_use_cases = self.operator_container.use_cases()

        async def create() -> OrgId:
            shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
            for channel, external_id in addresses:
                await operator_use_cases.upsert_connection(
                    shop.org_id, channel, external_id, actor=Operator()
                )
            return shop.org_id

        return run_in_app(self.client, create)

    def post(self, body: bytes) -> Response:
        """Post a signed body to the webhook."""
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return self.client.post(
            WEBHOOK_PATH, content=body, headers={"X-Hub-Signature-256": f"sha256={digest}"}
        )

    def read_stored(self) -> StoredOutcome:
        """Read everything that is stored."""
        stored_rows = open_stored_rows(self.operator_container.transactions())

        async def read() -> StoredOutcome:
            identities: dict[Any, dict[str, list[str]]] = {}
            for identity in await stored_rows.identities():
                by_kind = identities.setdefault(identity.contact_id, {})
                by_kind[identity.kind] = sorted([*by_kind.get(identity.kind, ()), identity.value])
            names = {contact.id: contact.name for contact in await stored_rows.contacts()}
            contact_ids = {thread.id: thread.contact_id for thread in await stored_rows.threads()}
            messages = await stored_rows.messages()
            return StoredOutcome(
                messages=[
                    {
                        "kind": message.kind,
                        "body": message.body,
                        "content": message.content,
                        "direction": message.direction,
                        "sent_at": message.sent_at.astimezone(UTC).isoformat(),
                        "contact": names[contact_ids[message.thread_id]],
                        "identities": identities[contact_ids[message.thread_id]],
                    }
                    for message in sorted(messages, key=lambda m: (m.sent_at, m.external_id))
                ],
                events=Counter(event.type for event in await stored_rows.events()),
                deals=len(await stored_rows.deals()),
                changes=len(await stored_rows.changes()),
            )

        return run_in_app(self.client, read)

    def find_message(self, org_id: OrgId, channel: Channel, external_id: str) -> Message | None:
        """Return the message with Meta's id; None where it is not stored."""
        transactions: Transactions = self.operator_container.transactions()
        key = MessageKey(org_id, channel, external_id)

        async def read() -> Message | None:
            async with transactions.begin(Operator()) as repos:
                return (await repos.messages.get_for_update({key})).get(key)

        return run_in_app(self.client, read)

    def list_failures(self, org_id: OrgId) -> list[FailedMessage]:
        """Return the messages that could not be processed and are stored for a retry."""
        transactions: Transactions = self.operator_container.transactions()

        async def read() -> list[FailedMessage]:
            async with transactions.begin(Operator()) as repos:
                return await repos.failed_messages.list_for_organization(org_id)

        return run_in_app(self.client, read)


@contextmanager
def open_webhook_harness(
    storage: str, folder: Path, database_url: str | None
) -> Iterator[WebhookHarness]:
    """Start the service with its clock stopped at noon, and stop it on exit."""
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
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        public_url="http://testserver.local",
        form_secret="form secret",
        on_shutdown=shutdown_hooks(container, operator_container),
    )
    timeouts = container.delivery_timeouts()
    timeouts.silent_seconds = timeouts.busy_seconds = 60  # a busy machine is no failure
    with TestClient(app, raise_server_exceptions=False) as client:
        yield WebhookHarness(container, operator_container, client)
