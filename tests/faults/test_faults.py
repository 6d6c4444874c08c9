"""Whatever breaks: what was answered with 200 is stored, once and where it belongs."""

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
"""Seconds that a short test may take at most."""

LONG_TEST_SECONDS = float(os.environ.get("FAULTS_SECONDS", "600"))
MIN_FAULTS_IN_TEN_MINUTES = 40


def seeded_random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - no secret


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultEnvironment]:
    with open_fault_environment(tmp_path_factory.mktemp("house"), seeded_random(5)) as built:
        yield built


@pytest.fixture
def load(env: FaultEnvironment) -> Load:
    return make_load(env)


def make_load(env: FaultEnvironment) -> Load:
    wait_until(lambda: env.service.is_answering("/readyz"), "the service is ready")
    return Load(env.service.url, Workload.build(env.primary, env.random))


async def run_faults(
    env: FaultEnvironment, load: Load, *faults: Callable[[FaultEnvironment], None]
) -> Ledger:
    async with asyncio.timeout(SHORT_TEST_TIMEOUT_SECONDS), load.run():
        for fault in faults:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(fault, env)
        await asyncio.sleep(0.5)
    title = ", ".join(fault.__name__.replace("_", " ") for fault in faults)
    return await reconcile_load(env, load, title)


async def reconcile_load(env: FaultEnvironment, load: Load, title: str) -> Ledger:
    return await asyncio.to_thread(reconcile, load, env.service, env.primary, title)


@contextmanager
def crashed(server: Postgres) -> Iterator[None]:
    server.stop("immediate")
    try:
        yield
    finally:
        server.start()


async def test_the_service_is_killed(env: FaultEnvironment, load: Load) -> None:
    await run_faults(env, load, faults.kill_service)


async def test_postgresql_crashes(env: FaultEnvironment, load: Load) -> None:
    ledger = await run_faults(env, load, faults.crash_postgres)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_postgresql_is_frozen(env: FaultEnvironment, load: Load) -> None:
    def freeze_postgres(env: FaultEnvironment) -> None:
        faults.freeze_postgres(env, seconds=4)

    ledger = await run_faults(env, load, freeze_postgres)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_connections_are_reset_in_the_middle_of_a_commit(
    env: FaultEnvironment, load: Load
) -> None:
    def reset_commits(env: FaultEnvironment) -> None:
        faults.reset_commits(env, seconds=2)

    await run_faults(env, load, reset_commits)

    assert sum(proxy.broken_commits for proxy in env.proxies)
    assert set(load.answers) == {"200"}


async def test_the_disk_of_postgresql_is_full(env: FaultEnvironment, load: Load) -> None:
    def fill_postgres_disk(env: FaultEnvironment) -> None:
        faults.fill_postgres_disk(env, seconds=3)

    await run_faults(env, load, fill_postgres_disk)

    assert set(load.answers) == {"200"}


async def test_the_disk_of_the_spool_is_full(env: FaultEnvironment, load: Load) -> None:
    await run_faults(env, load, faults.fill_spool_disk)

    assert set(load.answers) == {"200", "503"}


async def test_the_primary_is_lost_and_a_standby_takes_its_place(
    env: FaultEnvironment, load: Load
) -> None:
    env.ensure_standby()

    ledger = await run_faults(env, load, faults.lose_primary)

    assert ledger.deferred
    assert set(load.answers) == {"200"}


async def test_what_a_lost_primary_committed_alone_is_not_taken_for_stored(
    env: FaultEnvironment, load: Load
) -> None:
    env.ensure_standby()
    env.standby.stop_replication()
    for posted in (load.workload.make_single(), load.workload.make_batch()):
        answer, _ = await load.post(posted)
        assert answer.status_code == 200
    await asyncio.sleep(6)
    env.fail_over()

    await reconcile_load(env, load, "what the lost primary committed alone")


async def test_the_clock_steps_back(env: FaultEnvironment, load: Load) -> None:
    await run_faults(env, load, faults.step_clock_back)

    assert set(load.answers) == {"200"}


