"""The heart: a delivery becomes contacts, threads, messages, deals, insights and events."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from application.errors import Contended, StorageRefused, StorageUnavailable
from application.ports import Clock, InsightProvider, Repositories, Transactions
from domain.batch import Batch, Captured, NewId
from domain.inbound import BrokenMessage, FailedMessage, FailedMessageId, Inbound, InboundMessage
from domain.leads import Descriptions, insights, lead_events, missing_deals

log = logging.getLogger(__name__)

STARTS = 5
"""How often a batch that was overtaken starts again. Each start finds the winner's rows, so more
would only help against rows that keep appearing: contact, thread and deal are three."""

FIRST_RETRY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What became of the messages of a delivery: received = ingested + skipped + failed."""

    received: int
    ingested: int
    skipped: int
    failed: int

    @classmethod
    def of(cls, received: int, *, ingested: int = 0, failed: int = 0) -> Self:
        """Count as skipped what was neither stored nor kept as failed."""
        skipped = received - ingested - failed
        return cls(received=received, ingested=ingested, skipped=skipped, failed=failed)

    def __add__(self, other: "Counters") -> "Counters":
        """Count two parts of a delivery together."""
        return Counters(
            received=self.received + other.received,
            ingested=self.ingested + other.ingested,
            skipped=self.skipped + other.skipped,
            failed=self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class IngestMessages:
    """Stores each message once, in the organisation it was written to.

    Safe to call again with the same delivery, and from many places at once: Meta repeats itself,
    and a person writes several messages in a second.
    """

    transactions: Transactions
    insights: InsightProvider
    clock: Clock
    new_id: NewId

    async def __call__(self, delivery: Sequence[Inbound]) -> Counters:
        """Keep the whole delivery, and say what became of it.

        Raises StorageUnavailable where it could not be kept; parts of it may be stored then, and
        count as duplicates when it comes again.
        """
        readable = [message for message in delivery if isinstance(message, InboundMessage)]
        unreadable = [(m, m.reason) for m in delivery if isinstance(m, BrokenMessage)]
        counters = await self._ingest(readable, await self._describe(readable))
        return counters + await self._keep(unreadable)

    async def _ingest(
        self, messages: Sequence[InboundMessage], descriptions: Descriptions
    ) -> Counters:
        """Store all at once; where that fails, by halves, so that a bad message fails alone."""
        if not messages:
            return Counters.of(0)
        try:
            ingested = await self._store_unless_overtaken(messages, descriptions)
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours must be stored
            if len(messages) == 1:
                return await self._keep([(messages[0], _reason(error))])
            middle = len(messages) // 2
            first_half = await self._ingest(messages[:middle], descriptions)
            return first_half + await self._ingest(messages[middle:], descriptions)
        return Counters.of(len(messages), ingested=ingested)

    async def _store_unless_overtaken(
        self, messages: Sequence[InboundMessage], descriptions: Descriptions
    ) -> int:
        for _ in range(STARTS - 1):
            try:
                return await self._store(messages, descriptions)
            except Contended:
                log.debug("overtaken", extra={"messages": len(messages)})
        return await self._store(messages, descriptions)

    async def _store(self, messages: Sequence[InboundMessage], descriptions: Descriptions) -> int:
        """Read what is there, decide what is missing, write that: in one transaction."""
        async with self.transactions.begin() as repos:
            connections = await repos.connections.enabled({m.address for m in messages})
            batch = Batch.of(messages, connections)
            batch = batch.without(await repos.messages.known(set(batch.arrivals)))
            captured = await self._store_messages(repos, batch)
            await self._store_leads(repos, captured, descriptions)
        return len(captured)

    async def _store_messages(self, repos: Repositories, batch: Batch) -> list[Captured]:
        owners = await repos.contacts.owners(batch.identities)
        people = batch.people(owners, self.new_id)
        await repos.contacts.add(people.new_contacts, people.new_identities)

        threads = await repos.threads.find(batch.thread_names, people.keys)
        conversations = batch.conversations(people, threads, self.new_id)
        await repos.threads.add(conversations.new)

        messages = batch.messages(conversations, self.new_id)
        added = await repos.messages.add(messages)
        await repos.threads.move(conversations.moved)
        return [
            Captured(message, conversations.thread_of[key])
            for key, message in messages.items()
            if key in added
        ]

    async def _store_leads(
        self, repos: Repositories, captured: Sequence[Captured], descriptions: Descriptions
    ) -> None:
        deals = await repos.deals.open({item.contact for item in captured})
        opened = missing_deals(captured, deals, self.new_id)
        await repos.deals.add(opened)

        deals |= {contact: deal.id for contact, deal in opened.items()}
        provider = self.insights.name
        await repos.insights.put(insights(captured, deals, descriptions, provider, self.new_id))
        await repos.events.append(lead_events(captured, deals, opened, self.new_id))

    async def _describe(self, messages: Sequence[InboundMessage]) -> Descriptions:
        """Ask before the transaction, so that no provider ever holds a database connection.

        One that fails costs the insight and nothing else: the deal keeps its last one.
        """
        try:
            answers = await self.insights.describe([message.body for message in messages])
            keys = [(message.address.channel, message.external_id) for message in messages]
            return dict(zip(keys, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - a provider may fail in any way
            log.warning("insights_failed", extra={"error": type(error).__name__})
            return {}

    async def _keep(self, failures: Sequence[tuple[Inbound, str]]) -> Counters:
        """Put messages that cannot be processed aside, unless nobody has connected their number.

        This is the last resort: where even this fails, the delivery must come again.
        """
        if not failures:
            return Counters.of(0)
        try:
            async with self.transactions.begin() as repos:
                connections = await repos.connections.enabled({m.address for m, _ in failures})
                kept = [
                    FailedMessage(
                        id=FailedMessageId(self.new_id()),
                        org_id=connections[message.address].org_id,
                        payload=message.payload,
                        error=error,
                        next_attempt_at=self.clock.now() + FIRST_RETRY,
                    )
                    for message, error in failures
                    if message.address in connections
                ]
                await repos.failed_messages.add(kept)
        except (Contended, StorageRefused) as error:
            raise StorageUnavailable from error
        for failure in kept:
            log.warning(
                "message_failed", extra={"org_id": str(failure.org_id), "error": failure.error}
            )
        return Counters.of(len(failures), failed=len(kept))


def _reason(error: Exception) -> str:
    """Say what went wrong without the data: only a refusal's text is known to hold none."""
    return str(error) if isinstance(error, StorageRefused) else type(error).__name__
