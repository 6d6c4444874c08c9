"""Puts a server under maximum load and checks that each message answered as stored is stored."""

import json
import math
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import Measurement, send_in_turn
from benchmarks.workload import Workload, encode_request

WRK_SCRIPT = Path(__file__).with_name("wrk.lua")

WARM_UP_SECONDS = 1.0
"""Length of the first run, whose rate decides how many requests the next run prepares."""

MAX_MESSAGES_PER_SECOND = 20_000
"""No measured server exceeds this rate, so it bounds the requests of the warm-up."""

PREPARATION_FACTOR = 2.5
"""Requests are prepared for a server this many times as fast as it was in the run before."""

MIN_PREPARED_MESSAGES_PER_SECOND = 3_000
"""Requests are prepared for at least this rate, because other processes may have delayed the warm-up."""


class InvalidMeasurement(Exception):
    """The measured figures are not valid.

    For example, the counts of answers, stored rows and sent messages differ, connections broke, or
    the database does not make commits durable.
    """


@dataclass(slots=True)
class Load:
    """Connections to one server that each send the next delivery when the last one is answered."""

    workload: Workload
    port: int
    connections: int
    messages: int = 1
    """Messages in each delivery."""

    is_idle: bool = False
    """Whether the server stores nothing and answers as if it did."""

    _rate: float = 0.0
    """The highest measured rate in answers per second; 0 before the warm-up."""

    def measure(self, seconds: float) -> Measurement:
        """Warm up on the first call, then measure for `seconds`. Raises InvalidMeasurement."""
        if not self._rate:
            warm_up_requests = MAX_MESSAGES_PER_SECOND // self.messages
            warm_up = self._measure_once(min(WARM_UP_SECONDS, seconds), warm_up_requests)
            self._rate = warm_up.rate
        rate = max(
            self._rate * PREPARATION_FACTOR, MIN_PREPARED_MESSAGES_PER_SECOND / self.messages
        )
        request_count = int(rate * max(seconds, 1)) + 4 * self.connections
        measurement = self._measure_once(seconds, request_count)
        self._rate = max(self._rate, measurement.rate)
        return measurement

    def _measure_once(self, seconds: float, request_count: int) -> Measurement:
        requests = [
            encode_request(*self.workload.make_samples(self.messages)) for _ in range(request_count)
        ]
        if shutil.which("wrk"):
            measurement = _run_wrk(self.port, requests, self.connections, seconds)
        else:
            measurement = send_in_turn(self.port, requests, self.connections, seconds)
        stored = measurement.requests if self.is_idle else self.workload.count_new_messages()
        check_answers(measurement, stored, self.messages, self.connections)
        return measurement


def check_answers(
    measurement: Measurement, stored: int, messages: int, max_unanswered: int = 0
) -> None:
    """Raise InvalidMeasurement unless every answer reports all messages as stored, and they are.

    `messages` is the size of each delivery and `stored` the number of new rows. Up to
    `max_unanswered` deliveries may be stored without an answer, because the measurement ended
    while they were in flight.
    """
    for answer, times in measurement.answers.items():
        status, _, body = answer.partition(" ")
        counters = json.loads(body) if status == "200" else {}
        if counters.get("ingested") != messages or counters.get("received") != messages:
            raise InvalidMeasurement(f"answered {times} times, to {messages} messages: {answer}")
    answered = measurement.requests * messages
    if not answered <= stored <= answered + max_unanswered * messages:
        raise InvalidMeasurement(f"{answered} messages were answered as stored, and {stored} are")


def _run_wrk(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measurement:
    """Send the requests with wrk, which uses far less processor time than any measured server."""
    with tempfile.NamedTemporaryFile() as file:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))
        file.flush()
        done = subprocess.run(  # noqa: S603 - our own program and arguments
            [  # noqa: S607 - wherever wrk is
                "wrk",
                "--threads=1",
                f"--connections={connections}",
                f"--duration={math.ceil(seconds)}s",
                "--timeout=60s",
                f"--script={WRK_SCRIPT}",
                f"http://127.0.0.1:{port}",
                "--",
                file.name,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    figures_json, *answer_lines = done.stdout.partition("\n{")[2].splitlines()
    figures = json.loads("{" + figures_json)
    if figures.pop("broken") or not answer_lines:
        raise InvalidMeasurement(f"connections broke, or nothing was answered:\n{done.stdout}")
    if figures.pop("is_exhausted"):
        raise InvalidMeasurement(
            "the server was faster than while warming up, and requests ran out"
        )
    answers: Counter[str] = Counter()
    for line in answer_lines:
        times, _, answer = line.partition(" ")
        answers[answer] += int(times)
    return Measurement(**figures, answers=answers)
