"""The use cases of accounts and connections, through the container and over each storage."""

import asyncio
import time
from dataclasses import dataclass, replace

import pytest

from application.connections.rotate_keys import RotateKeys
from application.errors import TokenDecryptionError
from application.ports.auth import PasswordHasher
from application.ports.storage import Transactions
from application.recovery.drain_spool import MergedDelivery
from application.use_cases import UseCases
from domain.actor import Operator, SignedInUser
from domain.connection import Channel, ConnectionActivity, ConnectionId
from domain.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    NotSignedIn,
    NumberConnectedElsewhere,
    TooManyAttempts,
    WrongCredentials,
)
from domain.event import CONNECTION_REFUSED
from domain.organization import OrgId, Role, UserId
from infrastructure.token_cipher import AesGcmTokenCipher, EncryptionKey
from leadport.container import Container
from tests.support.builders import NOON, SHOP_NUMBER, make_message, new_id
from tests.support.stored_rows import StoredRows

CANARY = "EAAGcanary0123456789"


def test_container_makes_every_object(container: Container) -> None:
    """Only the call finds a constructor that lacks an argument."""
    assert isinstance(container.use_cases(), UseCases)


async def test_operator_creates_organisations_and_members(
    operator_use_cases: UseCases, operator_transactions: Transactions
) -> None:
    shop = await operator_use_cases.create_organization(" Shop ", "Ana@Shop.example")
    other = await operator_use_cases.create_organization(
        "Other", "ana@shop.example", password="ignored"
    )
    eva = await operator_use_cases.add_member(shop.org_id, "eva@shop.example", Role.MEMBER)

    assert shop.password
    assert (other.user_id, other.password) == (shop.user_id, None)
    async with operator_transactions.begin(Operator()) as repos:
        roles = {
            user_id: [m.role for m in await repos.organizations.list_for_user(user_id)]
            for user_id in (shop.user_id, eva.user_id)
        }
        owner = await repos.users.find_by_email("ana@shop.example")
    assert roles == {shop.user_id: [Role.OWNER, Role.OWNER], eva.user_id: [Role.MEMBER]}
    assert owner
    assert owner.password_hash.startswith("$argon2id$")
    assert shop.password not in owner.password_hash


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
async def test_owners_and_admins_manage_connections(
    use_cases: UseCases, operator_use_cases: UseCases, role: Role
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    person = (await operator_use_cases.add_member(shop.org_id, "eva@shop.example", role)).user_id

    created, is_new = await use_cases.upsert_connection(
        shop.org_id,
        Channel.WHATSAPP,
        f" {SHOP_NUMBER} ",
        actor=SignedInUser(person),
        display_name=" Ventas ",
    )
    assert (created.external_id, created.display_name, created.is_enabled) == (
        SHOP_NUMBER,
        "Ventas",
        True,
    )
    assert is_new

    changed, is_new = await use_cases.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=SignedInUser(person), is_enabled=False
    )
    assert (changed.id, changed.display_name, changed.is_enabled) == (created.id, "Ventas", False)
    assert not is_new
    assert await use_cases.list_connections(shop.org_id, actor=SignedInUser(person)) == [
        (changed, ConnectionActivity())
    ]

    await use_cases.remove_connection(created.id, actor=SignedInUser(person))
    assert await use_cases.list_connections(shop.org_id, actor=SignedInUser(person)) == []
    with pytest.raises(NotFound):
        await use_cases.remove_connection(created.id, actor=SignedInUser(person))


@pytest.mark.parametrize("role", ["member", "owner of another", "no member"])
async def test_other_people_neither_see_nor_change_connections(
    use_cases: UseCases, operator_use_cases: UseCases, role: str
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    member = await operator_use_cases.add_member(shop.org_id, "eva@shop.example", Role.MEMBER)
    connection, _ = await operator_use_cases.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=Operator()
    )
    people = {"member": member.user_id, "owner of another": other.user_id}
    person = people.get(role, UserId(new_id()))

    with pytest.raises(Forbidden):
        await use_cases.list_connections(shop.org_id, actor=SignedInUser(person))
    with pytest.raises(Forbidden):
        await use_cases.upsert_connection(
            shop.org_id, Channel.INSTAGRAM, "1", actor=SignedInUser(person)
        )
    with pytest.raises(Forbidden):
        await use_cases.upsert_connection(
            shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=SignedInUser(person), is_enabled=False
        )
    with pytest.raises(NotFound):
        await use_cases.remove_connection(connection.id, actor=SignedInUser(person))

    assert await operator_use_cases.list_connections(shop.org_id, actor=Operator()) == [
        (connection, ConnectionActivity())
    ]


