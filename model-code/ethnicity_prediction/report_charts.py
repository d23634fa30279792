"""Charts of the report as inline SVG: no script, colours from the page's own style."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

LEFT, WIDTH, RIGHT, ROW, FOOT = 150, 420, 100, 26, 24  # names, axis, row counts; heights
FEW = 30  # rows, below which an interval is too wide to mean much
PANEL, LEFT_OF_PANEL, TOP, SIDE = 340, 46, 10, 150  # a line chart: width, margins, height
SQUARE = 260  # side of the reliability chart


def recall_chart(title: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Draw a bar for each entry ('name', 'rows', 'value', 'low', 'high') with its interval."""
    bottom = ROW * len(entries)
    rows = "".join(_bar(entry, index) for index, entry in enumerate(entries))
    marks = "".join(
        f'<line class="grid" x1="{_x(share):.1f}" x2="{_x(share):.1f}" y1="0" y2="{bottom}"/>'
        + _label(_x(share), bottom + 16, f"{share:g}", "middle", "faint")
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    counts = _label(LEFT + WIDTH + 16, bottom + 16, "rows", "start", "faint")
    return _svg(title, LEFT + WIDTH + RIGHT, bottom + FOOT, marks + counts + rows)


def confusion_table(
    confusion: Mapping[str, Mapping[str, int]], predicted: Sequence[str], truths: Sequence[str]
) -> str:
    """Return the confusion matrix as a table whose cells are shaded by their share of the row."""
    head = "".join(f'<th scope="col">{text(label)}</th>' for label in predicted)
    body = ""
    for truth in truths:
        counts = confusion[truth]
        total = sum(counts.values())
        cells = "".join(_cell(counts.get(label, 0), total, label == truth) for label in predicted)
        body += f'<tr><th scope="row">{text(truth)}</th>{cells}<td class="sum">{total}</td></tr>'
    return (
        "<div class=scroll><table class=confusion><thead><tr>"
        f'<th scope="col">label \\ predicted</th>{head}<th scope="col">rows</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def line_chart(
    title: str, lines: Mapping[str, Sequence[float]], best: int, break_after: int = 0
) -> str:
    """Draw lines over the epochs 1 to N; a dot marks the epoch that was kept.

    What comes after epoch `break_after` is not to be compared with what is before.
    """
    values = [value for line in lines.values() for value in line if math.isfinite(value)]
    low, high, step = _scale(min(values, default=0.0), max(values, default=1.0))
    last = max(map(len, lines.values()))
    axes = Axes((1, max(2, last)), (low, high), PANEL - LEFT_OF_PANEL - 14, SIDE)
    ticks = [low + i * step for i in range(round((high - low) / step) + 1)]
    drawn = axes.across(ticks) + axes.below(sorted({1, (last + 1) // 2, last}))
    if break_after:
        x, y = axes.at(break_after + 0.5, high)
        drawn += f'<path class="limit" d="M{x:.1f} {y:.1f}v{SIDE}"/>'
    for number, (name, line) in enumerate(lines.items()):
        points = [axes.at(x, y) for x, y in enumerate(line, start=1) if math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        drawn += f'<polyline class="line n{number}" points="{path}"/>'
        if math.isfinite(line[best - 1]):
            told = f"{text(name)}, epoch {best}: {line[best - 1]:.4f}"
            drawn += _dot(*axes.at(best, line[best - 1]), 4, f"n{number}", told)
    return _svg(title, PANEL, axes.foot, drawn)


def reliability_chart(title: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw how often the model was right over how sure it was; larger dots have more rows."""
    axes = Axes((0, 1), (0, 1), SQUARE, SQUARE)
    (x0, y0), (x1, y1) = axes.at(0, 0), axes.at(1, 1)
    quarters = [0, 0.25, 0.5, 0.75, 1]
    drawn = axes.across(quarters) + axes.below(quarters)
    drawn += f'<line class="limit" x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}"/>'
    most = max(entry["rows"] for entry in bins)
    for entry in bins:
        x, y = axes.at(entry["confidence"], entry["value"])
        top, bottom = (axes.at(0, entry[end])[1] for end in ("high", "low"))
        told = f"sure {entry['confidence']:.3f}, right {entry['value']:.3f} in {entry['rows']} rows"
        drawn += f'<path class="whisker" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
        drawn += _dot(x, y, 3 + 6 * math.sqrt(entry["rows"] / most), "n0", told)
    return _svg(title, LEFT_OF_PANEL + SQUARE + 16, axes.foot, drawn)


@dataclass(frozen=True)
class Axes:
    """Where values stand in a chart of this size, in pixels."""

    xs: tuple[float, float]  # the least and the greatest
    ys: tuple[float, float]
    width: float
    height: float

    @property
    def foot(self) -> float:
        return TOP + self.height + FOOT

    def at(self, x: float, y: float) -> tuple[float, float]:
        (left, right), (low, high) = self.xs, self.ys
        across = LEFT_OF_PANEL + self.width * (x - left) / (right - left)
        return across, TOP + self.height * (high - y) / (high - low)

    def across(self, ticks: Sequence[float]) -> str:
        """Draw lines at these heights, each with its value."""
        drawn = ""
        for tick in ticks:
            (x, y), (end, _) = self.at(self.xs[0], tick), self.at(self.xs[1], tick)
            drawn += f'<line class="grid" x1="{x:g}" x2="{end:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
            drawn += _label(x - 6, y + 4, f"{tick:g}", "end", "faint")
        return drawn

    def below(self, ticks: Sequence[float]) -> str:
        """Draw values below the chart."""
        return "".join(
            _label(self.at(tick, 0)[0], self.foot - 6, f"{tick:g}", "middle", "faint")
            for tick in ticks
        )


def text(value: object, limit: int = 60) -> str:
    """Return any text of the data or the model, escaped and of a length that fits."""
    shown = str(value)
    return escape(shown if len(shown) <= limit else shown[: limit - 1] + "…")


def _svg(title: str, width: float, height: float, drawn: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" role="img" '
        f'aria-label="{text(title)}"><title>{text(title)}</title>{drawn}</svg>'
    )


def _label(x: float, y: float, shown: object, anchor: str, kind: str = "") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{text(shown, 20)}</text>"
    )


def _dot(x: float, y: float, radius: float, kind: str, told: str) -> str:
    return (
        f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
        f"<title>{told}</title></circle>"
    )


def _bar(entry: Mapping[str, Any], index: int) -> str:
    top, middle = index * ROW + 4, index * ROW + ROW // 2
    name = _label(LEFT - 8, middle + 4, entry["name"], "end")
    if entry["value"] is None:
        return name + _label(LEFT + 6, middle + 4, "no rows", "start", "faint")
    few = entry["rows"] < FEW
    low, high = _x(entry["low"]), _x(entry["high"])
    return (
        f'{name}<rect class="bar{" small" if few else ""}" x="{LEFT}" y="{top}" '
        f'height="{ROW - 8}" width="{max(1.0, WIDTH * entry["value"]):.1f}"/>'
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10'
        f'M{high:.1f} {middle - 5}v10"/>'
        + _label(
            LEFT + WIDTH + 16,
            middle + 4,
            f"{entry['rows']}{' (few)' if few else ''}",
            "start",
            "faint",
        )
    )


def _cell(count: int, total: int, is_right: bool) -> str:
    share = count / total if total else 0
    kind = "right" if is_right else "wrong"
    title = f"{share:.0%} of the row"
    return f'<td class="{kind}" style="--share:{share:.3f}" title="{title}">{count}</td>'


def _x(share: float) -> float:
    return LEFT + WIDTH * min(1.0, max(0.0, share))


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Widen a range to round numbers, of which a few lie in it: (low, high, step)."""
    rough = max(high - low, 1e-3) / 4
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(ten * n for n in (1, 2, 2.5, 5, 10) if ten * n >= rough)
    return math.floor(low / step) * step, math.ceil(high / step + 1e-9) * step, step
