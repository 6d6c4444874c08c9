"""The faults. Each breaks something for a moment, and heals it before it returns."""

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.faults.environment import House

Fault = Callable[[House], None]

FROZEN_SECONDS = 10
DAY = 86400


def the_service_is_killed(house: House) -> None:
    house.service.kill()
    _pause(house, 1)
    house.service.start()


def a_worker_is_killed(house: House) -> None:
    house.service.kill_a_worker()


def the_service_is_replaced(house: House) -> None:
    house.service.restart()


def postgresql_crashes(house: House) -> None:
    house.primary.stop("immediate")
    _pause(house, 3)
    house.primary.start()


def the_service_is_killed_while_postgresql_is_away(house: House) -> None:
    house.primary.stop("immediate")
    _pause(house, 3)
    the_service_is_killed(house)
    house.primary.start()


def postgresql_is_frozen(house: House, seconds: float = FROZEN_SECONDS) -> None:
    with house.primary.frozen():
        time.sleep(seconds)


def the_service_is_replaced_while_postgresql_is_frozen(house: House) -> None:
    with house.primary.frozen():
        _pause(house, 3)
        house.service.restart()


def commits_are_reset(house: House, seconds: float = 4) -> None:
    for proxy in house.proxies:
        proxy.share = 0.3
    time.sleep(seconds)
    for proxy in house.proxies:
        proxy.share = 0.0


def connections_are_reset(house: House) -> None:
    for _ in range(5):
        for proxy in house.proxies:
            proxy.reset_all()
        _pause(house, 1)


def the_disk_of_the_spool_is_full(house: House) -> None:
    house.primary.stop("immediate")
    with house.spool_disk.full():
        _pause(house, 4)
    _pause(house, 1)
    house.primary.start()


def the_disk_of_postgresql_is_full(house: House, seconds: float = 4) -> None:
    """Whatever it does then: it refuses to write, or it cannot write its log and crashes."""
    crashes = house.random.random() < 0.7
    until = time.monotonic() + seconds
    with house.disks[house.primary].full():
        while time.monotonic() < until:
            time.sleep(0.3)
            if crashes:
                with suppress(psycopg.Error):
                    house.primary.execute("SELECT pg_switch_wal()")
    house.primary.start_if_down()


def the_primary_is_lost(house: House) -> None:
    house.have_a_standby()
    house.fail_over()
    house.have_a_standby()


def the_primary_is_lost_after_its_standby_was_cut_off(house: House) -> None:
    """Nothing that the primary committed alone was ever confirmed, so the standby lacks nothing."""
    house.have_a_standby()
    house.standby.cut_off()
    time.sleep(6)
    house.fail_over()
    house.have_a_standby()


def the_clock_steps_back(house: House) -> None:
    house.clock.step(-house.random.choice([1, 60, 3600, 3 * DAY]))
    _pause(house, 4)
    house.clock.step(0)


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


def _pause(house: House, longest: float) -> None:
    time.sleep(house.random.uniform(longest / 4, longest))
