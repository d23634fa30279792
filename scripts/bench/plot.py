"""Bars of what was measured, on scales of powers of ten, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from svg_canvas import Canvas

from bench.figures import Row, shown
from bench.report import CONTENDERS

WIDTH, LABELS, NUMBERS = 860, 120, 190
BAR, GAP = 20, 8
TONES = {"ours": "two-ink", "limit": "one-ink", "tuned": "twin-ink", "seed": "line"}
ROOM = WIDTH - LABELS - NUMBERS - 40


def draw(rows: Sequence[Row]) -> str:
    """Return the picture: a block of bars for each row."""
    canvas, y = Canvas(), 20.0
    for row in rows:
        y = _block(canvas, row, y) + 22
    title = "; ".join(row.what for row in rows)
    return canvas.svg(WIDTH, y, "Benchmarks", f"{title}. Scales are powers of ten.")


def _block(canvas: Canvas, row: Row, y: float) -> float:
    heading = f"{row.what}, {row.unit}: {row.better} is better, bars are logarithmic"
    canvas.text(20, y + 14, heading, "t", WIDTH - 40)
    y += 28
    medians = {name: row.figures[name].median for name in CONTENDERS if name in row.figures}
    floor, ceiling = scale(list(medians.values()))
    for name, value in medians.items():
        length = max(2.0, ROOM * share(value, floor, ceiling))
        canvas.text(20, y + 14, name, "s", LABELS)
        canvas.box(20 + LABELS, y, length, BAR, TONES[name], 3)
        canvas.text(28 + LABELS + length, y + 14, shown(value), "m", NUMBERS)
        y += BAR + GAP
    return y


def scale(values: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten between which the values lie, at least one apart."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def share(value: float, floor: float, ceiling: float) -> float:
    """Return how far a value stands between two others, 0 to 1, by its logarithm."""
    return math.log(value / floor) / math.log(ceiling / floor)
