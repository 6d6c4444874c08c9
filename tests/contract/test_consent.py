"""Marketing consent is stored with the contact; the latest answer counts."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from application.ports.storage import Transactions
from tests.support.builders import (
    NOON,
    create_shop,
    make_consent,
    make_echo,
    make_message,
    phone_identity,
    user_identity,
)
from tests.support.conversations import (
    NEW_PHONE,
    OLD_PHONE,
    Item,
    Phone,
    deliver_each,
    deliver_in_every_order,
)
from tests.support.stored_rows import (
    get_only_contact,
    list_change_events,
    open_stored_rows,
)


async def test_new_contact_has_neither_consented_to_nor_refused_marketing(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message())

    contact = await get_only_contact(transactions)

    assert (contact.marketing_consent, contact.marketing_consent_at) == (None, None)


async def test_latest_marketing_consent_counts_in_any_order(transactions: Transactions) -> None:
    """A consent that is delivered before its person is not lost."""
    await create_shop(transactions)

    def make_items(phone: Phone) -> list[Item]:
        answers = enumerate((False, True, False))
        consents = [make_consent(answer, by=phone, minute=n) for n, answer in answers]
        return [make_message(by=phone), *consents]

    orders = await deliver_in_every_order(transactions, make_items)

    latest = (False, NOON + timedelta(minutes=2))
    contacts = await open_stored_rows(transactions).contacts()
    assert [(c.marketing_consent, c.marketing_consent_at) for c in contacts] == [latest] * orders
    assert len(await list_change_events(transactions, "consent_changed")) == 3 * orders


async def test_person_who_resumes_marketing_has_consented_again(transactions: Transactions) -> None:
    await create_shop(transactions)

    await deliver_each(
        transactions, make_message(), make_consent(False, minute=1), make_consent(True, minute=2)
    )

    contact = await get_only_contact(transactions)
    assert contact.marketing_consent is True
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_refusal_wins_over_a_consent_of_the_same_second(
    transactions: Transactions, order: Sequence[int]
) -> None:
    await create_shop(transactions)
    consents = [make_consent(True), make_consent(False)]

    await deliver_each(transactions, make_message(), *(consents[n] for n in order))

    assert (await get_only_contact(transactions)).marketing_consent is False


async def test_consent_delivered_before_its_person_is_applied_when_the_person_writes(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    ana = [phone_identity(OLD_PHONE), user_identity("AR.1")]

    await deliver_each(
        transactions, make_consent(False, by=ana, minute=2), make_consent(True, by=ana, minute=1)
    )
    assert await open_stored_rows(transactions).contacts() == []
    await deliver_each(transactions, make_message(by=ana))

    contact = await get_only_contact(transactions)
    assert contact.marketing_consent is False
    assert contact.marketing_consent_at == NOON + timedelta(minutes=2)
    assert [change.is_waiting for change in await open_stored_rows(transactions).changes()] == [
        False,
        False,
    ]


async def test_pending_change_of_a_person_is_found_by_the_user_id_alone(
    transactions: Transactions,
) -> None:
    """The changes name phone and user id; the person then writes without showing the phone."""
    await create_shop(transactions)
    ana = [phone_identity(OLD_PHONE), user_identity("AR.1")]

    await deliver_each(
        transactions, make_consent(False, by=ana), make_echo("¡hola!", to=ana, minute=1)
    )
    await deliver_each(transactions, make_message(by=[user_identity("AR.1")]))

    assert (await get_only_contact(transactions)).marketing_consent is False
    bodies = {message.body for message in await open_stored_rows(transactions).messages()}
    assert bodies == {"hola", "¡hola!"}


async def test_consent_changes_the_contact_of_its_person_only(
    transactions: Transactions,
) -> None:
    await create_shop(transactions)
    await deliver_each(transactions, make_message(), make_message(by=NEW_PHONE, name="Eva"))

    await deliver_each(transactions, make_consent(False, by=NEW_PHONE))

    consents = {
        c.name: c.marketing_consent for c in await open_stored_rows(transactions).contacts()
    }
    assert consents == {"Ana": None, "Eva": False}
