"""Reactions are stored with the message they are about."""

from application.ports.storage import Transactions
from domain.message import Direction
from tests.support.builders import (
    create_shop,
    make_message,
    make_reaction,
)
from tests.support.conversations import (
    Item,
    Phone,
    deliver_each,
    deliver_in_every_order,
    format_minute,
)
from tests.support.stored_rows import get_only_message, open_stored_rows


async def test_reaction_is_stored_with_its_message(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(transactions, message, make_reaction(message, "👍", minute=2))

    assert (await get_only_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": format_minute(2)}]
    }


async def test_each_side_of_a_conversation_has_one_reaction(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(
        transactions,
        message,
        make_reaction(message, "👍", minute=1),
        make_reaction(message, "🙏", minute=2, by=Direction.OUTBOUND),
        make_reaction(message, "❤️", minute=3),
    )

    assert (await get_only_message(transactions)).content["reactions"] == [
        {"by": "inbound", "emoji": "❤️", "at": format_minute(3)},
        {"by": "outbound", "emoji": "🙏", "at": format_minute(2)},
    ]


async def test_withdrawn_reaction_leaves_the_other_sides_reaction(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(
        transactions,
        message,
        make_reaction(message, "👍", minute=1),
        make_reaction(message, "🙏", minute=1, by=Direction.OUTBOUND),
        make_reaction(message, None, minute=2),
    )

    assert (await get_only_message(transactions)).content["reactions"] == [
        {"by": "outbound", "emoji": "🙏", "at": format_minute(1)}
    ]


async def test_reactions_delivered_in_any_order_end_with_the_latest(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        message = make_message(by=phone)
        emojis = enumerate(("👍", None, "❤️"))
        return [message, *(make_reaction(message, emoji, minute=n) for n, emoji in emojis)]

    orders = await deliver_in_every_order(transactions, make_items)

    reactions = [{"by": "inbound", "emoji": "❤️", "at": format_minute(2)}]
    contents = [message.content for message in await open_stored_rows(transactions).messages()]
    assert contents == [{"reactions": reactions}] * orders


async def test_withdrawn_last_reaction_leaves_no_content(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(
        transactions,
        message,
        make_reaction(message, None, minute=2),
        make_reaction(message, "👍", minute=1),
    )

    assert (await get_only_message(transactions)).content == {}


async def test_reaction_to_an_unknown_message_has_an_event_and_makes_no_lead(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver_each(transactions, make_reaction(make_message(), "👍"))

    (event,) = await open_stored_rows(transactions).events()
    assert event.type == "message_reacted"
    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.threads(),
        *await stored_rows.deals(),
    ] == []


async def test_reaction_delivered_before_its_message_is_applied_when_the_message_arrives(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message()

    await deliver_each(transactions, make_reaction(message, "👍", minute=2), message)

    assert (await get_only_message(transactions)).content == {
        "reactions": [{"by": "inbound", "emoji": "👍", "at": format_minute(2)}]
    }
