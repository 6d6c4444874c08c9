"""The faults. Each breaks something for a moment, and heals it before it returns."""

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.faults.environment import FaultEnvironment

Fault = Callable[[FaultEnvironment], None]

FROZEN_SECONDS = 10
DAY = 86400


def the_service_is_killed(fault_environment: FaultEnvironment) -> None:
    fault_environment.service.kill()
    _pause(fault_environment, 1)
    fault_environment.service.start()


def a_worker_is_killed(fault_environment: FaultEnvironment) -> None:
    fault_environment.service.kill_a_worker()


def the_service_is_replaced(fault_environment: FaultEnvironment) -> None:
    fault_environment.service.restart()


def postgresql_crashes(fault_environment: FaultEnvironment) -> None:
    fault_environment.primary.stop("immediate")
    _pause(fault_environment, 3)
    fault_environment.primary.start()


def the_service_is_killed_while_postgresql_is_away(fault_environment: FaultEnvironment) -> None:
    fault_environment.primary.stop("immediate")
    _pause(fault_environment, 3)
    the_service_is_killed(fault_environment)
    fault_environment.primary.start()


def postgresql_is_frozen(
    fault_environment: FaultEnvironment, seconds: float = FROZEN_SECONDS
) -> None:
    with fault_environment.primary.frozen():
        time.sleep(seconds)


def the_service_is_replaced_while_postgresql_is_frozen(fault_environment: FaultEnvironment) -> None:
    with fault_environment.primary.frozen():
        _pause(fault_environment, 3)
        fault_environment.service.restart()


def commits_are_reset(fault_environment: FaultEnvironment, seconds: float = 4) -> None:
    for proxy in fault_environment.proxies:
        proxy.share = 0.3
    time.sleep(seconds)
    for proxy in fault_environment.proxies:
        proxy.share = 0.0


def connections_are_reset(fault_environment: FaultEnvironment) -> None:
    for _ in range(5):
        for proxy in fault_environment.proxies:
            proxy.reset_all()
        _pause(fault_environment, 1)


def the_disk_of_the_spool_is_full(fault_environment: FaultEnvironment) -> None:
    fault_environment.primary.stop("immediate")
    with fault_environment.spool_disk.full():
        _pause(fault_environment, 4)
    _pause(fault_environment, 1)
    fault_environment.primary.start()


def the_disk_of_postgresql_is_full(fault_environment: FaultEnvironment, seconds: float = 4) -> None:
    """Whatever it does then: it refuses to write, or it cannot write its log and crashes."""
    crashes = fault_environment.random.random() < 0.7
    until = time.monotonic() + seconds
    with fault_environment.disks[fault_environment.primary].full():
        while time.monotonic() < until:
            time.sleep(0.3)
            if crashes:
                with suppress(psycopg.Error):
                    fault_environment.primary.execute("SELECT pg_switch_wal()")
    fault_environment.primary.start_if_down()


def the_primary_is_lost(fault_environment: FaultEnvironment) -> None:
    fault_environment.have_a_standby()
    fault_environment.fail_over()
    fault_environment.have_a_standby()


def the_primary_is_lost_after_its_standby_was_cut_off(fault_environment: FaultEnvironment) -> None:
    """Nothing that the primary committed alone was ever confirmed, so the standby lacks nothing."""
    fault_environment.have_a_standby()
    fault_environment.standby.cut_off()
    time.sleep(6)
    fault_environment.fail_over()
    fault_environment.have_a_standby()


def the_clock_steps_back(fault_environment: FaultEnvironment) -> None:
    fault_environment.clock.step(-fault_environment.random.choice([1, 60, 3600, 3 * DAY]))
    _pause(fault_environment, 4)
    fault_environment.clock.step(0)


FAULTS: tuple[Fault, ...] = (
    the_service_is_killed,
    a_worker_is_killed,
    the_service_is_replaced,
    postgresql_crashes,
    the_service_is_killed_while_postgresql_is_away,
    postgresql_is_frozen,
    the_service_is_replaced_while_postgresql_is_frozen,
    commits_are_reset,
    connections_are_reset,
    the_disk_of_the_spool_is_full,
    the_disk_of_postgresql_is_full,
    the_primary_is_lost,
    the_primary_is_lost_after_its_standby_was_cut_off,
    the_clock_steps_back,
)


def _pause(fault_environment: FaultEnvironment, longest: float) -> None:
    time.sleep(fault_environment.random.uniform(longest / 4, longest))
