"""Tests that each message answered with 200 is stored once and in its place, under every fault."""

import asyncio
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.faults import faults
from tests.faults.disks import MountedDisk
from tests.faults.environment import FaultEnvironment, open_fault_environment
from tests.faults.reconciliation import Ledger, count_spooled, reconcile
from tests.faults.servers import Postgres, wait_until
from tests.faults.workload import Load, Workload

log = logging.getLogger(__name__)

SHORT_TEST_TIMEOUT_SECONDS = 120
"""Limit for the load and the faults of a test that is not marked `long`."""

LONG_TEST_SECONDS = float(os.environ.get("FAULTS_SECONDS", "600"))
"""Length of the test that is marked `long`."""

MIN_FAULTS_IN_TEN_MINUTES = 40


def make_random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - no secret


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with open_fault_environment(tmp_path_factory.mktemp("logs"), make_random(5)) as built:
        yield built


@pytest.fixture
def load(env: FaultEnvironment) -> Load:
    return make_load(env)


def make_load(env: FaultEnvironment) -> Load:
    """Make a load for organisations of its own, once the service is ready."""
    wait_until(lambda: env.service.is_answering("/readyz"), "the service is ready")
    return Load(env.service.url, Workload.build(env.primary, env.random))


async def run_fault(
    env: FaultEnvironment, load: Load, fault: Callable[..., None], **options: float
) -> Ledger:
    """Cause the fault under load; return the ledger, which must have no flaw."""
    async with asyncio.timeout(SHORT_TEST_TIMEOUT_SECONDS), load.run():
        await asyncio.sleep(0.5)
        await asyncio.to_thread(fault, env, **options)
        await asyncio.sleep(0.5)
    return await reconcile_load(env, load, fault.__name__.replace("_", " "))


async def reconcile_load(env: FaultEnvironment, load: Load, title: str) -> Ledger:
    return await asyncio.to_thread(reconcile, load, env.service, env.primary, title)


@contextmanager
def take_down(server: Postgres) -> Iterator[None]:
    """Crash the server and start it again when the block ends."""
    server.stop("immediate")
    try:
        yield
    finally:
        server.start()


async def test_no_answered_message_is_lost_when_the_service_is_killed(
    env: FaultEnvironment, load: Load
) -> None:
    await run_fault(env, load, faults.kill_service)


async def test_every_delivery_is_answered_with_200_while_postgresql_crashes(
    env: FaultEnvironment, load: Load
) -> None:
    ledger = await run_fault(env, load, faults.crash_postgres)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_every_delivery_is_answered_with_200_while_postgresql_is_frozen(
    env: FaultEnvironment, load: Load
) -> None:
    ledger = await run_fault(env, load, faults.freeze_postgres, seconds=4)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_no_message_is_lost_or_doubled_when_connections_are_reset_at_commit(
    env: FaultEnvironment, load: Load
) -> None:
    await run_fault(env, load, faults.reset_commits, seconds=2)

    assert sum(proxy.broken_commits for proxy in env.proxies)
    assert set(load.answers) == {"200"}


async def test_every_delivery_is_answered_with_200_while_the_disk_of_postgresql_is_full(
    env: FaultEnvironment, load: Load
) -> None:
    await run_fault(env, load, faults.fill_postgres_disk, seconds=3)

    assert set(load.answers) == {"200"}


async def test_deliveries_are_answered_with_503_while_the_disk_of_the_spool_is_full(
    env: FaultEnvironment, load: Load
) -> None:
    await run_fault(env, load, faults.fill_spool_disk)

    assert set(load.answers) == {"200", "503"}


async def test_every_delivery_is_answered_with_200_while_a_standby_replaces_the_primary(
    env: FaultEnvironment, load: Load
) -> None:
    env.ensure_standby()

    ledger = await run_fault(env, load, faults.lose_primary)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_messages_that_only_a_lost_primary_committed_are_stored_after_the_failover(
    env: FaultEnvironment, load: Load
) -> None:
    env.ensure_standby()
    env.standby.stop_replication()
    for posted in (load.workload.make_single(), load.workload.make_batch()):
        answer, _ = await load.post(posted)
        assert answer.status_code == 200
    await asyncio.sleep(faults.SECONDS_BEFORE_FAIL_OVER)
    env.fail_over()

    await reconcile_load(env, load, "what the lost primary committed alone")


async def test_every_delivery_is_answered_with_200_while_the_clock_steps_back(
    env: FaultEnvironment, load: Load
) -> None:
    await run_fault(env, load, faults.step_clock_back)

    assert set(load.answers) == {"200"}


