"""The delays between the attempts to process a failed message."""

from datetime import timedelta

from domain.failed_message import FIRST_RETRY_DELAY, MAX_RETRY_DELAY
from domain.organization import OrgId
from tests.support.builders import NOON, new_id
from tests.support.entities import make_failed_message


def test_retry_delays_double_up_to_a_cap_and_are_jittered() -> None:
    failure = make_failed_message(OrgId(new_id()), NOON)

    waits = []
    for _ in range(100):
        failure = failure.record_attempt("again", NOON, 0.5)
        assert failure.next_attempt_at
        waits.append(failure.next_attempt_at - NOON)

    assert (failure.error, failure.attempts) == ("again", 101)
    minutes = [wait / timedelta(minutes=1) for wait in waits]
    assert minutes[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(waits[8:]) == {MAX_RETRY_DELAY}

    once = make_failed_message(OrgId(new_id()), NOON)
    least, most = (once.record_attempt("e", NOON, jitter).next_attempt_at for jitter in (0, 1))
    assert least
    assert most
    assert (least - NOON, most - NOON) == (FIRST_RETRY_DELAY, FIRST_RETRY_DELAY * 3)
