"""`bin/bench` in a tiny form: that it runs and its checks agree, not how fast anything is."""

import json
import subprocess
import sys

from tests.support.service_process import ROOT


def test_figures_are_printed_as_json() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--json",
        "--seconds",
        "0.2",
        "--workers",
        "2",
        "--only",
    ]
    parts = ["noop", "floor"]

    done = subprocess.run([*command, *parts], cwd=ROOT, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [figure["part"] for figure in figures] == ["noop", "noop", "floor"]
    assert all(figure["value"] > 0 for figure in figures)