async def test_without_postgresql_each_of_200_deliveries_is_answered_within_2_seconds(
    env: FaultEnvironment, load: Load
) -> None:
    with take_down(env.primary):
        deliveries = [load.workload.make_single() for _ in range(200)]
        answers = await load.post_all(deliveries)

    assert {answer.status_code for answer, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 2
    ledger = await reconcile_load(env, load, "200 POSTs without PostgreSQL")
    assert (ledger.answered, ledger.deferred, ledger.stored) == (200, 200, 200)


async def test_a_delivery_refused_by_a_full_spool_disk_is_accepted_once_there_is_room(
    env: FaultEnvironment, load: Load
) -> None:
    with take_down(env.primary):
        refused = load.workload.make_single()
        with env.spool_disk.fill():
            answer, _ = await load.post(refused)
            assert_problem(answer)
        answer, _ = await load.post(refused)
        assert answer.json() == {"received": 1, "ingested": 0, "skipped": 0, "failed": 1}

    await reconcile_load(env, load, "no room, then room")


async def test_a_delivery_refused_by_a_full_spool_is_accepted_once_it_is_drained(
    env: FaultEnvironment, load: Load
) -> None:
    with take_down(env.primary):
        for _ in range(20):
            refused = load.workload.make_delivery(*["long " * 800] * 200)
            answer, _ = await load.post(refused)
            if answer.status_code != 200:
                break
        assert_problem(answer)

    wait_until(lambda: count_spooled(env.service) == 0, "the spool is drained")
    answer, _ = await load.post(refused)
    assert answer.status_code == 200
    await reconcile_load(env, load, "the spool reached its size")


async def test_the_spool_is_drained_although_its_disk_is_full(
    env: FaultEnvironment, load: Load
) -> None:
    with ExitStack() as stack:
        with take_down(env.primary):
            answers = await load.post_all([load.workload.make_single() for _ in range(100)])
            assert {answer.status_code for answer, _ in answers} == {200}
            # Before PostgreSQL is back: a fill during the draining would take the freed reserve.
            stack.enter_context(env.spool_disk.fill())

        if isinstance(env.spool_disk, MountedDisk):
            wait_until(lambda: count_spooled(env.service) == 0, "the spool is drained", 10)
    await reconcile_load(env, load, "the spool's disk is full when PostgreSQL is back")


async def test_a_spool_of_large_deliveries_is_drained(env: FaultEnvironment, load: Load) -> None:
    with take_down(env.primary):
        deliveries = [load.workload.make_delivery(*["short"] * 1000) for _ in range(6)]
        answers = await load.post_all(deliveries, concurrency=2)
        assert {answer.status_code for answer, _ in answers} == {200}

    await reconcile_load(env, load, "large deliveries in the spool")


def assert_problem(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 503


CREATE_REFUSING_TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.body = 'poison' THEN
        RAISE EXCEPTION 'this text is refused: %', NEW.body;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON conversation_messages
FOR EACH ROW EXECUTE FUNCTION refuse()
"""


async def test_a_refused_message_is_kept_for_a_retry_and_its_neighbours_are_stored(
    env: FaultEnvironment, load: Load
) -> None:
    env.primary.execute(CREATE_REFUSING_TRIGGER)
    posted = load.workload.make_delivery("one", "two", "poison", "four")
    try:
        answer, _ = await load.post(posted)
        assert answer.json() == {"received": 4, "ingested": 3, "skipped": 0, "failed": 1}
        (listed,) = json.loads(env.service.command("failed", "list", "--json"))
        failed_retry = json.loads(env.service.command("failed", "retry", "--all", "--json"))
    finally:
        env.primary.execute("DROP FUNCTION refuse CASCADE")

    assert listed["org_id"] == str(posted.messages[2].number.org_id)
    assert "poison" not in json.dumps(listed)
    assert failed_retry == {"tried": 1, "resolved": 0, "failed": 1}
    later_retry = json.loads(env.service.command("failed", "retry", "--all", "--json"))
    assert later_retry == {"tried": 1, "resolved": 1, "failed": 0}
    ledger = await reconcile_load(env, load, "one of four is refused, and retried")
    assert ledger.stored == 4


@pytest.mark.long
async def test_ten_minutes_of_random_faults_lose_no_answered_message(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULTS_SEED", time.time_ns() % 1_000_000))
    random, fault_counts = make_random(seed), Counter[str]()
    with open_fault_environment(tmp_path, make_random(seed)) as env:
        load = make_load(env)
        env.ensure_standby()
        end = time.monotonic() + LONG_TEST_SECONDS
        async with (
            asyncio.timeout(LONG_TEST_SECONDS + SHORT_TEST_TIMEOUT_SECONDS),
            load.run(timeout_seconds=60),
        ):
            while time.monotonic() < end:
                for fault in random.sample(faults.FAULTS, k=len(faults.FAULTS)):
                    log.info("%s, %.0f s to go", fault.__name__, end - time.monotonic())
                    if time.monotonic() < end:
                        await asyncio.to_thread(fault, env)
                        fault_counts[fault.__name__.replace("_", " ")] += 1
                        await asyncio.sleep(random.uniform(0.5, 2))
        counts = ", ".join(f"{name} {count}" for name, count in sorted(fault_counts.items()))
        title = f"{LONG_TEST_SECONDS:.0f} s, {fault_counts.total()} faults (seed {seed}: {counts})"
        await reconcile_load(env, load, title)
    if LONG_TEST_SECONDS >= 600:
        assert fault_counts.total() >= MIN_FAULTS_IN_TEN_MINUTES
        assert len(fault_counts) == len(faults.FAULTS)
