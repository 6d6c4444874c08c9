"""The repositories of deals, insights and events, over each storage adapter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import SWAPPED_DEAL_FIELDS, Transactions
from domain.actor import Operator
from domain.deal import Deal, DealStatus, OpenDeal
from domain.insight import Insight, InsightId, describe_deleted_message
from domain.planning.snapshot import SnapshotRequest
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_ingestion,
    make_message,
    new_id,
)
from tests.support.entities import (
    add_entities,
    make_contact,
    make_contact_key,
    make_deal,
    make_insight,
    make_stored_message,
    make_thread,
)
from tests.support.stored_rows import get_only_deal, get_only_insight, open_stored_rows


async def test_contact_has_one_open_deal(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    deal = make_deal(ana)
    await add_entities(transactions, ana, deal)

    with pytest.raises(ConcurrentUpdate):
        await add_entities(transactions, make_deal(ana))

    async with transactions.begin(Operator()) as repos:
        snapshot = await repos.snapshots.read(SnapshotRequest.for_messages([make_message()]))
    assert snapshot.open_deals == {make_contact_key(ana): OpenDeal(deal, None)}


async def test_deal_is_swapped_only_from_its_stored_values(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, deal = make_stored_message(thread), make_deal(ana)
    await add_entities(transactions, ana, thread, deal)
    renamed = replace(deal, title="chau", message_id=message.id, source={"source_id": "1"})

    async with transactions.begin(Operator()) as repos:
        await repos.messages.add({message.key: message})
        await repos.deals.compare_and_swap({deal.id: (deal, renamed)})

    assert await open_stored_rows(transactions).deals() == [renamed]
    with pytest.raises(ConcurrentUpdate):
        async with transactions.begin(Operator()) as repos:
            await repos.deals.compare_and_swap(
                {deal.id: (deal, replace(deal, title="Overwritten"))}
            )
    assert await open_stored_rows(transactions).deals() == [renamed]


async def test_description_is_replaced_where_the_insight_describes_the_message(
    transactions: Transactions,
) -> None:
    """An insight of a deal describes one of the contact's messages."""
    shop = await create_shop(transactions)
    ana, eva = make_contact(shop), make_contact(shop, phone=None)
    thread_of_ana, thread_of_eva = make_thread(shop, ana, "a"), make_thread(shop, eva, "b")
    messages = [
        make_stored_message(thread_of_ana, "wamid.1"),
        make_stored_message(thread_of_ana, "wamid.2"),
        make_stored_message(thread_of_eva, "wamid.3"),
    ]
    deals = [make_deal(ana), make_deal(eva)]
    await add_entities(transactions, ana, eva, thread_of_ana, thread_of_eva, *deals, *messages)
    insights = [make_insight(deals[0], "wamid.2"), make_insight(deals[1], "wamid.3")]
    await add_entities(transactions, *insights)
    deleted = describe_deleted_message("[deleted]")

    async with transactions.begin(Operator()) as repos:
        await repos.insights.replace_descriptions({messages[0].key: deleted})
    assert await open_stored_rows(transactions).insights() == insights
    async with transactions.begin(Operator()) as repos:
        await repos.insights.replace_descriptions(
            {message.key: deleted for message in messages[:2]}
        )

    first, second = await open_stored_rows(transactions).insights()
    assert second == insights[1]
    assert first == replace(
        insights[0], summary="[deleted]", intent="unknown", score=0, next_step=""
    )


