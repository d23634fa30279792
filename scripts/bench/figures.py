"""Samples and what they say: medians, spread, how many times better, goals. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True)
class Figure:
    """What was measured, one value a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the values lies; all of them where they are few."""
        if len(self.values) < 4:
            return min(self.values), max(self.values)
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    def over(self, other: Figure) -> Figure:
        """Return the ratio, round by round where the rounds are the same."""
        if len(self.values) == len(other.values):
            pairs = zip(self.values, other.values, strict=True)
            return Figure(tuple(a / b for a, b in pairs))
        return Figure((self.median / other.median,))


@dataclass(frozen=True)
class Row:
    """One thing that was measured of several contenders."""

    key: str
    what: str
    unit: str
    better: str  # HIGHER or LOWER
    figures: Mapping[str, Figure]  # by contender

    def times(self, contender: str, other: str) -> Figure:
        """Return how many times better a contender is than another."""
        one, two = self.figures[contender], self.figures[other]
        return one.over(two) if self.better == HIGHER else two.over(one)


@dataclass(frozen=True)
class Goal:
    """What a row is held against.

    `than` a contender: ours is at least `limit` times better, or, where `share` is set, takes at
    most that share of it. Without `than`: ours is at most `limit`, or, where `least` is set, at
    least. `why` is told where it is missed.
    """

    row: str
    text: str
    limit: float
    than: str = ""
    share: bool = False
    least: bool = False
    why: str = ""

    def judge(self, rows: Mapping[str, Row]) -> tuple[Figure, bool] | None:
        """Return what was measured and whether the goal is reached; None if it was not measured."""
        row = rows.get(self.row)
        if row is None or not {"ours", self.than or "ours"} <= set(row.figures):
            return None
        if not self.than:
            measured = row.figures["ours"]
            reached = measured.median >= self.limit
            return measured, reached if self.least else measured.median <= self.limit
        if self.share:
            measured = row.figures["ours"].over(row.figures[self.than])
            return measured, measured.median <= self.limit
        measured = row.times("ours", self.than)
        return measured, measured.median >= self.limit


def shown(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON values, rounded to what a measurement is worth."""
    return [
        {
            **{"key": row.key, "what": row.what, "unit": row.unit, "better": row.better},
            "figures": {
                name: [float(f"{value:.4g}") for value in figure.values]
                for name, figure in row.figures.items()
            },
        }
        for row in rows
    ]


def from_json(data: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows that `as_json` wrote."""
    return [
        Row(
            each["key"],
            each["what"],
            each["unit"],
            each["better"],
            {name: Figure(tuple(values)) for name, values in each["figures"].items()},
        )
        for each in data
    ]
