"""An insight provider on a bad day costs its insight, and nothing else at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from application.ingestion.describe_messages import PAUSE_AFTER_FAILURE, DescribeMessages
from application.ingestion.ingest_messages import Counters, IngestMessages
from application.ports.storage import Transactions
from application.recovery.store_failed_messages import StoreFailedMessages
from domain.actor import Operator
from domain.insight import MAX_DESCRIPTION_CHARACTERS, Description
from infrastructure.insights.dummy import DummyInsights
from tests.support.builders import (
    NOON,
    CountingIngestion,
    StoppedClock,
    create_shop,
    make_ingestion,
    make_message,
    new_id,
)
from tests.support.stored_rows import StoredRows, open_stored_rows

Answer = Callable[[Sequence[str]], Awaitable[Any]]

GOOD = Description(summary="a", intent="price", score=1, next_step="b")


@dataclass
class StubInsightProvider:
    """A provider that answers as it is told to."""

    answer: Answer
    name: str = "moody"
    calls: list[Sequence[str]] = field(default_factory=list)

    async def describe(self, texts: Sequence[str]) -> Any:
        self.calls.append(texts)
        return await self.answer(texts)


def answering(make: Callable[[Sequence[str]], Any]) -> Answer:
    async def answer(texts: Sequence[str]) -> Any:
        return make(texts)

    return answer


def raising(error: BaseException) -> Answer:
    async def answer(_: Sequence[str]) -> Any:
        raise error

    return answer


def told(**wrong: Any) -> Answer:
    """A description of which something is wrong."""
    return answering(lambda texts: [replace(GOOD, **wrong) for _ in texts])


async def never(_: Sequence[str]) -> Any:
    await asyncio.Event().wait()


async def never_and_not_to_be_stopped(texts: Sequence[str]) -> Any:
    """It catches what should end it, and complains with what people wrote."""
    try:
        await asyncio.Event().wait()
    finally:
        raise RuntimeError(texts)


async def good(texts: Sequence[str]) -> Any:
    return [replace(GOOD, summary=text) for text in texts]


BAD: dict[str, Answer] = {
    "raises": raising(RuntimeError("secret words")),
    "is cancelled": raising(asyncio.CancelledError("secret words")),
    "ends its loop": raising(StopAsyncIteration("secret words")),
    "hangs": never,
    "hangs and cannot be stopped": never_and_not_to_be_stopped,
    "nothing": answering(lambda _: None),
    "a number": answering(lambda _: 7),
    "too few": answering(lambda texts: [GOOD] * (len(texts) - 1)),
    "too many": answering(lambda texts: [GOOD] * (len(texts) + 1)),
    "none of them": answering(lambda _: []),
    "other types": answering(lambda texts: ["price"] * len(texts)),
    "dictionaries": answering(lambda texts: [{"summary": "a", "score": 1}] * len(texts)),
    "no descriptions": answering(lambda texts: [None] * len(texts)),
    "no number": told(score=float("nan")),
    "a score without end": told(score=10**30),
    "a negative score": told(score=-1),
    "a half score": told(score=1.5),
    "a yes": told(score=True),
    "a score in words": told(score="high"),
    "no words": told(summary=None),
    "words of another type": told(intent=7),
    "NUL": told(summary="a\0b"),
    "half a character": told(next_step="\ud83d"),
    "a megabyte": told(summary="x" * 2**20),
}


GENEROUS_TIMEOUT_SECONDS = 60.0
"""For providers that answer: a busy machine is no failure."""

SHORT_TIMEOUT_SECONDS = 0.01
"""For providers that hang."""


@pytest.fixture
async def loop_errors() -> AsyncIterator[list[dict[str, Any]]]:
    """What asyncio would log of tasks that nobody asked."""
    found: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


def asking(
    transactions: Transactions,
    provider: StubInsightProvider,
    clock: StoppedClock | None = None,
    timeout_seconds: float = GENEROUS_TIMEOUT_SECONDS,
) -> CountingIngestion:
    clock = clock or StoppedClock()
    store_failed_messages = StoreFailedMessages(transactions, clock, new_id)
    return CountingIngestion(
        IngestMessages(
            transactions,
            DescribeMessages(provider, clock, timeout_seconds),
            store_failed_messages,
            clock,
            new_id,
        )
    )


async def rows(stored_rows: StoredRows) -> dict[str, list[Any]]:
    """All but insights, without what is made up anew each time."""
    return {
        "contacts": [(c.name, c.phone) for c in await stored_rows.contacts()],
        "threads": [(t.external_id, t.last_message_at) for t in await stored_rows.threads()],
        "messages": sorted((m.external_id, m.body) for m in await stored_rows.messages()),
        "deals": [(d.title, str(d.status)) for d in await stored_rows.deals()],
        "events": [e.type for e in await stored_rows.events()],
    }


@pytest.mark.parametrize("mood", BAD)
async def test_failing_provider_changes_no_counter_and_no_other_row(
    transactions: Transactions,
    mood: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeout = SHORT_TIMEOUT_SECONDS if mood.startswith("hangs") else GENEROUS_TIMEOUT_SECONDS
    shop = await create_shop(transactions)
    other = await create_shop(transactions, "2")
    stored_rows = open_stored_rows(transactions)
    delivery = [
        make_message("secret words", id="a"),
        make_message("¿precio?", id="b", minute=1),
        make_message(to="999"),
    ]
    without_anybody = [replace(m, address=other.address) for m in delivery[:2]]
    provider = StubInsightProvider(BAD[mood])

    with caplog.at_level(logging.DEBUG):
        counters = await asking(transactions, provider, timeout_seconds=timeout)(delivery)

    assert counters == Counters(received=3, ingested=2, skipped=1, failed=0)
    assert provider.calls[0][0] == "secret words"
    assert await stored_rows.insights() == []
    assert {m.org_id for m in await stored_rows.messages()} == {shop.org_id}
    stored = await rows(stored_rows)
    assert (len(stored["messages"]), len(stored["deals"]), len(stored["events"])) == (2, 1, 2)
    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == []
    assert "secret words" not in "".join(str(record.__dict__) for record in caplog.records)

    # As without a provider's help: another organisation, and the dummy.
    await make_ingestion(transactions)(without_anybody)
    twice = await rows(stored_rows)
    assert {name: len(found) for name, found in twice.items()} == {
        name: 2 * len(found) for name, found in stored.items()
    }


async def test_descriptions_are_stored(transactions: Transactions) -> None:
    await create_shop(transactions)

    await asking(transactions, StubInsightProvider(good))(
        [make_message("hola"), make_message("adiós", by="2")]
    )

    insights = await open_stored_rows(transactions).insights()
    assert {insight.summary for insight in insights} == {"hola", "adiós"}
    assert {(i.provider, i.intent, i.score) for i in insights} == {("moody", "price", 1)}


async def test_longest_description_is_stored(transactions: Transactions) -> None:
    await create_shop(transactions)
    longest = "é" * (MAX_DESCRIPTION_CHARACTERS - 1) + "👍"
    answer = told(summary=longest, intent=longest, next_step=longest, score=100)

    await asking(transactions, StubInsightProvider(answer))([make_message()])

    (insight,) = await open_stored_rows(transactions).insights()
    assert (insight.summary, insight.score) == (longest, 100)


async def test_valid_descriptions_among_invalid_ones_are_stored(transactions: Transactions) -> None:
    await create_shop(transactions)
    answer = answering(lambda texts: [GOOD if text == "hola" else "?" for text in texts])

    await asking(transactions, StubInsightProvider(answer))(
        [make_message("hola"), make_message("adiós", by="2")]
    )

    (insight,) = await open_stored_rows(transactions).insights()
    assert insight.summary == "a"


async def test_deal_keeps_its_last_insight_after_a_failure(transactions: Transactions) -> None:
    await create_shop(transactions)
    await asking(transactions, StubInsightProvider(good))([make_message("hola")])

    counters = await asking(transactions, StubInsightProvider(BAD["raises"]))(
        [make_message("adiós", minute=1)]
    )

    assert counters.ingested == 1
    (insight,) = await open_stored_rows(transactions).insights()
    assert (insight.summary, insight.updated_at) == ("hola", NOON)


@pytest.mark.parametrize("mood", ["raises", "is cancelled", "hangs", "too few"])
async def test_failed_provider_is_skipped_during_the_pause(mood: str) -> None:
    clock, provider = StoppedClock(), StubInsightProvider(BAD[mood])
    ask = DescribeMessages(provider, clock, SHORT_TIMEOUT_SECONDS)
    assert await ask([make_message("one")]) == {}
    provider.answer, ask.timeout_seconds = good, GENEROUS_TIMEOUT_SECONDS

    assert await ask([make_message("two")]) == {}
    clock.time += PAUSE_AFTER_FAILURE * 0.9
    assert await ask([make_message("three")]) == {}
    assert provider.calls == [["one"]]

    clock.time += PAUSE_AFTER_FAILURE * 0.2
    four = make_message("four")
    assert await ask([four]) == {
        (four.address.channel, four.external_id): replace(GOOD, summary="four")
    }
    assert [d.summary for d in (await ask([make_message("five")])).values()] == ["five"]


async def test_hanging_provider_is_cancelled_and_logs_nothing_later(
    loop_errors: list[dict[str, Any]],
) -> None:
    for answer in (never, never_and_not_to_be_stopped):
        before = asyncio.all_tasks()
        provider = StubInsightProvider(answer)
        describe = DescribeMessages(provider, StoppedClock(), SHORT_TIMEOUT_SECONDS)
        assert await describe([make_message("secret words")]) == {}
        async with asyncio.timeout(60):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0)

    assert loop_errors == []


async def test_slow_provider_holds_no_transaction(transactions: Transactions) -> None:
    """While it is asked, others store theirs: in memory there is but one transaction at a time."""
    await create_shop(transactions)
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(texts: Sequence[str]) -> Any:
        is_asked.set()
        await may_answer.wait()
        return await good(texts)

    first = asyncio.create_task(
        asking(transactions, StubInsightProvider(slow))([make_message("slow")])
    )
    await is_asked.wait()
    async with asyncio.timeout(60):
        assert (await make_ingestion(transactions)([make_message("quick", minute=1)])).ingested == 1
    may_answer.set()

    assert (await first).ingested == 1


async def test_provider_is_not_called_without_messages() -> None:
    provider = StubInsightProvider(BAD["raises"])

    assert await DescribeMessages(provider, StoppedClock())([]) == {}

    assert provider.calls == []


async def test_dummy_provider_describes_a_thousand_messages_in_time() -> None:
    """It computes at once, so that there is nothing to wait for."""
    messages = [make_message(f"hola {n}") for n in range(1000)]

    assert len(await DescribeMessages(DummyInsights(), StoppedClock())(messages)) == 1000