async def test_without_postgresql_each_of_200_posts_is_answered_in_time(
    env: FaultEnvironment, load: Load
) -> None:
    with crashed(env.primary):
        every = [load.workload.make_single() for _ in range(200)]
        answers = await load.post_all(every)

    assert {answer.status_code for answer, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 2
    ledger = await reconcile_load(env, load, "200 POSTs without PostgreSQL")
    assert (ledger.answered, ledger.deferred, ledger.stored) == (200, 200, 200)


async def test_a_full_disk_of_the_spool_is_a_503_until_there_is_room(
    env: FaultEnvironment, load: Load
) -> None:
    with crashed(env.primary):
        refused = load.workload.make_single()
        with env.spool_disk.fill():
            answer, _ = await load.post(refused)
            assert_problem(answer)
        answer, _ = await load.post(refused)
        assert answer.json() == {"received": 1, "ingested": 0, "skipped": 0, "failed": 1}

    await reconcile_load(env, load, "no room, then room")


async def test_a_spool_of_its_largest_size_is_a_503_until_it_is_emptied(
    env: FaultEnvironment, load: Load
) -> None:
    with crashed(env.primary):
        for _ in range(20):
            refused = load.workload.make_delivery(*["long " * 800] * 200)
            answer, _ = await load.post(refused)
            if answer.status_code != 200:
                break
        assert_problem(answer)

    wait_until(lambda: count_spooled(env.service) == 0, "the spool is emptied")
    answer, _ = await load.post(refused)
    assert answer.status_code == 200
    await reconcile_load(env, load, "the spool reached its size")


async def test_a_spool_on_a_full_disk_is_emptied_all_the_same(
    env: FaultEnvironment, load: Load
) -> None:
    with ExitStack() as stack:
        with crashed(env.primary):
            answers = await load.post_all([load.workload.make_single() for _ in range(100)])
            assert {answer.status_code for answer, _ in answers} == {200}
            # Before it is back: what is still being filled would take the room kept for emptying.
            stack.enter_context(env.spool_disk.fill())

        if isinstance(env.spool_disk, MountedDisk):
            wait_until(lambda: count_spooled(env.service) == 0, "the spool is emptied", 10)
    await reconcile_load(env, load, "the spool's disk is full when PostgreSQL is back")


async def test_a_spool_of_large_deliveries_is_emptied(env: FaultEnvironment, load: Load) -> None:
    with crashed(env.primary):
        every = [load.workload.make_delivery(*["short"] * 1000) for _ in range(6)]
        answers = await load.post_all(every, at_once=2)
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


async def test_what_cannot_be_stored_is_kept_and_its_neighbours_are_stored(
    env: FaultEnvironment, load: Load
) -> None:
    env.primary.execute(CREATE_REFUSING_TRIGGER)
    posted = load.workload.make_delivery("one", "two", "poison", "four")
    try:
        answer, _ = await load.post(posted)
        assert answer.json() == {"received": 4, "ingested": 3, "skipped": 0, "failed": 1}
        (listed,) = json.loads(env.service.command("failed", "list", "--json"))
        again = json.loads(env.service.command("failed", "retry", "--all", "--json"))
    finally:
        env.primary.execute("DROP FUNCTION refuse CASCADE")

    assert listed["org_id"] == str(posted.messages[2].number.org_id)
    assert "poison" not in json.dumps(listed)
    assert again == {"tried": 1, "resolved": 0, "failed": 1}
    resolved = json.loads(env.service.command("failed", "retry", "--all", "--json"))
    assert resolved == {"tried": 1, "resolved": 1, "failed": 0}
    ledger = await reconcile_load(env, load, "one of four is refused, and retried")
    assert ledger.stored == 4


@pytest.mark.long
async def test_ten_minutes_of_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("FAULTS_SEED", time.time_ns() % 1_000_000))
    random, fault_counts = seeded_random(seed), Counter[str]()
    with open_fault_environment(tmp_path, seeded_random(seed)) as env:
        load = make_load(env)
        env.ensure_standby()
        end = time.monotonic() + LONG_TEST_SECONDS
        async with (
            asyncio.timeout(LONG_TEST_SECONDS + SHORT_TEST_TIMEOUT_SECONDS),
            load.run(patience=60),
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
