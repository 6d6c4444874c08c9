"""Tests that `bin/bench` measures the parts it is asked for and checks their promised bounds.

They do not test how fast anything is. The bounds need quiet hardware, so `bin/bench` checks them
itself and exits with 1 where one is broken; the test accepts that exit code.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service_process import ROOT

pytestmark = pytest.mark.slow


def test_requested_parts_report_their_figures_and_check_their_bounds() -> None:
    command = [sys.executable, "-m", "benchmarks", "--json", "--seconds", "0.2", "--workers", "2"]
    parts = ["--only", "memory", "hot", "floor", "noop"]

    done = subprocess.run([*command, *parts], cwd=ROOT, check=False, capture_output=True, text=True)

    figures = json.loads(done.stdout)
    assert [(figure["part"], figure["what"], figure["unit"]) for figure in figures] == [
        ("noop", "1 connection", "messages/s"),
        ("noop", "64 connections", "messages/s"),
        ("floor", "1000 messages", "µs a message"),
        ("hot", "500 of one new sender", "messages/s"),
        ("memory", "a worker", "MB"),
    ][: 5 if Path("/proc/self/status").exists() else 4]  # without /proc there is no peak memory
    assert all(figure["value"] > 0 for figure in figures)
    bounds_hold = True
    if figures[-1]["part"] == "memory":
        (ratio,) = figures[-1]["ratios"]
        assert (ratio["to"], ratio["at_least"], ratio["at_most"]) == ("160 MB", None, 1)
        assert ratio["value"] == pytest.approx(figures[-1]["value"] / 160)
        bounds_hold = ratio["holds"]
        assert bounds_hold == (ratio["value"] <= 1)
    assert done.returncode == (0 if bounds_hold else 1), done.stderr
