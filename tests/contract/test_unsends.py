"""Unsends erase the text of messages from every table; their leads stay."""

from collections import Counter

from application.ports.storage import Transactions
from domain.deal import DealStatus
from tests.support.builders import (
    ONE_INGESTED,
    create_shop,
    list_leads,
    make_edit,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
)
from tests.support.conversations import (
    SECRET,
    Item,
    Phone,
    deliver_each,
    deliver_in_every_order,
    format_minute,
)
from tests.support.stored_rows import (
    find_tables_with,
    get_only_deal,
    get_only_insight,
    get_only_message,
    list_change_events,
    open_stored_rows,
)


async def test_text_of_an_unsent_message_is_erased_from_every_table(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})
    await deliver_each(transactions, message, make_edit(message, f"reembolso {SECRET}"))
    assert await find_tables_with(transactions, SECRET) == [
        "messages",
        "changes",
        "deals",
        "insights",
    ]

    await deliver_each(transactions, make_unsend(message, minute=2))

    assert await find_tables_with(transactions, SECRET) == []
    stored = await get_only_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": format_minute(2)})
    assert stored.is_deleted


async def test_lead_of_an_unsent_message_stays(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("lo quiero comprar")

    await deliver_each(transactions, message, make_unsend(message))

    (lead,) = await list_leads(transactions)
    assert (lead.body, lead.deal, lead.deal_status) == ("[deleted]", "[deleted]", DealStatus.OPEN)
    insight = await get_only_insight(transactions)
    assert (insight.summary, insight.intent, insight.score) == ("[deleted]", "unknown", 0)
    assert insight.next_step == ""
    assert len(await open_stored_rows(transactions).contacts()) == 1


async def test_unsend_keeps_an_insight_that_describes_another_message(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("hola")

    await deliver_each(
        transactions, message, make_message("lo quiero comprar", minute=1), make_unsend(message)
    )

    assert (await get_only_insight(transactions)).intent == "purchase"
    assert (await get_only_deal(transactions)).title == "[deleted]"


async def test_unsend_does_not_change_a_deal_title_given_by_a_person(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("hola")
    await deliver_each(transactions, message)
    await open_stored_rows(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver_each(transactions, make_unsend(message))

    assert (await get_only_deal(transactions)).title == "La boda"


async def test_message_unsent_before_it_arrives_becomes_a_lead_without_text(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message(f"comprar {SECRET}", content={"media": {"filename": f"{SECRET}.pdf"}})

    await deliver_each(transactions, make_unsend(message, minute=2))
    counters = await make_ingestion(transactions)([message])

    assert counters == ONE_INGESTED
    assert await find_tables_with(transactions, SECRET) == []
    stored = await get_only_message(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": format_minute(2)})
    (lead,) = await list_leads(transactions)
    assert (lead.deal, lead.intent, lead.score) == ("[deleted]", "unknown", 0)


async def test_unsend_wins_over_edits_in_any_order(transactions: Transactions) -> None:
    """It wins over a later edit too: the text is erased."""
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        message = make_message(f"comprar {SECRET}", by=phone)
        return [
            message,
            make_edit(message, f"{SECRET}, dos", minute=1),
            make_unsend(message, minute=2),
            make_edit(message, f"{SECRET}, tres", minute=3),
        ]

    orders = await deliver_in_every_order(transactions, make_items)

    stored = await open_stored_rows(transactions).messages()
    deleted = ("[deleted]", {"deleted_at": format_minute(2)})
    assert [(m.body, m.content) for m in stored] == [deleted] * orders
    assert await find_tables_with(transactions, SECRET) == []
    assert Counter(event.type for event in await list_change_events(transactions)) == {
        "message_edited": 2 * orders,
        "message_deleted": orders,
    }


async def test_message_unsent_twice_is_deleted_at_the_earlier_time(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        message = make_message(by=phone)
        return [message, make_unsend(message, minute=2), make_unsend(message, minute=1)]

    orders = await deliver_in_every_order(transactions, make_items)

    contents = [message.content for message in await open_stored_rows(transactions).messages()]
    assert contents == [{"deleted_at": format_minute(1)}] * orders


async def test_reactions_add_no_content_to_an_unsent_message(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(
        transactions,
        message,
        make_reaction(message, "👍"),
        make_unsend(message, minute=2),
        make_reaction(message, "❤️", minute=3),
    )

    assert (await get_only_message(transactions)).content == {"deleted_at": format_minute(2)}
