"""The command `bin/bench`: measures the chosen parts and prints their figures and bounds."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.clients import ServerFellBehind
from benchmarks.load import InvalidMeasurement
from benchmarks.parts import PARTS
from benchmarks.report import Figure, print_json, print_table
from benchmarks.servers import ServerNotStarted
from leadport.settings import ROOT

DESCRIPTION = """
Compares Leadport with a straightforward service, an idle server and plain SQL, and checks the
ratios against their bounds. Exits with 1 where a bound is broken or a part could not be measured.
"""


def main() -> None:
    """Measure the chosen parts and print them; exit with 1 where one fails or breaks a bound."""
    options = _parse_arguments()
    figures: list[Figure] = []
    failures: list[str] = []
    # The system's temporary folder may be in memory, where a commit is not durable.
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=var, prefix="benchmark-") as folder,
        ExitStack() as stack,
    ):
        bench = Bench(Path(folder), options.seconds, options.workers, stack)
        for name in (name for name in PARTS if name in options.only):
            started_at = time.monotonic()
            try:
                figures += PARTS[name](bench)
            except (ServerFellBehind, ServerNotStarted, InvalidMeasurement) as error:
                bench.discard_leadport()
                failures.append(f"{name}: {error}")
            print(f"{name} took {time.monotonic() - started_at:.0f} s", file=sys.stderr)
    (print_json if options.json else print_table)(figures)
    print(*failures, sep="\n", file=sys.stderr)
    sys.exit(bool(failures) or not all(figure.holds for figure in figures))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        metavar="PART",
        help=f"measure only these parts, of {', '.join(PARTS)} (default: all)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="length of one measurement in seconds; parts scale it (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="worker processes of each server (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
