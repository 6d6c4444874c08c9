"""Puts a server under load, as hard as it can take, and checks that its answers were true."""

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
"""Seconds, which also tell how many requests to prepare."""

MAX_MESSAGES_PER_SECOND = 20_000
"""Messages a second that no server here exceeds."""

PREPARATION_FACTOR = 2.5
"""How many times faster than while warming up a server may be."""

MIN_PREPARED_MESSAGES_PER_SECOND = 3_000
"""Messages a second that are prepared at least: while warming up it may have been held up."""


class CountMismatch(Exception):
    """The answers were not what they must be, so the figures would mean nothing."""


@dataclass(slots=True)
class Load:
    """Connections that each send the next delivery when the last one is answered."""

    workload: Workload
    port: int
    connections: int
    messages: int = 1
    """In each delivery."""

    is_idle: bool = False
    """The server stores nothing, and says that it does."""

    _rate: float = 0.0
    """Answers a second, as far as is known."""

    def measure(self, seconds: float) -> Measurement:
        """Warm up if this is the first time, then measure. Raises Untrue."""
        if not self._rate:
            self._rate = self._measure_once(
                min(WARM_UP_SECONDS, seconds), MAX_MESSAGES_PER_SECOND // self.messages
            ).rate
        rate = max(
            self._rate * PREPARATION_FACTOR, MIN_PREPARED_MESSAGES_PER_SECOND / self.messages
        )
        measured = self._measure_once(seconds, int(rate * max(seconds, 1)) + 4 * self.connections)
        self._rate = max(self._rate, measured.rate)
        return measured

    def _measure_once(self, seconds: float, most: int) -> Measurement:
        requests = [encode_request(*self.workload.make_samples(self.messages)) for _ in range(most)]
        if shutil.which("wrk"):
            measured = _run_wrk(self.port, requests, self.connections, seconds)
        else:
            measured = send_in_turn(self.port, requests, self.connections, seconds)
        stored = measured.requests if self.is_idle else self.workload.count_new_messages()
        check_answers(measured, stored, self.messages, self.connections)
        return measured


def check_answers(measured: Measurement, stored: int, messages: int, under_way: int = 0) -> None:
    """Raise Untrue unless each answer says that all was stored, and that is so.

    `under_way` requests may be without an answer, because the measurement was over.
    """
    for answer, times in measured.answers.items():
        status, _, body = answer.partition(" ")
        counters = json.loads(body) if status == "200" else {}
        if counters.get("ingested") != messages or counters.get("received") != messages:
            raise CountMismatch(f"answered {times} times, to {messages} messages: {answer}")
    answered = measured.requests * messages
    if not answered <= stored <= answered + under_way * messages:
        raise CountMismatch(f"{answered} messages were answered as stored, and {stored} are")


def _run_wrk(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Measurement:
    """Have wrk send them: it takes far less of the processor than any server here."""
    with tempfile.NamedTemporaryFile() as file:
        for one in requests:
            file.write(b"%d\n%b" % (len(one), one))
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
    figures, *answers = done.stdout.partition("\n{")[2].splitlines()
    figures = json.loads("{" + figures)
    if figures.pop("broken") or not answers:
        raise CountMismatch(f"connections broke, or nothing was answered:\n{done.stdout}")
    if figures.pop("is_exhausted"):
        raise CountMismatch("the server was faster than while warming up, and requests ran out")
    counted: Counter[str] = Counter()
    for line in answers:
        times, _, answer = line.partition(" ")
        counted[answer] += int(times)
    return Measurement(**figures, answers=counted)
