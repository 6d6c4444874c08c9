"""Echoes, messages that the business sent from another device, join the conversation."""

from collections import Counter
from datetime import timedelta

from application.ports.storage import Transactions
from tests.support.builders import (
    NOON,
    ONE_INGESTED,
    ONE_SKIPPED,
    create_shop,
    list_leads,
    make_consent,
    make_echo,
    make_edit,
    make_ingestion,
    make_message,
    make_reaction,
    make_unsend,
)
from tests.support.conversations import (
    NEW_PHONE,
    SECRET,
    Item,
    Phone,
    add_second_number,
    deliver_each,
    deliver_in_every_order,
    format_minute,
)
from tests.support.stored_rows import (
    find_tables_with,
    get_only_contact,
    get_only_deal,
    get_only_insight,
    get_only_thread,
    list_change_events,
    list_outbound_messages,
    open_stored_rows,
)


async def test_echo_is_stored_in_the_conversation_of_its_recipient(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message("lo quiero comprar"))
    before = await get_only_deal(transactions), await get_only_insight(transactions)

    await deliver_each(transactions, make_echo("¡dale!", minute=7, id="wamid.echo"))

    thread = await get_only_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=7)
    (echo,) = await list_outbound_messages(transactions)
    assert echo.external_id == "wamid.echo"
    assert (echo.thread_id, echo.direction, echo.kind) == (thread.id, "outbound", "text")
    assert (echo.body, echo.sent_at) == ("¡dale!", NOON + timedelta(minutes=7))
    assert (await get_only_deal(transactions), await get_only_insight(transactions)) == before
    (event,) = await list_change_events(transactions)
    assert event.type == "message_sent"
    assert event.payload == {
        "channel": "whatsapp",
        "message_id": str(echo.id),
        "thread_id": str(thread.id),
    }
    assert len(await list_leads(transactions)) == 1


