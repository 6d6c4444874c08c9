"""Figures, each with its ratios to others, as a table or as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure by another one, and what it must be at least or at most, if anything."""

    value: float
    to: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it is as it must be; None where nothing is asked of it."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None

    @property
    def bound(self) -> str:
        """What it must be."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured, in its unit, and what else there is to say of it."""

    part: str
    what: str
    value: float
    unit: str
    details: dict[str, float] = field(default_factory=dict)
    """By name and unit, as in `p50 ms`."""
    ratios: Sequence[Ratio] = ()

    @property
    def holds(self) -> bool:
        """Whether no ratio breaks its bound."""
        return all(ratio.holds is not False for ratio in self.ratios)

    def as_json(self) -> dict[str, Any]:
        """All of it, with what became of each bound."""
        return {
            **asdict(self),
            "ratios": [{**asdict(ratio), "holds": ratio.holds} for ratio in self.ratios],
        }


def print_json(figures: Sequence[Figure]) -> None:
    """Print a list of the figures."""
    print(json.dumps([figure.as_json() for figure in figures], indent=2, ensure_ascii=False))


def print_table(figures: Sequence[Figure]) -> None:
    """Print a line for each figure, and one more for each further ratio."""
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
    """Three digits, or all of a larger one."""
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
