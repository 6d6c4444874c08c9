"""The faults. Each breaks something for a moment, and heals it before it returns."""

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.faults.environment import FaultEnvironment

Fault = Callable[[FaultEnvironment], None]

FREEZE_SECONDS = 10
DAY_SECONDS = 86400


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
    env.primary.stop("immediate")
    with env.spool_disk.fill():
        _pause(env, 4)
    _pause(env, 1)
    env.primary.start()


def fill_postgres_disk(env: FaultEnvironment, seconds: float = 4) -> None:
    """Whatever it does then: it refuses to write, or it cannot write its log and crashes."""
    crashes = env.random.random() < 0.7
    until = time.monotonic() + seconds
    with env.disks[env.primary].fill():
        while time.monotonic() < until:
            time.sleep(0.3)
            if crashes:
                with suppress(psycopg.Error):
                    env.primary.execute("SELECT pg_switch_wal()")
    env.primary.start_if_down()


def lose_primary(env: FaultEnvironment) -> None:
    env.ensure_standby()
    env.fail_over()
    env.ensure_standby()


def lose_primary_after_replication_stopped(env: FaultEnvironment) -> None:
    """Nothing that the primary committed alone was ever confirmed, so the standby lacks nothing."""
    env.ensure_standby()
    env.standby.stop_replication()
    time.sleep(6)
    env.fail_over()
    env.ensure_standby()


def step_clock_back(env: FaultEnvironment) -> None:
    env.clock.step(-env.random.choice([1, 60, 3600, 3 * DAY_SECONDS]))
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


def _pause(env: FaultEnvironment, longest: float) -> None:
    time.sleep(env.random.uniform(longest / 4, longest))
