"""The earliest ad is the source of a deal, the earliest message its title."""

import pytest

from application.ports.storage import Transactions
from tests.support.builders import (
    create_shop,
    make_apply_changes,
    make_message,
    make_unsend,
)
from tests.support.conversations import ingest_each, ingest_in_every_order
from tests.support.stored_rows import get_only_deal, open_stored_rows

AD = {
    "source_type": "ad",
    "source_id": "120212",
    "click_id": "Aff-n8",
    "headline": "Tortas a medida",
}
LATER_AD = {"source_type": "ad", "source_id": "999"}


async def test_earliest_ad_is_the_source_of_the_deal_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(
        transactions,
        make_message("hola", minute=0, id="wamid.0"),
        make_message("vi el aviso", minute=1, id="wamid.1", content={"referral": AD}),
        make_message("vi otro", minute=2, id="wamid.2", content={"referral": LATER_AD}),
    )

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    expected = {**AD, "sent_at": "2026-11-22T12:01:00+00:00", "message": "wamid.1"}
    assert sources == [expected] * 6


async def test_of_two_ads_of_one_second_the_same_wins_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(
        transactions,
        make_message(id="wamid.a", content={"referral": AD}),
        make_message(id="wamid.b", content={"referral": LATER_AD}),
    )

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    assert [source and source["message"] for source in sources] == ["wamid.a", "wamid.a"]


async def test_later_ad_does_not_replace_the_source(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message(content={"referral": AD}))
    before = await get_only_deal(transactions)

    await ingest_each(transactions, make_message(content={"referral": LATER_AD}, minute=1))

    assert before.source
    assert await get_only_deal(transactions) == before


@pytest.mark.parametrize("unsent", ["before it arrives", "after it arrives"])
async def test_ad_of_an_unsent_message_is_still_the_source(
    transactions: Transactions, unsent: str
) -> None:
    await create_shop(transactions)
    message = make_message(content={"referral": AD})

    if unsent == "before it arrives":
        await make_apply_changes(transactions)([make_unsend(message)])
    await ingest_each(transactions, message)
    if unsent == "after it arrives":
        await make_apply_changes(transactions)([make_unsend(message)])

    source = (await get_only_deal(transactions)).source
    assert source
    assert source["source_id"] == AD["source_id"]
    (stored,) = await open_stored_rows(transactions).messages()
    assert stored.content.keys() == {"deleted_at"}


async def test_deal_of_a_person_who_came_without_an_ad_has_no_source(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)

    await ingest_each(
        transactions, make_message("hola"), make_message(content={"referral": {}}, minute=1)
    )

    assert (await get_only_deal(transactions)).source is None


async def test_new_deal_has_its_own_source(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message(content={"referral": AD}))
    await open_stored_rows(transactions).win_all_deals()

    await ingest_each(transactions, make_message(content={"referral": LATER_AD}, minute=1))

    sources = [deal.source for deal in await open_stored_rows(transactions).deals()]
    assert [source and source["source_id"] for source in sources] == ["120212", "999"]


async def test_earliest_message_names_the_deal_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(
        transactions,
        make_message("¿hay stock?", minute=2, id="wamid.2"),
        make_message("", minute=1, id="wamid.1"),
        make_message("hola\n¿qué tal?", minute=0, id="wamid.0"),
    )

    external_ids = {m.id: m.external_id for m in await open_stored_rows(transactions).messages()}
    deals = await open_stored_rows(transactions).deals()
    assert [deal.title for deal in deals] == ["hola"] * 6
    assert [external_ids[deal.message_id] for deal in deals if deal.message_id] == ["wamid.0"] * 6


async def test_of_two_messages_of_one_second_the_same_names_the_deal_in_any_order(
    transactions: Transactions,
) -> None:
    await ingest_in_every_order(
        transactions, make_message("a", id="wamid.b"), make_message("b", id="wamid.a")
    )

    assert [deal.title for deal in await open_stored_rows(transactions).deals()] == ["b", "b"]


async def test_message_does_not_change_a_deal_title_given_by_a_person(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message("¿hay stock?", minute=5))
    await open_stored_rows(transactions).rename(contact="Ana", deal="La boda")

    await ingest_each(transactions, make_message("hola", minute=1), make_message("chau", minute=9))

    assert (await get_only_deal(transactions)).title == "La boda"


async def test_earlier_message_does_not_rename_a_won_deal(transactions: Transactions) -> None:
    await create_shop(transactions)
    await ingest_each(transactions, make_message("¿hay stock?", minute=5))
    await open_stored_rows(transactions).win_all_deals()

    await ingest_each(transactions, make_message("hola", minute=1))

    titles = {str(d.status): d.title for d in await open_stored_rows(transactions).deals()}
    assert titles == {"won": "¿hay stock?", "open": "hola"}
