"""Edits replace the text of stored messages and the titles of their deals."""

from application.ports.storage import Transactions
from domain.deal import DealStatus
from tests.support.builders import (
    NOON,
    create_shop,
    list_leads,
    make_apply_changes,
    make_edit,
    make_ingestion,
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
from tests.support.stored_rows import (
    get_only_deal,
    get_only_message,
    list_change_events,
    open_stored_rows,
)

TEXTS_BY_MINUTE = [(1, "dos"), (2, "tres"), (3, "cuatro")]


async def test_edit_replaces_the_text_and_keeps_the_old_text(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta", content={"media": {"id": "m"}})

    await deliver_each(transactions, message, make_edit(message, "quiero dos tortas", minute=3))

    stored = await get_only_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content == {
        "media": {"id": "m"},
        "edits": [{"body": "quiero una torta", "replaced_at": format_minute(3)}],
    }
    assert stored.sent_at == NOON
    assert [lead.body for lead in await list_leads(transactions)] == ["quiero dos tortas"]
    assert (await get_only_deal(transactions)).title == "quiero dos tortas"


async def test_edit_does_not_change_a_deal_title_given_by_a_person(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")
    await deliver_each(transactions, message)
    await open_stored_rows(transactions).rename(contact="Ana G.", deal="La boda")

    await deliver_each(transactions, make_edit(message, "quiero dos tortas"))

    assert (await get_only_deal(transactions)).title == "La boda"


async def test_edit_changes_the_title_of_a_won_deal(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")
    await deliver_each(transactions, message)
    await open_stored_rows(transactions).win_all_deals()

    await deliver_each(transactions, make_edit(message, "quiero dos tortas"))

    deal = await get_only_deal(transactions)
    assert (deal.title, deal.status) == ("quiero dos tortas", DealStatus.WON)


async def test_edit_of_a_later_message_does_not_change_the_title(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    later = make_message("¿hay stock?", minute=1)
    await deliver_each(transactions, make_message("hola"), later)

    await deliver_each(transactions, make_edit(later, "¿hay stock hoy?", minute=2))

    assert (await get_only_deal(transactions)).title == "hola"


async def test_edits_delivered_in_any_order_end_with_the_latest(transactions: Transactions) -> None:
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        message = make_message("uno", by=phone)
        return [message, *(make_edit(message, text, minute=n) for n, text in TEXTS_BY_MINUTE)]

    orders = await deliver_in_every_order(transactions, make_items)

    edits = [
        {"body": "uno", "replaced_at": format_minute(1)},
        {"body": "dos", "replaced_at": format_minute(2)},
        {"body": "tres", "replaced_at": format_minute(3)},
    ]
    stored = await open_stored_rows(transactions).messages()
    assert [(m.body, m.content) for m in stored] == [("cuatro", {"edits": edits})] * orders
    assert [deal.title for deal in await open_stored_rows(transactions).deals()] == [
        "cuatro"
    ] * orders
    assert len(await list_change_events(transactions, "message_edited")) == 3 * orders


async def test_edits_of_one_batch_are_applied_in_the_order_they_were_made(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("uno")
    await deliver_each(transactions, message)

    await make_apply_changes(transactions)(
        [make_edit(message, text, minute=n) for n, text in reversed(TEXTS_BY_MINUTE)]
    )

    stored = await get_only_message(transactions)
    assert stored.body == "cuatro"
    assert [edit["body"] for edit in stored.content["edits"]] == ["uno", "dos", "tres"]


async def test_edits_of_one_second_end_the_same_in_any_order(transactions: Transactions) -> None:
    await create_shop(transactions)
    message = make_message("uno")
    first, second = (
        make_edit(message, "dos", id="wamid.a"),
        make_edit(message, "tres", id="wamid.b"),
    )

    await deliver_each(transactions, message, second, first)

    stored = await get_only_message(transactions)
    assert (stored.body, [e["body"] for e in stored.content["edits"]]) == ("tres", ["uno", "dos"])


async def test_edit_delivered_before_its_message_is_applied_when_the_message_arrives(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("quiero una torta")

    await deliver_each(transactions, make_edit(message, "quiero dos tortas"))
    assert await list_leads(transactions) == []
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        True
    ]
    await deliver_each(transactions, message)

    stored = await get_only_message(transactions)
    assert stored.body == "quiero dos tortas"
    assert stored.content["edits"] == [
        {"body": "quiero una torta", "replaced_at": format_minute(1)}
    ]
    assert (await get_only_deal(transactions)).title == "quiero dos tortas"
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        False
    ]


async def test_next_change_keeps_an_edit_that_was_pending(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("uno")

    await deliver_each(
        transactions, make_edit(message, "dos"), message, make_reaction(message, "👍", minute=2)
    )

    stored = await get_only_message(transactions)
    assert stored.body == "dos"
    assert stored.content == {
        "edits": [{"body": "uno", "replaced_at": format_minute(1)}],
        "reactions": [{"by": "inbound", "emoji": "👍", "at": format_minute(2)}],
    }


async def test_pending_edit_of_a_message_delivered_twice_at_once_is_applied_once(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    message = make_message("uno")
    await deliver_each(transactions, make_edit(message, "dos"))

    await make_ingestion(transactions)([message, message])

    stored = await get_only_message(transactions)
    assert stored.body == "dos"
    assert [edit["body"] for edit in stored.content["edits"]] == ["uno"]
