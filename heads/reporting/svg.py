"""SVG by hand: axes, dots with whiskers, lines and clouds of points. Everything is text inside the page; nothing is loaded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
"""Okabe and Ito's colours, told apart by people who see fewer of them too (their yellow is too faint on white: ochre instead)."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A row of a dot plot, in 0..1; without bounds it has no whisker. `hover` is shown under the pointer."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve of values from x = 1 on; `dot` is the x of a point to stress."""

    values: Sequence[float]
    colour: str
    dashed: bool = False
    dot: int | None = None
    hover: str = ""


def colour(number: int, count: int) -> str:
    """The colour of one of `count` things: the palette, or where it does not suffice, hues all around."""
    return PALETTE[number] if count <= len(PALETTE) else f"hsl({360 * number / count:.0f} 75% {(38, 55)[number % 2]}%)"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most`."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * one for one in (1, 2, 5, 10) if scale * one >= rough)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def picture(width: float, height: float, parts: Sequence[str], about: str) -> str:
    """An SVG element; `about` is read aloud to those who do not see it."""
    head = f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" aria-label="{escape(about)}">'
    return "".join([head, *parts, "</svg>"])


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    """Words at a place; `anchor` is start, middle or end."""
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{of_kind}>{escape(words)}</text>'


def stroke(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    """A straight line of a class of the page's style."""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="{kind}"/>'


def dots(rows: Sequence[Dot], about: str, *, rule: float | None = None, width: float = 720.0) -> str:
    """A dot plot in percent, a row for each dot, on a scale that all share; `rule` draws a vertical line."""
    left, right, step = min(330.0, 16 + 7.0 * max(len(row.name) for row in rows)), 60.0, 22.0
    ends = [one for row in rows for one in (row.value, row.low, row.high) if one is not None]
    low, high = max(0.0, min(ends) - 0.03), min(1.0, max(ends) + 0.03)
    height = step * len(rows) + 26

    def at(value: float) -> float:
        return left + (value - low) / ((high - low) or 1) * (width - left - right)

    parts = []
    for tick in ticks(100 * low, 100 * high, 8):
        parts += [
            stroke(at(tick / 100), 4.0, at(tick / 100), height - 20, "grid"),
            text(at(tick / 100), height - 6, f"{tick:g}", anchor="middle"),
        ]
    if rule is not None:
        parts.append(stroke(at(rule), 4.0, at(rule), height - 20, "rule"))
    for i, row in enumerate(rows):
        y = step * i + 16
        parts += [f"<g><title>{escape(row.hover or row.name)}</title>", text(left - 10, y + 4, _cut(row.name, left), anchor="end")]
        if row.low is not None and row.high is not None:
            parts.append(stroke(at(row.low), y, at(row.high), y, "whisker"))
        parts += [
            f'<circle cx="{at(row.value):.1f}" cy="{y}" r="4.5" class="dot"/>',
            text(width - right + 10, y + 4, f"{100 * row.value:.1f}"),
            "</g>",
        ]
    return picture(width, height, parts, about)


def _cut(name: str, room: float) -> str:
    """A name that fits; the whole of it is in the hover."""
    most = int((room - 16) / 7)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def lines(title: str, curves: Sequence[Line], *, longest: int, top: float, about: str) -> str:
    """A small panel of curves; all panels of a figure share `longest` (largest x) and `top` (largest y), both from 0."""
    width, height, left, base = 228.0, 150.0, 34.0, 124.0
    parts = [text(left, 12.0, title, kind="panel")]

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / max(longest, 1) * (width - left - 10), base - min(y / (top or 1), 1) * (base - 22)

    for tick in ticks(0.0, top, 4):
        y = place(0.0, tick)[1]
        parts += [stroke(left, y, width - 10, y, "grid"), text(left - 5, y + 4, f"{tick:g}", anchor="end")]
    parts += [text(place(tick, 0.0)[0], base + 15, f"{tick:g}", anchor="middle") for tick in ticks(0.0, float(longest), 5)]
    for curve in curves:
        points = [place(float(x), y) for x, y in enumerate(curve.values, start=1)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="4 3"' if curve.dashed else ""
        parts.append(f"<g><title>{escape(curve.hover)}</title>")
        parts.append(f'<polyline points="{path}" fill="none" stroke="{curve.colour}" stroke-width="1.4"{dash}/>')
        if curve.dot:
            x, y = points[curve.dot - 1]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{curve.colour}"/>')
        parts.append("</g>")
    return picture(width, height, parts, about)


def cloud(points: Sequence[tuple[float, float]], kinds: Sequence[int], count: int, about: str, *, size: float = 330.0) -> str:
    """Points in 0..1 in the colours of their kinds (numbers below `count`); odd kinds are squares, even ones are round.

    A point is a line of next to no length: printers leave out those of none.
    """
    parts = [f'<rect width="{size:g}" height="{size:g}" class="frame"/>']
    for kind in range(count):
        path = "".join(
            f"M{8 + x * (size - 16):.1f} {8 + y * (size - 16):.1f}h.01" for (x, y), one in zip(points, kinds, strict=True) if one == kind
        )
        cap = ("round", "square")[kind % 2]
        width = (4.5, 3.6)[kind % 2]
        parts.append(
            f'<path d="{path}" stroke="{colour(kind, count)}" stroke-width="{width}" stroke-linecap="{cap}" stroke-opacity=".75"/>'
        )
    return picture(size, size, parts, about)
