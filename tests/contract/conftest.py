"""The whole service over each storage: only a setting differs."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dependency_injector.providers import Object
from litestar import Litestar
from litestar.testing import TestClient

from application.ingestion.delivery_queue import DeliveryTimeouts
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.storage import Transactions
from application.use_cases import UseCases
from domain.failed_message import FailedMessage
from domain.organization import OrgId
from infrastructure.spool import SqliteSpool
from leadport.container import Container
from tests.deliveries.harness import open_webhook_harness
from tests.support.app import (
    Command,
    Deliver,
    close_pools,
    create_connected_shop,
    make_app,
    make_command,
    make_container,
    make_deliver,
    make_operator_container,
)
from tests.support.builders import ONE_FAILED, StoppedClock
from tests.support.failing_storage import FailingTransactions
from tests.support.items import make_text_item
from tests.support.posting import PostingHarness, connect_all_numbers
from tests.support.stored_rows import StoredRows, open_stored_rows


@pytest.fixture(params=["memory", "postgres"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """The container of the service, over each storage in turn."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else None
    return make_container(request.param, tmp_path, url)


@pytest.fixture
def operator_container(container: Container) -> Container:
    """The container of operators' commands, over the storage of the service."""
    return make_operator_container(container)


@pytest.fixture
def storage(container: Container) -> FailingTransactions:
    """The storage of the service, which a test can make fail."""
    storage = FailingTransactions(container.transactions())
    container.transactions.override(Object(storage))
    return storage


@pytest.fixture
def clock(container: Container) -> StoppedClock:
    """The clock of the service, which stands at noon until a test moves it."""
    clock = StoppedClock()
    container.clock.override(Object(clock))
    return clock


@pytest.fixture
async def use_cases(container: Container) -> AsyncIterator[UseCases]:
    """The use cases of the service."""
    yield container.use_cases()
    await close_pools(container)


@pytest.fixture
async def operator_use_cases(operator_container: Container) -> AsyncIterator[UseCases]:
    """The use cases of operators' commands."""
    yield operator_container.use_cases()
    await close_pools(operator_container)


@pytest.fixture
def operator_transactions(
    operator_container: Container,
    operator_use_cases: UseCases,  # noqa: ARG001 - it closes the pools
) -> Transactions:
    """Transactions in which an operator may act, over the storage of the service."""
    transactions: Transactions = operator_container.transactions()
    return transactions


@pytest.fixture
def stored_rows(operator_transactions: Transactions) -> StoredRows:
    """The rows in the storage of the service."""
    return open_stored_rows(operator_transactions)


@pytest.fixture
def spool(container: Container) -> SqliteSpool:
    """The spool of the service."""
    spool = container.spool()
    assert isinstance(spool, SqliteSpool)
    return spool


@pytest.fixture
async def shop(operator_use_cases: UseCases) -> OrgId:
    """An organisation that has connected SHOP_NUMBER."""
    return await create_connected_shop(operator_use_cases)


@pytest.fixture
def receive_delivery(
    storage: FailingTransactions,  # noqa: ARG001 - the use cases must be made over it
    clock: StoppedClock,  # noqa: ARG001 - likewise
    use_cases: UseCases,
) -> ReceiveDelivery:
    """The use case that stores or spools a delivery, over a storage that can be made to fail."""
    return use_cases.receive_delivery


@pytest.fixture
def deliver(
    container: Container, clock: StoppedClock, receive_delivery: ReceiveDelivery
) -> Deliver:
    """Delivers items of WhatsApp to the use case, without HTTP and signature."""
    return make_deliver(container, receive_delivery, clock)


@pytest.fixture
def short_timeout_deliver(
    container: Container, clock: StoppedClock, receive_delivery: ReceiveDelivery
) -> Deliver:
    """Delivers as `deliver` does, but gives up a silent storage after 10 ms."""
    timeouts = DeliveryTimeouts(container.breaker(), silent_seconds=0.01)
    return make_deliver(container, replace(receive_delivery, timeouts=timeouts), clock)


@pytest.fixture
async def failure(
    deliver: Deliver, storage: FailingTransactions, shop: OrgId, operator_use_cases: UseCases
) -> FailedMessage:
    """A failed message: the storage refused it, and would store it now."""
    storage.rejected_words = {"poison"}
    counters = await deliver(make_text_item("poison"))
    storage.rejected_words = set()
    assert counters == ONE_FAILED
    (failure,) = await operator_use_cases.list_failed_messages(shop)
    return failure


@pytest.fixture
def leadport(container: Container) -> Command:
    """Runs commands of the command line."""
    return make_command(container)


@pytest.fixture
def client(container: Container, operator_container: Container) -> Iterator[TestClient[Litestar]]:
    """A client of the HTTP application."""
    with TestClient(make_app(container, operator_container)) as client:
        yield client


@pytest.fixture(scope="module")
def memory_harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostingHarness]:
    """The webhook endpoint over memory, with all numbers connected."""
    with open_webhook_harness("memory", tmp_path_factory.mktemp("leadport"), None) as webhook:
        yield connect_all_numbers(webhook)


@pytest.fixture(scope="module")
def postgres_harness(
    migrated_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostingHarness]:
    """The webhook endpoint over PostgreSQL, with all numbers connected."""
    folder = tmp_path_factory.mktemp("leadport")
    with open_webhook_harness("postgres", folder, migrated_url) as webhook:
        yield connect_all_numbers(webhook)