async def test_old_echo_does_not_move_the_conversation_back(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver_each(transactions, make_message(minute=5), make_echo(minute=1))

    assert (await get_only_thread(transactions)).last_message_at == NOON + timedelta(minutes=5)


async def test_message_with_the_id_of_a_stored_echo_is_a_duplicate(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message(), make_echo(id="wamid.echo"))

    counters = await make_ingestion(transactions)([make_message(id="wamid.echo")])

    assert counters == ONE_SKIPPED


async def test_echo_delivered_before_its_conversation_is_stored_when_the_person_writes(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver_each(
        transactions, make_echo("¡hola!", minute=3), make_echo("¿qué tal?", minute=1)
    )
    stored_rows = open_stored_rows(transactions)
    assert [
        *await stored_rows.contacts(),
        *await stored_rows.threads(),
        *await stored_rows.messages(),
    ] == []
    assert await stored_rows.events() == []
    counters = await make_ingestion(transactions)([make_message("hola", minute=2)])

    assert counters == ONE_INGESTED
    thread = await get_only_thread(transactions)
    assert thread.last_message_at == NOON + timedelta(minutes=3)
    messages = sorted(await stored_rows.messages(), key=lambda message: message.sent_at)
    assert [(m.direction, m.body, m.thread_id) for m in messages] == [
        ("outbound", "¿qué tal?", thread.id),
        ("inbound", "hola", thread.id),
        ("outbound", "¡hola!", thread.id),
    ]
    assert (await get_only_deal(transactions)).title == "hola"
    types = Counter(event.type for event in await stored_rows.events())
    assert types == {"lead_captured": 1, "message_sent": 2}
    # The content of a change that became a message is stored with the message only.
    assert [(c.is_waiting, c.content) for c in await stored_rows.changes()] == [
        (False, {}),
        (False, {}),
    ]


async def test_echo_is_pending_until_the_person_writes_over_its_own_connection(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    second = await add_second_number(transactions, shop)

    await deliver_each(transactions, make_echo("¡hola!", over="222"), make_message())
    assert [m.direction for m in await open_stored_rows(transactions).messages()] == ["inbound"]
    await deliver_each(transactions, make_echo("otra vez", over="222", minute=2))
    assert [m.direction for m in await open_stored_rows(transactions).messages()] == ["inbound"]
    await deliver_each(transactions, make_message(to="222", minute=3))

    threads = {t.id: t.connection_id for t in await open_stored_rows(transactions).threads()}
    assert Counter(threads.values()) == {shop.id: 1, second.id: 1}
    echoes = await list_outbound_messages(transactions)
    assert {m.body for m in echoes} == {"¡hola!", "otra vez"}
    assert {threads[m.thread_id] for m in echoes} == {second.id}


async def test_echo_is_stored_in_the_thread_of_its_own_connection(
    transactions: Transactions,
) -> None:
    shop = await create_shop(transactions)
    second = await add_second_number(transactions, shop)
    await deliver_each(transactions, make_message(), make_message(to="222"))

    await deliver_each(transactions, make_echo(over="222"))

    threads = {t.id: t.connection_id for t in await open_stored_rows(transactions).threads()}
    (echo,) = await list_outbound_messages(transactions)
    assert threads[echo.thread_id] == second.id


async def test_echo_is_edited_reacted_to_and_unsent_like_a_message(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    echo = make_echo("uno", id="wamid.echo")
    await deliver_each(
        transactions,
        make_message(),
        echo,
        make_edit(echo, "dos", minute=2),
        make_reaction(echo, "👍", minute=3),
    )

    (stored,) = await list_outbound_messages(transactions)
    assert stored.body == "dos"
    assert stored.content == {
        "edits": [{"body": "uno", "replaced_at": format_minute(2)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": format_minute(3)}],
    }

    await deliver_each(transactions, make_unsend(echo, minute=4))

    (stored,) = await list_outbound_messages(transactions)
    assert (stored.body, stored.content) == ("[deleted]", {"deleted_at": format_minute(4)})
    assert (await get_only_deal(transactions)).title == "hola"


async def test_echo_its_edit_and_its_conversation_end_the_same_in_any_order(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        echo = make_echo("uno", to=phone, minute=1)
        return [make_message(by=phone), echo, make_edit(echo, "dos", minute=2)]

    orders = await deliver_in_every_order(transactions, make_items)

    edits = [{"body": "uno", "replaced_at": format_minute(2)}]
    echoes = await list_outbound_messages(transactions)
    assert [(m.body, m.content) for m in echoes] == [("dos", {"edits": edits})] * orders
    assert not any(change.is_waiting for change in await open_stored_rows(transactions).changes())
    assert len({m.thread_id for m in echoes}) == orders


async def test_text_of_an_unsent_echo_is_erased_in_any_order(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        echo = make_echo(f"uno {SECRET}", to=phone, minute=1)
        edit = make_edit(echo, f"dos {SECRET}", minute=2)
        return [make_message(by=phone), echo, edit, make_unsend(echo, minute=3)]

    orders = await deliver_in_every_order(transactions, make_items)

    assert await find_tables_with(transactions, SECRET) == []
    echoes = await list_outbound_messages(transactions)
    deleted = ("[deleted]", {"deleted_at": format_minute(3)})
    assert [(m.body, m.content) for m in echoes] == [deleted] * orders


async def test_text_of_an_unsent_pending_echo_is_erased(transactions: Transactions) -> None:
    """The person may never write."""
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        echo = make_echo(SECRET, to=phone, minute=1)
        return [echo, make_unsend(echo, minute=3)]

    await deliver_in_every_order(transactions, make_items)

    assert await find_tables_with(transactions, SECRET) == []


async def test_changes_of_a_person_who_never_writes_make_no_contact(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await deliver_each(
        transactions,
        make_echo(),
        make_consent(False),
        make_echo(minute=3),
        make_reaction(make_message(), "👍"),
    )
    await deliver_each(transactions, make_message(by=NEW_PHONE))

    assert (await get_only_contact(transactions)).phone == NEW_PHONE
    assert (await get_only_contact(transactions)).marketing_consent is None
    assert len(await open_stored_rows(transactions).messages()) == 1
