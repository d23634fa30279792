"""A small SVG canvas: boxes, lines of text that must fit, arrows, in light and dark colours."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

LIGHT = {
    **{"page": "#ffffff", "card": "#ffffff", "ink": "#1b2430", "soft": "#525d6b"},
    **{"line": "#66707e", "edge": "#c3cad4", "pill": "#eef1f5"},
    **{"one": "#eaf1fb", "two": "#eaf5ec", "twin": "#fbf3e2"},
    **{"one-ink": "#1d4f91", "two-ink": "#1c6b35", "twin-ink": "#855a00"},
}
DARK = {
    **{"page": "#0d1117", "card": "#161b22", "ink": "#e8edf3", "soft": "#a3aebb"},
    **{"line": "#8b96a3", "edge": "#39424d", "pill": "#222a33"},
    **{"one": "#111d2e", "two": "#10231a", "twin": "#261e0e"},
    **{"one-ink": "#86b6f5", "two-ink": "#7fd196", "twin-ink": "#e5b85c"},
}
SANS = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
STYLES = {  # class → size in pixels, weight, family, colour
    "h": (14, 700, SANS, "ink"),
    "t": (13, 600, SANS, "ink"),
    "s": (11.5, 400, SANS, "soft"),
    "m": (11, 400, MONO, "ink"),
}
ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z"/></marker></defs>'
)


class TooWide(ValueError):
    """A text would leave its box; says which, and by how much."""


def text_width(text: str, style: str) -> float:
    """Estimate a text's width in pixels, as wide as the widest usual font (DejaVu) sets it."""
    size, weight, family, _ = STYLES[style]
    if family == MONO:
        return 0.61 * size * len(text)
    widths = {**dict.fromkeys("fijlrt.,:;'|!()[] ", 0.4), **dict.fromkeys("mwMW", 0.98)}
    ems = sum(widths.get(c, 0.7 if c.isupper() else 0.63) for c in text)
    return ems * size * (1.08 if weight >= 600 else 1)


@dataclass
class Canvas:
    """SVG elements in drawing order."""

    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, w: float, h: float, kind: str, radius: float = 8) -> None:
        """Draw a rounded box; `kind` is its class."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius}"/>'
        )

    def text(self, x: float, y: float, text: str, style: str, room: float, tone: str = "") -> None:
        """Write a line starting at x; TooWide if it needs more than `room` pixels."""
        if (needed := text_width(text, style)) > room:
            raise TooWide(f"{text!r} needs {needed:.0f} px, there are {room:.0f}")
        kind = f"{style} {tone}".strip()
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through the points with a head at its end."""
        path = "M" + "L".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<path class="a" d="{path}" marker-end="url(#head)"/>')

    def card(self, x: float, y: float, w: float, title: str, *lines: tuple[str, str]) -> float:
        """Draw a titled card with (style, text) lines; return its height."""
        height = 36 + 17 * len(lines)
        self.box(x, y, w, height, "card")
        self.text(x + 10, y + 20, title, "t", w - 20)
        for row, (style, line) in enumerate(lines):
            self.text(x + 10, y + 40 + 17 * row, line, style, w - 20)
        return height

    def svg(self, width: float, height: float, title: str, description: str) -> str:
        """Return the document, on a page of its own colour."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
                f'width="{width:g}" height="{height:g}" role="img">',
                f"<title>{escape(title)}</title>",
                f"<desc>{escape(description)}</desc>",
                f"<style>{stylesheet()}</style>",
                ARROW_HEAD,
                f'<rect class="page" width="{width:g}" height="{height:g}" rx="12"/>',
                *self.parts,
                "</svg>\n",
            ]
        )


def stylesheet() -> str:
    """Return the fonts, the light colours, and the dark ones for who prefers them."""
    fonts = "".join(
        f".{style}{{font:{weight} {size}px {family}}}"
        for style, (size, weight, family, _) in STYLES.items()
    )
    lines = ".a{fill:none;stroke-width:1.5}"
    return f"{fonts}{lines}{rules(LIGHT)}@media(prefers-color-scheme:dark){{{rules(DARK)}}}"


def rules(colours: dict[str, str]) -> str:
    """Return the CSS rules that give every class its colour."""
    boxes = [f"rect.{name}{{fill:{colour}}}" for name, colour in colours.items()]
    texts = [f"text.{s}{{fill:{colours[colour]}}}" for s, (_, _, _, colour) in STYLES.items()]
    tones = [f"text.{n}{{fill:{c}}}" for n, c in colours.items() if n.endswith("-ink")]
    strokes = [
        f".card,.pill{{stroke:{colours['edge']}}}",
        f".a{{stroke:{colours['line']}}}#head path{{fill:{colours['line']}}}",
    ]
    return "".join(boxes + texts + tones + strokes)
