"""The faults: each function breaks one thing for some seconds and repairs it before it returns."""

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.faults.environment import FaultEnvironment

Fault = Callable[[FaultEnvironment], None]

FREEZE_SECONDS = 10
DAY_SECONDS = 86400
SECONDS_BEFORE_FAIL_OVER = 6
"""Longer than the 4 s of a transaction, so that all that waited for the standby was spooled."""
STEP_BACK_SECONDS = (1, 60, 3600, 3 * DAY_SECONDS)


def kill_service(env: FaultEnvironment) -> None:
    env.service.kill()
    _pause(env, 1)
    env.service.start()


def kill_worker(env: FaultEnvironment) -> None:
    env.service.kill_worker()


def restart_service(env: FaultEnvironment) -> None:
    env.service.restart()


def crash_postgres(env: FaultEnvironment) -> None:
    env.primary.stop("immediate")
    _pause(env, 3)
    env.primary.start()


def kill_service_while_postgres_is_down(env: FaultEnvironment) -> None:
    env.primary.stop("immediate")
    _pause(env, 3)
    kill_service(env)
    env.primary.start()


def freeze_postgres(env: FaultEnvironment, seconds: float = FREEZE_SECONDS) -> None:
    with env.primary.freeze():
        time.sleep(seconds)


def restart_service_while_postgres_is_frozen(env: FaultEnvironment) -> None:
    with env.primary.freeze():
        _pause(env, 3)
        env.service.restart()


def reset_commits(env: FaultEnvironment, seconds: float = 4) -> None:
    """Reset the connection of three commits in ten, before or after PostgreSQL has received it."""
    for proxy in env.proxies:
        proxy.broken_commit_share = 0.3
    time.sleep(seconds)
    for proxy in env.proxies:
        proxy.broken_commit_share = 0.0


def reset_connections(env: FaultEnvironment) -> None:
    for _ in range(5):
        for proxy in env.proxies:
            proxy.reset_all()
        _pause(env, 1)


def fill_spool_disk(env: FaultEnvironment) -> None:
    """Fill the spool's disk while PostgreSQL is down."""
    env.primary.stop("immediate")
    with env.spool_disk.fill():
        _pause(env, 4)
    _pause(env, 1)
    env.primary.start()


def fill_postgres_disk(env: FaultEnvironment, seconds: float = 4) -> None:
    """Fill PostgreSQL's disk.

    In seven cases of ten new log segments are requested as well, which cannot be written, so the
    server crashes. Otherwise it refuses writes as they come.
    """
    needs_segments = env.random.random() < 0.7
    end = time.monotonic() + seconds
    with env.disks[env.primary].fill():
        while time.monotonic() < end:
            time.sleep(0.3)
            if needs_segments:
                with suppress(psycopg.Error):
                    env.primary.execute("SELECT pg_switch_wal()")
    env.primary.start_if_down()


def lose_primary(env: FaultEnvironment) -> None:
    env.ensure_standby()
    env.fail_over()
    env.ensure_standby()


def lose_primary_after_replication_stopped(env: FaultEnvironment) -> None:
    """Stop replication, then lose the primary.

    Replication is synchronous: a commit that only the primary has was not confirmed to the service,
    so the standby lacks no confirmed message.
    """
    env.ensure_standby()
    env.standby.stop_replication()
    time.sleep(SECONDS_BEFORE_FAIL_OVER)
    env.fail_over()
    env.ensure_standby()


def step_clock_back(env: FaultEnvironment) -> None:
    """Set the service's clock back by up to three days, and forward again after some seconds."""
    env.clock.step(-env.random.choice(STEP_BACK_SECONDS))
    _pause(env, 4)
    env.clock.step(0)


FAULTS: tuple[Fault, ...] = (
    kill_service,
    kill_worker,
    restart_service,
    crash_postgres,
    kill_service_while_postgres_is_down,
    freeze_postgres,
    restart_service_while_postgres_is_frozen,
    reset_commits,
    reset_connections,
    fill_spool_disk,
    fill_postgres_disk,
    lose_primary,
    lose_primary_after_replication_stopped,
    step_clock_back,
)


def _pause(env: FaultEnvironment, max_seconds: float) -> None:
    time.sleep(env.random.uniform(max_seconds / 4, max_seconds))
