"""The benchmarks' results: figures with their ratios and bounds, printed as a table or as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure divided by another one, with a lower bound, an upper bound or none."""

    value: float
    to: str
    """The name of the other figure."""

    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the ratio keeps its bound; None for a ratio without a bound."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None

    @property
    def bound(self) -> str:
        """The bound as text, for example `≤ 1.25`; empty for a ratio without a bound."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value of a part, with further values and ratios."""

    part: str
    what: str
    """The variant that was measured, for example `64 connections`."""

    value: float
    unit: str
    details: dict[str, float] = field(default_factory=dict)
    """Further values; a key is the name and the unit, for example `p50 ms`."""

    ratios: Sequence[Ratio] = ()

    @property
    def holds(self) -> bool:
        """Whether every ratio with a bound keeps it."""
        return all(ratio.holds is not False for ratio in self.ratios)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as a JSON object; each ratio also says whether its bound holds."""
        return {
            **asdict(self),
            "ratios": [{**asdict(ratio), "holds": ratio.holds} for ratio in self.ratios],
        }


def print_json(figures: Sequence[Figure]) -> None:
    """Print the figures as a JSON list."""
    print(json.dumps([figure.as_json() for figure in figures], indent=2, ensure_ascii=False))


def print_table(figures: Sequence[Figure]) -> None:
    """Print one line for each figure, and another line for each ratio after its first."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("part", "", "figure", "", "ratio", "holds when", "holds"):
        table.add_column(title, justify="right" if title in ("figure", "ratio") else "left")
    for figure in figures:
        details = ", ".join(_format_detail(*item) for item in figure.details.items())
        columns = [figure.part, figure.what, f"{format_value(figure.value)} {figure.unit}", details]
        for ratio in figure.ratios or (None,):
            table.add_row(*columns, *_format_ratio(ratio))
            columns = [""] * len(columns)
    Console(width=None if Console().is_terminal else 160).print(table)


def format_value(value: float) -> str:
    """Format with three significant digits, or with all digits of a larger whole part."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value else 0
    return f"{value:,.{digits}f}"


def _format_detail(key: str, value: float) -> str:
    name, _, unit = key.rpartition(" ")
    return f"{name} {format_value(value)} {unit}"


def _format_ratio(ratio: Ratio | None) -> list[str]:
    if ratio is None:
        return ["", "", ""]
    holds = {True: "yes", False: "[bold red]no[/]", None: ""}[ratio.holds]
    return [f"{ratio.value:.2f} x {ratio.to}", ratio.bound, holds]
