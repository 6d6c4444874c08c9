"""The repositories of deals, insights and events, over each storage adapter."""

from dataclasses import replace

import pytest

from application.errors import ConcurrentUpdate
from application.ports.storage import Transactions
from domain.actor import Operator
from domain.deal import OpenDeal
from domain.insight import description_of_deleted
from domain.planning.snapshot import SnapshotRequest
from tests.support.builders import create_shop, make_message
from tests.support.entities import (
    add_entities,
    make_contact,
    make_contact_key,
    make_deal,
    make_insight,
    make_stored_message,
    make_thread,
)
from tests.support.stored_rows import open_stored_rows


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
    deleted = description_of_deleted("[deleted]")

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