async def test_number_of_another_organisation_is_refused_without_its_name_and_logged(
    use_cases: UseCases, operator_use_cases: UseCases, stored_rows: StoredRows
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    await use_cases.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=SignedInUser(shop.user_id)
    )

    with pytest.raises(NumberConnectedElsewhere) as refusal:
        await use_cases.upsert_connection(
            other.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=SignedInUser(other.user_id)
        )
    await use_cases.upsert_connection(
        other.org_id,
        Channel.WHATSAPP,
        SHOP_NUMBER,
        actor=SignedInUser(other.user_id),
        is_enabled=False,
    )

    assert "Shop" not in str(refusal.value)
    (event,) = await stored_rows.events()
    assert (event.org_id, event.type) == (other.org_id, CONNECTION_REFUSED)
    assert event.payload == {
        "channel": "whatsapp",
        "external_id": SHOP_NUMBER,
        "user_id": str(other.user_id),
    }


async def test_activity_of_a_connection_shows_its_messages(
    use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    await use_cases.upsert_connection(
        shop.org_id, Channel.WHATSAPP, SHOP_NUMBER, actor=SignedInUser(shop.user_id)
    )

    counters = await use_cases.receive_delivery(
        MergedDelivery(messages=[make_message(), make_message(minute=1)], changes=[]), b"{}", NOON
    )

    assert counters.ingested == 2
    ((_, activity),) = await use_cases.list_connections(
        shop.org_id, actor=SignedInUser(shop.user_id)
    )
    assert activity.last_message_at is not None
    assert activity.last_message_at > NOON


async def test_person_sees_their_own_organisations(
    use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    other = await operator_use_cases.create_organization("Other", "leo@other.example")
    await operator_use_cases.add_member(other.org_id, "ana@shop.example", Role.ADMIN)

    memberships = await use_cases.list_organizations(SignedInUser(shop.user_id))

    assert [(m.organization.name, m.role) for m in memberships] == [
        ("Shop", Role.OWNER),
        ("Other", Role.ADMIN),
    ]
    assert await use_cases.list_organizations(SignedInUser(UserId(new_id()))) == []


async def test_access_token_is_encrypted_kept_and_removed(
    container: Container, use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")

    async def save(token: str | None, name: str | None = None) -> str | None:
        stored, _ = await use_cases.upsert_connection(
            shop.org_id,
            Channel.WHATSAPP,
            SHOP_NUMBER,
            actor=SignedInUser(shop.user_id),
            access_token=token,
            display_name=name,
        )
        assert CANARY not in repr(stored) + str(stored.access_token)
        if stored.access_token:
            assert container.token_cipher().decrypt(stored) == CANARY
        return stored.access_token_hint

    assert await save(CANARY) == "6789"
    assert await save(None, name="Ventas") == "6789"
    assert await save("") is None


async def test_rotated_tokens_need_no_old_key(
    operator_container: Container,
    operator_use_cases: UseCases,
    operator_transactions: Transactions,
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    for number in range(3):
        await operator_use_cases.upsert_connection(
            shop.org_id,
            Channel.WHATSAPP,
            str(number),
            actor=Operator(),
            access_token=f"{CANARY}{number}",
        )
    new, old = EncryptionKey.read("B" * 43), operator_container.settings().encryption_keys[0]

    rotate_keys = RotateKeys(operator_transactions, AesGcmTokenCipher([new, old]))

    assert await rotate_keys() == 3
    assert await rotate_keys() == 0
    for connection, _ in await operator_use_cases.list_connections(shop.org_id, actor=Operator()):
        assert AesGcmTokenCipher([new]).decrypt(connection) == CANARY + connection.external_id
        with pytest.raises(TokenDecryptionError):
            AesGcmTokenCipher([old]).decrypt(connection)


async def test_sign_in_starts_a_session_that_sign_out_ends(
    use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    assert shop.password

    token = await use_cases.sign_in(" Ana@shop.example", shop.password, client_ip="203.0.113.1")
    session = await use_cases.read_session(token)
    assert session.user_id == shop.user_id

    await use_cases.sign_out(session)
    await use_cases.sign_out(session)
    with pytest.raises(NotSignedIn):
        await use_cases.read_session(token)
    again = await use_cases.sign_in("ana@shop.example", shop.password, client_ip="203.0.113.1")
    assert (await use_cases.read_session(again)).user_id == shop.user_id


async def test_unknown_address_and_wrong_password_get_the_same_answer(
    use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    await operator_use_cases.create_organization("Shop", "ana@shop.example")

    answers = []
    for email in ("ana@shop.example", "unknown@shop.example", "", "x" * 10_000, "a\0@b"):
        with pytest.raises(WrongCredentials) as refusal:
            await use_cases.sign_in(email, "wrong", client_ip="203.0.113.1")
        answers.append(str(refusal.value))
    assert len(set(answers)) == 1


async def test_sign_in_attempts_are_limited_by_account_and_by_address(use_cases: UseCases) -> None:
    async def count_allowed(*attempts: tuple[str, str]) -> int:
        """Make the attempts, and count those that the throttle allows."""
        allowed = 0
        for email, address in attempts:
            with pytest.raises((WrongCredentials, TooManyAttempts)) as refusal:
                await use_cases.sign_in(email, "wrong", client_ip=address)
            if isinstance(refusal.value, TooManyAttempts):
                assert refusal.value.retry_after > 0
            else:
                allowed += 1
        return allowed

    assert await count_allowed(*[("ana@shop.example", f"203.0.113.{n}") for n in range(12)]) == 10
    assert await count_allowed(*[(f"{n}@shop.example", "198.51.100.1") for n in range(32)]) == 30


@dataclass
class SlowPasswordHasher(PasswordHasher):
    """Verifies nothing, in 10 ms, and counts the verifications that run at one time."""

    running: int = 0
    max_running: int = 0

    def hash(self, password: str) -> str:
        raise NotImplementedError(password)

    def verify(self, password: str, password_hash: str | None) -> bool:
        assert (password, password_hash) == ("wrong", None)
        self.running += 1
        self.max_running = max(self.max_running, self.running)
        time.sleep(0.01)
        self.running -= 1
        return False


async def test_passwords_are_verified_one_at_a_time(
    use_cases: UseCases,
) -> None:
    """Each verification takes memory and time that deliveries need."""
    hasher = SlowPasswordHasher()
    sign_in = replace(use_cases.sign_in, passwords=hasher)
    attempts = (sign_in(f"{n}@shop.example", "wrong", client_ip="203.0.113.1") for n in range(5))

    results = await asyncio.gather(*attempts, return_exceptions=True)

    assert [type(result) for result in results] == [WrongCredentials] * 5
    assert hasher.max_running == 1


async def test_operator_resets_passwords_and_issues_tokens(
    use_cases: UseCases, operator_use_cases: UseCases
) -> None:
    shop = await operator_use_cases.create_organization("Shop", "ana@shop.example")
    assert shop.password

    new = await operator_use_cases.reset_password("ANA@shop.example")
    token = await operator_use_cases.issue_token("ana@shop.example")

    assert (await use_cases.read_session(token)).user_id == shop.user_id
    with pytest.raises(WrongCredentials):
        await use_cases.sign_in("ana@shop.example", shop.password, client_ip="203.0.113.1")
    await use_cases.sign_in("ana@shop.example", new, client_ip="203.0.113.1")
    for use_case in (operator_use_cases.reset_password, operator_use_cases.issue_token):
        with pytest.raises(NotFound):
            await use_case("unknown@shop.example")


async def test_missing_objects_are_not_found_and_invalid_input_is_refused(
    operator_use_cases: UseCases,
) -> None:
    unknown = OrgId(new_id())

    for call in (
        operator_use_cases.list_connections(unknown, actor=Operator()),
        operator_use_cases.upsert_connection(unknown, Channel.WHATSAPP, "1", actor=Operator()),
        operator_use_cases.add_member(unknown, "ana@shop.example", Role.OWNER),
        operator_use_cases.remove_connection(ConnectionId(new_id()), actor=Operator()),
    ):
        with pytest.raises(NotFound):
            await call
    for invalid_call in (
        operator_use_cases.create_organization(" ", "a@b"),
        operator_use_cases.create_organization("Shop", "ana"),
        operator_use_cases.upsert_connection(
            unknown, Channel.WHATSAPP, "1", actor=Operator(), access_token="a b"
        ),
    ):
        with pytest.raises(InvalidInput):
            await invalid_call
