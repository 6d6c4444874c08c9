"""`bin/bench`: runs the parts and prints what they found."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.clients import ServerFellBehind
from benchmarks.load import CountMismatch
from benchmarks.parts import PARTS
from benchmarks.report import Figure, print_json, print_table
from benchmarks.servers import ServerNotStarted
from leadport.settings import ROOT

DESCRIPTION = "Measures Leadport beside a straightforward service, an idle server and plain SQL."


def main() -> None:
    """Measure, print, and exit with 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--workers", type=int, default=1, help="of every server")
    given = parser.parse_args()
    figures: list[Figure] = []
    failures: list[str] = []
    # Not in the system's temporary folder, which may be in memory, where nothing is durable.
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=var, prefix="benchmark-") as folder,
        ExitStack() as stack,
    ):
        bench = Bench(Path(folder), given.seconds, given.workers, stack)
        for name in (name for name in PARTS if name in given.only):
            begun = time.monotonic()
            try:
                figures += PARTS[name](bench)
            except (ServerFellBehind, ServerNotStarted, CountMismatch) as error:
                bench.discard_leadport()
                failures.append(f"{name}: {error}")
            print(f"{name} took {time.monotonic() - begun:.0f} s", file=sys.stderr)
    (print_json if given.json else print_table)(figures)
    print(*failures, sep="\n", file=sys.stderr)
    sys.exit(bool(failures) or not all(figure.holds for figure in figures))


if __name__ == "__main__":
    main()
