"""An insight provider that fails, hangs or answers nonsense costs the insight only."""

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

GOOD_DESCRIPTION = Description(summary="a", intent="price", score=1, next_step="b")


@dataclass
class StubInsightProvider:
    """A provider whose answer a test chooses."""

    answer: Answer
    name: str = "stub"
    calls: list[Sequence[str]] = field(default_factory=list)

    async def describe(self, texts: Sequence[str]) -> Any:
        self.calls.append(texts)
        return await self.answer(texts)


def make_answer(make: Callable[[Sequence[str]], Any]) -> Answer:
    async def answer(texts: Sequence[str]) -> Any:
        return make(texts)

    return answer


def make_error(error: BaseException) -> Answer:
    async def answer(_: Sequence[str]) -> Any:
        raise error

    return answer


def make_descriptions(**fields: Any) -> Answer:
    """Answer with GOOD_DESCRIPTION for each text, in which these fields are replaced."""
    return make_answer(lambda texts: [replace(GOOD_DESCRIPTION, **fields) for _ in texts])


async def hang(_: Sequence[str]) -> Any:
    await asyncio.Event().wait()


async def hang_and_raise(texts: Sequence[str]) -> Any:
    """Hang, and on cancellation raise an error that quotes the texts."""
    try:
        await asyncio.Event().wait()
    finally:
        raise RuntimeError(texts)


async def describe_well(texts: Sequence[str]) -> Any:
    return [replace(GOOD_DESCRIPTION, summary=text) for text in texts]


BAD_ANSWERS: dict[str, Answer] = {
    "raises": make_error(RuntimeError("secret words")),
    "is cancelled": make_error(asyncio.CancelledError("secret words")),
    "ends its loop": make_error(StopAsyncIteration("secret words")),
    "hangs": hang,
    "hangs and cannot be stopped": hang_and_raise,
    "no answer": make_answer(lambda _: None),
    "a number": make_answer(lambda _: 7),
    "too few": make_answer(lambda texts: [GOOD_DESCRIPTION] * (len(texts) - 1)),
    "too many": make_answer(lambda texts: [GOOD_DESCRIPTION] * (len(texts) + 1)),
    "none of them": make_answer(lambda _: []),
    "other types": make_answer(lambda texts: ["price"] * len(texts)),
    "dictionaries": make_answer(lambda texts: [{"summary": "a", "score": 1}] * len(texts)),
    "no descriptions": make_answer(lambda texts: [None] * len(texts)),
    "not a number": make_descriptions(score=float("nan")),
    "a huge score": make_descriptions(score=10**30),
    "a negative score": make_descriptions(score=-1),
    "a fractional score": make_descriptions(score=1.5),
    "a boolean score": make_descriptions(score=True),
    "a score as text": make_descriptions(score="high"),
    "no summary": make_descriptions(summary=None),
    "an intent of another type": make_descriptions(intent=7),
    "NUL": make_descriptions(summary="a\0b"),
    "a lone surrogate": make_descriptions(next_step="\ud83d"),
    "a megabyte": make_descriptions(summary="x" * 2**20),
}


GENEROUS_TIMEOUT_SECONDS = 60.0
"""For providers that answer: a busy machine is no failure."""

SHORT_TIMEOUT_SECONDS = 0.01
"""For providers that hang."""


@pytest.fixture
async def loop_errors() -> AsyncIterator[list[dict[str, Any]]]:
    """What asyncio would log of the errors of tasks that were never awaited."""
    errors: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield errors
    loop.set_exception_handler(None)