async def test_deals_of_a_first_message_are_listed_whether_open_or_closed(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, other = make_stored_message(thread), make_stored_message(thread, "wamid.2")
    deals = [
        replace(make_deal(ana), message_id=message.id, status=status)
        for status in (DealStatus.WON, DealStatus.LOST, DealStatus.OPEN)
    ]
    await add_entities(transactions, ana, thread, message, other, *deals)

    async with transactions.begin(Operator()) as repos:
        listed = await repos.deals.list_with_first_message_in([message, other])
        assert await repos.deals.list_with_first_message_in([other]) == []
    assert sorted(listed, key=lambda deal: deal.id) == deals


async def swap_deal(transactions: Transactions, old: Deal, new: Deal) -> None:
    async with transactions.begin(Operator()) as repos:
        await repos.deals.compare_and_swap({old.id: (old, new)})


@pytest.mark.parametrize("field", SWAPPED_DEAL_FIELDS)
async def test_deal_whose_field_changed_is_not_swapped(
    transactions: Transactions, field: str
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, deal = make_stored_message(thread), make_deal(ana)
    await add_entities(transactions, ana, thread, message, deal)
    values: dict[str, Any] = {
        "title": "chau",
        "message_id": message.id,
        "source": {"source_id": "1"},
    }
    changed = replace(deal, **{field: values[field]})
    await swap_deal(transactions, deal, changed)
    assert await get_only_deal(transactions) == changed

    with pytest.raises(ConcurrentUpdate):
        await swap_deal(transactions, deal, deal)

    assert await get_only_deal(transactions) == changed


async def test_deal_that_was_won_is_swapped_and_stays_won(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    deal = make_deal(ana)
    await add_entities(transactions, ana, deal)
    await open_stored_rows(transactions).win_all_deals()

    await swap_deal(transactions, deal, replace(deal, title="chau"))

    won = await get_only_deal(transactions)
    assert won == replace(deal, title="chau", status=DealStatus.WON)


async def test_swap_of_an_unknown_deal_is_a_concurrent_update(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    unknown = make_deal(make_contact(shop))

    with pytest.raises(ConcurrentUpdate):
        await swap_deal(transactions, unknown, unknown)


@pytest.mark.parametrize(
    ("minutes", "message_external_id", "provider"),
    [
        (1, "wamid.a", "new"),
        (0, "wamid.c", "new"),
        (0, "wamid.b", "new"),
        (0, "wamid.a", "stored"),
        (0, "wamid.Z", "stored"),  # ranks are compared by code point
        (-1, "wamid.c", "stored"),
    ],
)
async def test_insight_replaces_one_of_the_same_or_lower_rank(
    transactions: Transactions, minutes: int, message_external_id: str, provider: str
) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    deal = make_deal(ana)
    stored = replace(make_insight(deal, "wamid.b"), provider="stored")
    await add_entities(transactions, ana, deal, stored)
    insight = Insight(
        id=InsightId(new_id()),
        org_id=deal.org_id,
        deal_id=deal.id,
        summary="asks for the price",
        intent="price",
        score=75,
        next_step="Send the price list",
        provider="new",
        updated_at=NOON + timedelta(minutes=minutes),
        message_external_id=message_external_id,
    )

    async with transactions.begin(Operator()) as repos:
        await repos.insights.upsert({deal.id: insight})

    expected = replace(insight, id=stored.id) if provider == "new" else stored
    assert await get_only_insight(transactions) == expected


async def test_description_of_an_unknown_message_is_ignored(transactions: Transactions) -> None:
    shop = await create_shop(transactions)
    ana = make_contact(shop)
    thread = make_thread(shop, ana)
    message, unknown = make_stored_message(thread), make_stored_message(thread, "unknown")
    deal = make_deal(ana)
    insight = make_insight(deal, message.external_id)
    await add_entities(transactions, ana, thread, message, deal, insight)

    async with transactions.begin(Operator()) as repos:
        await repos.insights.replace_descriptions(
            {unknown.key: describe_deleted_message("[deleted]")}
        )

    assert await get_only_insight(transactions) == insight


async def test_event_has_the_time_of_the_storage(transactions: Transactions) -> None:
    """Messages have the provider's time; tests send theirs at noon of another day."""
    await create_shop(transactions)
    before = datetime.now(UTC)

    await make_ingestion(transactions)([make_message()])

    (lead,) = await list_leads(transactions)
    assert abs(lead.captured_at - before) < timedelta(minutes=10)


async def test_newest_leads_of_an_organisation_are_listed_newest_last(
    transactions: Transactions,
) -> None:
    shop, other = await create_shop(transactions), await create_shop(transactions, "222")
    ingest = make_ingestion(transactions)
    for to, body in ((shop, "one"), (shop, "two"), (other, "three"), (shop, "four")):
        await ingest([make_message(body, to=to.external_id)])

    async with transactions.begin(Operator()) as repos:
        of_shop = await repos.leads.list_latest(shop.org_id, 2)
        of_all = await repos.leads.list_latest(None, 3)

    assert [lead.body for lead in of_shop] == ["two", "four"]
    assert [lead.body for lead in of_all] == ["two", "three", "four"]
