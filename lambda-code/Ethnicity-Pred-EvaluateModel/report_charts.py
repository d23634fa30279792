"""Charts of the report as inline SVG: no script, colours from the page's own style."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LEFT, WIDTH, RIGHT, ROW = 150, 420, 100, 26  # names, axis, row counts; height of a row
FOOT = 24


def recall_chart(title: str, entries: Sequence[Mapping[str, Any]], limit: float | None) -> str:
    """Draw a bar per entry ('name', 'rows', 'value', 'low', 'high', 'judged') with its interval."""
    width, height = LEFT + WIDTH + RIGHT, ROW * len(entries) + FOOT
    rows = "".join(_row(entry, index) for index, entry in enumerate(entries))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_text(title)}">'
        f"<title>{_text(title)}</title>{_axis(len(entries))}{rows}"
        f"{_limit_line(limit, len(entries))}</svg>"
    )


def confusion_table(
    confusion: Mapping[str, Mapping[str, int]], predicted: Sequence[str], truths: Sequence[str]
) -> str:
    """Return the confusion matrix as a table whose cells are shaded by their share of the row."""
    head = "".join(f'<th scope="col">{_text(label)}</th>' for label in predicted)
    body = ""
    for truth in truths:
        counts = confusion.get(truth, {})
        total = sum(counts.values())
        cells = "".join(_cell(counts.get(label, 0), total, label == truth) for label in predicted)
        body += f'<tr><th scope="row">{_text(truth)}</th>{cells}<td class="sum">{total}</td></tr>'
    return (
        "<div class=scroll><table class=confusion><thead><tr>"
        f'<th scope="col">label \\ predicted</th>{head}<th scope="col">rows</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(entry: Mapping[str, Any], index: int) -> str:
    top, middle = index * ROW + 4, index * ROW + ROW // 2
    name = (
        f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{_text(entry["name"], 20)}</text>'
    )
    if entry["value"] is None:
        return f'{name}<text x="{LEFT + 6}" y="{middle + 4}" class="faint">no rows</text>'
    kind = "bar" if entry["judged"] else "bar small"
    low, high = _x(entry["low"]), _x(entry["high"])
    note = "" if entry["judged"] else " (too few)"
    return (
        f'{name}<rect class="{kind}" x="{LEFT}" y="{top}" height="{ROW - 8}" '
        f'width="{max(1.0, WIDTH * entry["value"]):.1f}"/>'
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10'
        f'M{high:.1f} {middle - 5}v10"/>'
        f'<text x="{LEFT + WIDTH + 16}" y="{middle + 4}" class="faint">'
        f"{entry['rows']}{note}</text>"
    )


def _axis(count: int) -> str:
    bottom = count * ROW
    marks = "".join(
        f'<line class="grid" x1="{_x(share):.1f}" x2="{_x(share):.1f}" y1="0" y2="{bottom}"/>'
        f'<text class="faint" x="{_x(share):.1f}" y="{bottom + 16}" text-anchor="middle">'
        f"{share:g}</text>"
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    rows = f'<text class="faint" x="{LEFT + WIDTH + 16}" y="{bottom + 16}">rows</text>'
    return marks + rows


def _limit_line(limit: float | None, count: int) -> str:
    if limit is None:
        return ""
    x, bottom = _x(limit), count * ROW
    return f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>'


def _cell(count: int, total: int, is_right: bool) -> str:
    share = count / total if total else 0
    kind = "right" if is_right else "wrong"
    title = f"{share:.0%} of the row"
    return f'<td class="{kind}" style="--share:{share:.3f}" title="{title}">{count}</td>'


def _x(share: float) -> float:
    return LEFT + WIDTH * min(1.0, max(0.0, share))


def _text(text: object, limit: int = 60) -> str:
    shown = str(text)
    return escape(shown if len(shown) <= limit else shown[: limit - 1] + "…")
