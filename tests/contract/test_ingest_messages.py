"""Messages become contacts, threads, messages, deals, insights and events, over each storage."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from application.errors import StorageUnavailable
from application.ingestion.ingest_messages import Counters
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.deal import DealStatus
from domain.failed_message import FIRST_RETRY_DELAY
from domain.inbound import BrokenMessage
from domain.insight import Description
from tests.support.builders import (
    NOON,
    ONE_INGESTED,
    create_shop,
    list_leads,
    make_ingestion,
    make_message,
    phone_identity,
    user_identity,
)
from tests.support.conversations import make_crm_contact
from tests.support.entities import add_entities
from tests.support.failing_storage import FailingTransactions, raise_unavailable
from tests.support.stored_rows import open_stored_rows


async def test_message_becomes_a_lead(transactions: Transactions) -> None:
    shop = await create_shop(transactions)

    counters = await make_ingestion(transactions)([make_message("¿Cuánto cuesta?\nGracias")])

    assert counters == ONE_INGESTED
    (lead,) = await list_leads(transactions)
    assert (lead.org_id, lead.contact, lead.body) == (
        shop.org_id,
        "Ana",
        "¿Cuánto cuesta?\nGracias",
    )
    assert (lead.deal, lead.deal_status) == ("¿Cuánto cuesta?", DealStatus.OPEN)
    assert (lead.intent, lead.score) == ("price", 75)


async def test_repeated_delivery_changes_nothing(transactions: Transactions) -> None:
    await create_shop(transactions)
    delivery = [make_message("hola"), make_message("¿hay alguien?", minute=1)]
    ingest = make_ingestion(transactions)

    first, second = await ingest(delivery), await ingest(delivery)

    assert first == Counters(received=2, ingested=2, skipped=0, failed=0)
    assert second == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert len(await list_leads(transactions)) == 2


async def test_message_twice_in_one_delivery_is_stored_once(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    counters = await make_ingestion(transactions)([message, message])

    assert counters == Counters(received=2, ingested=1, skipped=1, failed=0)


async def test_messages_of_one_text_and_time_are_stored_if_their_ids_differ(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    counters = await make_ingestion(transactions)(
        [make_message("ok", id="wamid.a"), make_message("ok", id="wamid.b")]
    )

    assert counters.ingested == 2


async def test_messages_for_unknown_and_disabled_numbers_are_skipped(
    transactions: Transactions,
) -> None:
    await create_shop(transactions, is_enabled=False)

    counters = await make_ingestion(transactions)([make_message(), make_message(to="999")])

    assert counters == Counters(received=2, ingested=0, skipped=2, failed=0)
    assert await list_leads(transactions) == []


async def test_empty_delivery_begins_no_transaction(transactions: Transactions) -> None:
    counted = FailingTransactions(transactions)

    assert await make_ingestion(counted)([]) == Counters.count([])

    assert counted.calls == 0


async def test_each_message_is_stored_in_its_own_organisation(transactions: Transactions) -> None:
    """Twenty organisations, an unknown number, a disabled one, a duplicate and a broken item."""
    shops = [await create_shop(transactions, f"10{n:02}") for n in range(20)]
    disabled = await create_shop(transactions, "2000", is_enabled=False)
    messages = [make_message(f"to {shop.external_id}", to=shop.external_id) for shop in shops]
    broken = BrokenMessage(address=shops[3].address, reason="it names no sender", payload={"a": 1})
    of_disabled = BrokenMessage(address=disabled.address, reason="it names no sender", payload={})

    counters = await make_ingestion(transactions)(
        [
            *messages[:10],
            make_message(to="3000"),
            broken,
            of_disabled,
            make_message(to="2000"),
            *messages[10:],
            messages[5],
        ]
    )

    assert counters == Counters(received=25, ingested=20, skipped=4, failed=1)
    stored = {lead.org_id: lead.body for lead in await list_leads(transactions)}
    assert stored == {shop.org_id: f"to {shop.external_id}" for shop in shops}
    async with transactions.begin(Operator()) as repos:
        (failure,) = await repos.failed_messages.list_for_organization(shops[3].org_id)
        assert (failure.payload, failure.error) == ({"a": 1}, "it names no sender")
        assert failure.next_attempt_at
        assert FIRST_RETRY_DELAY / 2 <= failure.next_attempt_at - NOON <= FIRST_RETRY_DELAY * 1.5
        assert await repos.failed_messages.list_for_organization(disabled.org_id) == []


async def test_messages_of_one_person_share_contact_thread_and_deal(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)

    await ingest([make_message("hola"), make_message("¿hay stock?", minute=1)])
    await ingest([make_message("lo quiero", minute=2)])

    leads = await list_leads(transactions)
    assert {lead.deal for lead in leads} == {"hola"}
    assert {lead.intent for lead in leads} == {"purchase"}


async def test_new_deal_opens_after_the_last_one_is_closed(transactions: Transactions) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)
    await ingest([make_message("hola")])

    await open_stored_rows(transactions).win_all_deals()
    await ingest([make_message("otra vez yo", minute=1)])

    assert [lead.deal for lead in await list_leads(transactions)] == ["hola", "otra vez yo"]


async def test_person_without_a_phone_is_found_by_the_user_id(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)

    await ingest([make_message("hola", by=[user_identity("US.1349")])])
    await ingest([make_message("¿sigues ahí?", by=[user_identity("US.1349")], minute=1)])

    assert [lead.deal for lead in await list_leads(transactions)] == ["hola", "hola"]


async def test_ids_shown_together_belong_to_one_person(transactions: Transactions) -> None:
    """The first message shows phone and user id, the second the user id alone."""
    shop = await create_shop(transactions)
    ingest = make_ingestion(transactions)

    await ingest(
        [make_message("hola", by=[phone_identity("5491155550001"), user_identity("AR.1")])]
    )
    await ingest([make_message("¿y?", by=[user_identity("AR.1")], minute=1)])

    assert {lead.deal for lead in await list_leads(transactions)} == {"hola"}
    stored_rows = open_stored_rows(transactions)
    assert len(await stored_rows.contacts()) == 1
    (thread,) = await stored_rows.threads()
    assert thread.external_id == f"wa:{shop.external_id}:5491155550001"
    assert thread.last_message_at == NOON + timedelta(minutes=1)


async def test_rows_of_a_message_are_linked(transactions: Transactions) -> None:
    shop = await create_shop(transactions)

    await make_ingestion(transactions)([make_message("hola", by="5491155550001", name="Ana")])

    stored_rows = open_stored_rows(transactions)
    (contact,), (identity,) = await stored_rows.contacts(), await stored_rows.identities()
    (thread,), (message,) = await stored_rows.threads(), await stored_rows.messages()
    (deal,), (insight,), (event,) = (
        await stored_rows.deals(),
        await stored_rows.insights(),
        await stored_rows.events(),
    )
    assert (contact.name, contact.phone, contact.email) == ("Ana", "5491155550001", None)
    assert (identity.contact_id, identity.kind, identity.value) == (
        contact.id,
        "whatsapp_phone",
        "5491155550001",
    )
    assert (thread.contact_id, thread.connection_id) == (contact.id, shop.id)
    assert (message.thread_id, message.direction, message.kind) == (thread.id, "inbound", "text")
    assert message.sent_at == thread.last_message_at == insight.updated_at == NOON
    assert (deal.contact_id, deal.status, deal.title) == (contact.id, "open", "hola")
    assert (insight.deal_id, insight.provider) == (deal.id, "dummy")
    assert event.type == "lead_captured"
    assert event.payload == {
        "channel": "whatsapp",
        "message_id": str(message.id),
        "thread_id": str(thread.id),
        "contact_id": str(contact.id),
        "deal_id": str(deal.id),
        "deal_opened": True,
    }
    rows = (contact, identity, thread, message, deal, insight, event)
    assert {row.org_id for row in rows} == {shop.org_id}


async def test_each_message_has_an_event_and_only_the_first_opens_the_deal(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await make_ingestion(transactions)([make_message(minute=n) for n in range(3)])

    events = await open_stored_rows(transactions).events()
    assert sorted(event.payload["deal_opened"] for event in events) == [False, False, True]


async def test_late_message_moves_neither_thread_nor_insight_back(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)

    await ingest([make_message("lo quiero", minute=5)])
    await ingest([make_message("hola", minute=1)])

    stored_rows = open_stored_rows(transactions)
    (thread,), (insight,) = await stored_rows.threads(), await stored_rows.insights()
    assert thread.last_message_at == NOON + timedelta(minutes=5)
    assert insight.intent == "purchase"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_insight_of_two_messages_of_one_second_is_the_same_in_any_order(
    transactions: Transactions, order: Sequence[int]
) -> None:
    await create_shop(transactions)
    messages = [make_message("gracias", id="wamid.b"), make_message("hola", id="wamid.a")]

    for n in order:
        await make_ingestion(transactions)([messages[n]])

    (insight,) = await open_stored_rows(transactions).insights()
    assert insight.intent == "thanks"


async def test_crm_contact_is_found_and_keeps_its_name(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    eva = replace(make_crm_contact(shop.org_id, "+5491155550001"), name="Eva del CRM")
    await add_entities(transactions, eva)

    await make_ingestion(transactions)([make_message(name="eva ✨")])

    (contact,) = await open_stored_rows(transactions).contacts()
    assert (contact.id, contact.name, contact.phone) == (eva.id, eva.name, eva.phone)
    assert contact.profile_name == "eva ✨"
    assert [lead.contact for lead in await list_leads(transactions)] == ["Eva del CRM"]


async def test_conflicting_identities_use_the_first_and_merge_nothing(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)
    await ingest([make_message("by phone", by="5491155550001")])
    await ingest([make_message("by id", by=[user_identity("AR.1")], minute=1)])

    await ingest(
        [
            make_message(
                "by both", by=[phone_identity("5491155550001"), user_identity("AR.1")], minute=2
            )
        ]
    )

    assert len(await open_stored_rows(transactions).contacts()) == 2
    assert [lead.deal for lead in await list_leads(transactions)] == [
        "by phone",
        "by id",
        "by phone",
    ]


async def test_message_without_a_thread_id_is_stored_in_the_contacts_thread(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ingest = make_ingestion(transactions)
    await ingest([make_message()])

    await ingest([replace(make_message(minute=1), thread_external_id=None)])

    assert len(await open_stored_rows(transactions).threads()) == 1


async def test_number_connected_again_continues_its_threads(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ingest = make_ingestion(transactions)
    await ingest([make_message()])
    async with transactions.begin(Operator()) as repos:
        await repos.connections.remove(shop.id)
        await repos.connections.add(shop)

    counters = await ingest([make_message(minute=1)])

    assert counters == ONE_INGESTED
    (thread,) = await open_stored_rows(transactions).threads()
    assert thread.connection_id == shop.id


@dataclass(frozen=True)
class FailingInsightProvider:
    """A provider that raises an error, or gives a fixed answer."""

    name: str = "failing"
    answer: Sequence[Description] | None = None

    async def describe(self, texts: Sequence[str]) -> Sequence[Description]:
        if self.answer is None:
            raise RuntimeError(texts[0])
        return self.answer


@pytest.mark.parametrize("answer", [None, []], ids=["raises", "answers too little"])
async def test_failing_insight_provider_costs_the_insight_only(
    transactions: Transactions,
    answer: Sequence[Description] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await create_shop(transactions)

    counters = await make_ingestion(transactions, FailingInsightProvider(answer=answer))(
        [make_message("secret words")]
    )

    assert counters == ONE_INGESTED
    assert [lead.intent for lead in await list_leads(transactions)] == [None]
    assert "secret words" not in caplog.text


async def test_unavailable_storage_makes_no_message_fail(
    transactions: Transactions,
) -> None:
    """Nothing was stored, so the delivery must come again."""
    await create_shop(transactions)
    unavailable = FailingTransactions(transactions, raise_unavailable)

    with pytest.raises(StorageUnavailable):
        await make_ingestion(unavailable)([make_message(), make_message()])

    assert await list_leads(transactions) == []


async def test_twelfth_delivery_is_stored_like_the_first(transactions: Transactions) -> None:
    """Psycopg prepares after five runs, PostgreSQL plans generically after five more."""
    await create_shop(transactions)
    ingest = make_ingestion(transactions)

    for sender in range(12):
        assert await ingest([make_message(by=str(sender))]) == ONE_INGESTED
        assert await ingest([make_message(by=str(sender), minute=1)]) == ONE_INGESTED

    deals = Counter(deal.contact_id for deal in await open_stored_rows(transactions).deals())
    assert set(deals.values()) == {1}
    assert len(deals) == 12


async def test_batch_of_a_thousand_messages_is_stored(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    await create_shop(transactions)
    messages = [make_message(by=str(n % 300), minute=n) for n in range(1000)]

    with caplog.at_level(logging.DEBUG):
        counters = await make_ingestion(transactions)(messages)

    assert counters == Counters(received=1000, ingested=1000, skipped=0, failed=0)
    assert len(await open_stored_rows(transactions).contacts()) == 300