def make_described_ingestion(
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


async def read_rows(stored_rows: StoredRows) -> dict[str, list[Any]]:
    """Return the rows of all tables but insights, without their ids."""
    return {
        "contacts": [(c.name, c.phone) for c in await stored_rows.contacts()],
        "threads": [(t.external_id, t.last_message_at) for t in await stored_rows.threads()],
        "messages": sorted((m.external_id, m.body) for m in await stored_rows.messages()),
        "deals": [(d.title, str(d.status)) for d in await stored_rows.deals()],
        "events": [e.type for e in await stored_rows.events()],
    }


@pytest.mark.parametrize("behaviour", BAD_ANSWERS)
async def test_failing_provider_changes_no_counter_and_no_other_row(
    transactions: Transactions,
    behaviour: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeout = SHORT_TIMEOUT_SECONDS if behaviour.startswith("hangs") else GENEROUS_TIMEOUT_SECONDS
    shop = await create_shop(transactions)
    other = await create_shop(transactions, "2")
    stored_rows = open_stored_rows(transactions)
    delivery = [
        make_message("secret words", id="a"),
        make_message("¿precio?", id="b", minute=1),
        make_message(to="999"),
    ]
    for_other_shop = [replace(m, address=other.address) for m in delivery[:2]]
    provider = StubInsightProvider(BAD_ANSWERS[behaviour])

    with caplog.at_level(logging.DEBUG):
        counters = await make_described_ingestion(transactions, provider, timeout_seconds=timeout)(
            delivery
        )

    assert counters == Counters(received=3, ingested=2, skipped=1, failed=0)
    assert provider.calls[0][0] == "secret words"
    assert await stored_rows.insights() == []
    assert {m.org_id for m in await stored_rows.messages()} == {shop.org_id}
    stored = await read_rows(stored_rows)
    assert (len(stored["messages"]), len(stored["deals"]), len(stored["events"])) == (2, 1, 2)
    async with transactions.begin(Operator()) as repos:
        assert await repos.failed_messages.list_all() == []
    assert "secret words" not in "".join(str(record.__dict__) for record in caplog.records)

    # The dummy provider stores as many rows of the same messages in another organisation.
    await make_ingestion(transactions)(for_other_shop)
    of_both_shops = await read_rows(stored_rows)
    assert {name: len(rows) for name, rows in of_both_shops.items()} == {
        name: 2 * len(rows) for name, rows in stored.items()
    }


async def test_descriptions_are_stored(transactions: Transactions) -> None:
    await create_shop(transactions)

    await make_described_ingestion(transactions, StubInsightProvider(describe_well))(
        [make_message("hola"), make_message("adiós", by="2")]
    )

    insights = await open_stored_rows(transactions).insights()
    assert {insight.summary for insight in insights} == {"hola", "adiós"}
    assert {(i.provider, i.intent, i.score) for i in insights} == {("stub", "price", 1)}


async def test_longest_description_is_stored(transactions: Transactions) -> None:
    await create_shop(transactions)
    longest = "é" * (MAX_DESCRIPTION_CHARACTERS - 1) + "👍"
    answer = make_descriptions(summary=longest, intent=longest, next_step=longest, score=100)

    await make_described_ingestion(transactions, StubInsightProvider(answer))([make_message()])

    (insight,) = await open_stored_rows(transactions).insights()
    assert (insight.summary, insight.score) == (longest, 100)


async def test_valid_descriptions_among_invalid_ones_are_stored(transactions: Transactions) -> None:
    await create_shop(transactions)
    answer = make_answer(
        lambda texts: [GOOD_DESCRIPTION if text == "hola" else "?" for text in texts]
    )

    await make_described_ingestion(transactions, StubInsightProvider(answer))(
        [make_message("hola"), make_message("adiós", by="2")]
    )

    (insight,) = await open_stored_rows(transactions).insights()
    assert insight.summary == "a"


async def test_deal_keeps_its_last_insight_after_a_failure(transactions: Transactions) -> None:
    await create_shop(transactions)
    await make_described_ingestion(transactions, StubInsightProvider(describe_well))(
        [make_message("hola")]
    )

    counters = await make_described_ingestion(
        transactions, StubInsightProvider(BAD_ANSWERS["raises"])
    )([make_message("adiós", minute=1)])

    assert counters.ingested == 1
    (insight,) = await open_stored_rows(transactions).insights()
    assert (insight.summary, insight.updated_at) == ("hola", NOON)


@pytest.mark.parametrize("behaviour", ["raises", "is cancelled", "hangs", "too few"])
async def test_failed_provider_is_skipped_during_the_pause(behaviour: str) -> None:
    clock, provider = StoppedClock(), StubInsightProvider(BAD_ANSWERS[behaviour])
    describe = DescribeMessages(provider, clock, SHORT_TIMEOUT_SECONDS)
    assert await describe([make_message("one")]) == {}
    provider.answer, describe.timeout_seconds = describe_well, GENEROUS_TIMEOUT_SECONDS

    assert await describe([make_message("two")]) == {}
    clock.time += PAUSE_AFTER_FAILURE * 0.9
    assert await describe([make_message("three")]) == {}
    assert provider.calls == [["one"]]

    clock.time += PAUSE_AFTER_FAILURE * 0.2
    four = make_message("four")
    assert await describe([four]) == {
        (four.address.channel, four.external_id): replace(GOOD_DESCRIPTION, summary="four")
    }
    assert [d.summary for d in (await describe([make_message("five")])).values()] == ["five"]


async def test_hanging_provider_is_cancelled_and_logs_nothing_later(
    loop_errors: list[dict[str, Any]],
) -> None:
    for answer in (hang, hang_and_raise):
        before = asyncio.all_tasks()
        provider = StubInsightProvider(answer)
        describe = DescribeMessages(provider, StoppedClock(), SHORT_TIMEOUT_SECONDS)
        assert await describe([make_message("secret words")]) == {}
        async with asyncio.timeout(60):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0)

    assert loop_errors == []


async def test_slow_provider_holds_no_transaction(transactions: Transactions) -> None:
    """Another delivery is stored during the call. Memory runs one transaction at a time."""
    await create_shop(transactions)
    is_called, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(texts: Sequence[str]) -> Any:
        is_called.set()
        await may_answer.wait()
        return await describe_well(texts)

    first = asyncio.create_task(
        make_described_ingestion(transactions, StubInsightProvider(slow))([make_message("slow")])
    )
    await is_called.wait()
    async with asyncio.timeout(60):
        assert (await make_ingestion(transactions)([make_message("quick", minute=1)])).ingested == 1
    may_answer.set()

    assert (await first).ingested == 1


async def test_provider_is_not_called_without_messages() -> None:
    provider = StubInsightProvider(BAD_ANSWERS["raises"])

    assert await DescribeMessages(provider, StoppedClock())([]) == {}

    assert provider.calls == []


async def test_dummy_provider_describes_a_thousand_messages_in_time() -> None:
    """It computes at once, without waiting."""
    messages = [make_message(f"hola {n}") for n in range(1000)]

    assert len(await DescribeMessages(DummyInsights(), StoppedClock())(messages)) == 1000
