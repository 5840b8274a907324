"""Plots: lines over a numbered axis as SVG, small enough to be read in a review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tools.bench.figures import Part

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 210, 20, 44
COLOURS = ("#1f6fb4", "#d1602b", "#3a8f4d", "#8a56a8", "#777777", "#b39b1f")

Line = Sequence[tuple[float, float]]


def plot(lines: Mapping[str, Line], *, across: str, up: str) -> str:
    """Return an SVG with each line in its own colour; both axes begin at 0.

    Args:
        lines: points by the name of their line.
        across: what the horizontal axis counts.
        up: the unit of the vertical axis.
    """
    points = [point for line in lines.values() for point in line]
    widest = max((x for x, _ in points), default=1.0) or 1.0
    highest = max((y for _, y in points), default=1.0) or 1.0

    def place(x: float, y: float) -> str:
        return (
            f"{LEFT + x / widest * (WIDTH - LEFT - RIGHT):.1f},"
            f"{HEIGHT - BOTTOM - y / highest * (HEIGHT - TOP - BOTTOM):.1f}"
        )

    size = f'width="{WIDTH}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="{TOP - 6}">{escape(up)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>',
    ]
    for step in range(5):
        share = step / 4
        x, y = place(widest * share, highest * share).split(",")
        parts.append(f'<path d="M{LEFT},{y}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{highest * share:.3g}</text>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{widest * share:,.4g}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour, row = COLOURS[number % len(COLOURS)], TOP + 14 + 18 * number
        path = " ".join(place(x, y) for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(line) <= 10:
            dots = (place(x, y).split(",") for x, y in line)
            parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in dots]
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{row - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{row}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def of_curves(curves: Mapping[str, Sequence[float]], *, up: str) -> str:
    """Return a plot of sorted values by their percentile."""
    lines = {
        name: [(100 * (place + 1) / len(values), value) for place, value in enumerate(values)]
        for name, values in curves.items()
        if values
    }
    return plot(lines, across="percent of the rotations", up=up)


def of_fleets(parts: Sequence[Part], names: Mapping[str, str], *, up: str, floors: bool = False) -> str:
    """Return a plot of rows of every fleet by its size; `names` has the row of each line. Empty without two fleets.

    With `floors`, the floor of the last row is a line as well.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for part in sorted((part for part in parts if part.nodes), key=lambda part: part.nodes):
        rows = {row.what: row for row in part.rows}
        for shown, what in names.items():
            row = rows.get(what)
            if row is not None and row.found is not None:
                lines.setdefault(shown, []).append((part.nodes, row.found))
                if floors and row.floor is not None:
                    lines.setdefault(f"floor of: {shown}", []).append((part.nodes, row.floor))
    return plot(lines, across="nodes", up=up) if any(len(line) > 1 for line in lines.values()) else ""
