"""A run's curves without a plotting library: a line of blocks for Markdown, a small drawing for HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _EDGE = 360, 140, 8


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """At most `width` blocks, the lowest value the lowest block."""
    step = max(1, -(-len(values) // width))
    means = [sum(values[i : i + step]) / len(values[i : i + step]) for i in range(0, len(values), step)]
    low, span = min(means), max(means) - min(means)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(top * (value - low) / span) if span else 0] for value in means)


def curve_svg(title: str, points: Sequence[tuple[float, float]]) -> str:
    """One curve with its range written beside it."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))

    def place(x: float, y: float) -> str:
        across = _EDGE + (_WIDTH - 2 * _EDGE) * ((x - left) / (right - left) if right > left else 0.5)
        down = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * ((y - low) / (high - low) if high > low else 0.5)
        return f"{across:.1f},{down:.1f}"

    path = " ".join(place(x, y) for x, y in points)
    return (
        f"<figure><figcaption>{escape(title)}: {low:.3g} to {high:.3g}, steps {left:g} to {right:g}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg></figure>\n'
    )
