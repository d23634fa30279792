"""Rows and goals -> the table on the terminal and docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.figures import Figure, Goal, Row, from_json, shown

CONTENDERS = ("ours", "limit", "tuned", "seed")
Line = tuple[str, ...]
GOAL_HEAD = ("what", "held against", "goal", "measured", "")
UNMEASURED = ("not measured", "")


def spread(figure: Figure, shape: str = "{}") -> str:
    """Return the median, and the middle half in brackets where there were rounds."""
    low, high = figure.quartiles
    middle = shape.format(shown(figure.median))
    if len(set(figure.values)) == 1:
        return middle
    return f"{middle} ({shown(low)} to {shown(high)})"


def figure_lines(rows: Sequence[Row]) -> list[Line]:
    """Return a line for each row: what, unit, each contender's figure."""
    return [
        (
            row.what,
            row.unit,
            *(spread(row.figures[name]) if name in row.figures else "" for name in CONTENDERS),
        )
        for row in rows
    ]


def goal_lines(goals: Iterable[Goal], rows: Sequence[Row]) -> list[Line]:
    """Return a line for each goal: what, against whom, the goal, the measured, reached or not."""
    by_key = {row.key: row for row in rows}
    return [
        (goal.text, goal.than or "itself", _wanted(goal), *_judged(goal, by_key)) for goal in goals
    ]


def reasons(goals: Iterable[Goal], rows: Sequence[Row]) -> list[str]:
    """Return why goals are missed, of those that are and know it."""
    by_key = {row.key: row for row in rows}
    missed = [goal for goal in goals if (judged := goal.judge(by_key)) and not judged[1]]
    return [f"Not reached, {goal.text}: {goal.why}" for goal in missed if goal.why]


def _shape(goal: Goal) -> str:
    return "{}" if not goal.than else "{} x"


def _wanted(goal: Goal) -> str:
    sign = "≤" if goal.share or not (goal.than or goal.least) else "≥"
    return f"{sign} {_shape(goal).format(shown(goal.limit))}"


def _judged(goal: Goal, rows: Mapping[str, Row]) -> tuple[str, str]:
    judged = goal.judge(rows)
    if judged is None:
        return UNMEASURED
    measured, reached = judged
    return spread(measured, _shape(goal)), "reached" if reached else "NOT reached"


def table(title: str, head: Sequence[str], lines: Iterable[Line]) -> Table:
    """Return a table for the terminal."""
    made = Table(*head, title=title, title_justify="left")
    for line in lines:
        made.add_row(*line, style="bold red" if "NOT reached" in line else None)
    return made


def markdown(results: Mapping[str, Any], goals: Sequence[Goal], notes: Iterable[str]) -> str:
    """Return docs/benchmarks.md."""
    rows = from_json(results["rows"])
    facts = "; ".join(f"{name} {value}" for name, value in results["facts"].items())
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Made by `make bench` on {results['date']}; not edited. {facts}.",
            "",
            "*Ours* is this repository, *seed* our own re-making of the workshop's design "
            "(nginx, gunicorn, Flask, pandas, Keras), *tuned* the same with its two worst things "
            "set right.",
            "",
            "![Answers a second and CPU of a request](benchmarks.svg)",
            "",
            "## Goals",
            "",
            *markdown_table(GOAL_HEAD, goal_lines(goals, rows)),
            "",
            *(f"- {note}" for note in (*reasons(goals, rows), *notes)),
            "",
            "## Figures",
            "",
            *markdown_table(("what", "unit", *CONTENDERS), figure_lines(rows)),
            "",
        ]
    )


def markdown_table(head: Sequence[str], lines: Iterable[Line]) -> list[str]:
    """Return the lines of a table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]
