"""Draws the program's icons: 24 by 24, strokes of 1.75 in `currentColor`, so that the theme can tint them.

Run it after a change: python resources/icons/draw.py
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24" fill="none" '
    'stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">'
)


def line(*points: tuple[float, float]) -> str:
    """An open stroke through these points."""
    return f'<path d="M{" L".join(f"{x:g} {y:g}" for x, y in points)}"/>'


def shape(*points: tuple[float, float]) -> str:
    """A filled polygon with soft corners."""
    return f'<path fill="currentColor" d="M{" L".join(f"{x:g} {y:g}" for x, y in points)} Z"/>'


def circle(x: float, y: float, radius: float, *, filled: bool = False) -> str:
    fill = ' fill="currentColor"' if filled else ""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"{fill}/>'


def box(x: float, y: float, width: float, height: float, radius: float = 2) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'


ICONS = {
    "search": circle(10.5, 10.5, 6) + line((15, 15), (20, 20)),
    "clear": line((7, 7), (17, 17)) + line((17, 7), (7, 17)),
    "play": shape((8, 5.5), (18.5, 12), (8, 18.5)),
    "pause": line((8.5, 6), (8.5, 18)).replace("/>", ' stroke-width="3.5"/>')
    + line((15.5, 6), (15.5, 18)).replace("/>", ' stroke-width="3.5"/>'),
    "step-back": shape((17, 6.5), (9, 12), (17, 17.5)) + line((6, 6.5), (6, 17.5)),
    "step-forward": shape((7, 6.5), (15, 12), (7, 17.5)) + line((18, 6.5), (18, 17.5)),
    "loop": '<path d="M19.5 12a7.5 7.5 0 1 1-2.4-5.5"/>' + line((17.5, 2.8), (17.4, 6.8), (13.4, 6.7)),
    "grid": box(4, 4, 6.5, 6.5, 1.5)
    + box(13.5, 4, 6.5, 6.5, 1.5)
    + box(4, 13.5, 6.5, 6.5, 1.5)
    + box(13.5, 13.5, 6.5, 6.5, 1.5),
    "list": line((4, 6.5), (20, 6.5)) + line((4, 12), (20, 12)) + line((4, 17.5), (20, 17.5)),
    "add": line((12, 5), (12, 19)) + line((5, 12), (19, 12)),
    "folder": '<path d="M3.5 7.5a2 2 0 0 1 2-2h3.6l2 2.2h7.4a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z"/>',
    "film": box(3.5, 5.5, 17, 13)
    + line((8, 5.5), (8, 18.5))
    + line((16, 5.5), (16, 18.5))
    + line((3.5, 12), (8, 12))
    + line((16, 12), (20.5, 12)),
    "menu": circle(12, 5.5, 1, filled=True)
    + circle(12, 12, 1, filled=True)
    + circle(12, 18.5, 1, filled=True),
    "down": line((7, 10), (12, 15), (17, 10)),
    "right": line((10, 7), (15, 12), (10, 17)),
    "check": line((5, 12.5), (10, 17.5), (19, 7)),
    "alert": line((12, 4), (21, 19.5), (3, 19.5), (12, 4)) + line((12, 10), (12, 14)) + circle(12, 16.8, 0.4),
    "panel-left": box(3.5, 5, 17, 14) + line((9, 5), (9, 19)),
    "panel-right": box(3.5, 5, 17, 14) + line((15, 5), (15, 19)),
}

# The program's own mark: four branches of one moment.
APP = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
    '<rect x="2" y="2" width="60" height="60" rx="14" fill="#1B1E25"/>'
    '<g fill="none" stroke-width="5" stroke-linecap="round">'
    '<path d="M12 22 C24 22 24 12 32 12 S40 22 52 22" stroke="#4C8DFF"/>'
    '<path d="M12 32 C24 32 24 25 32 25 S40 32 52 32" stroke="#A678F0"/>'
    '<path d="M12 42 C24 42 24 38 32 38 S40 42 52 42" stroke="#F2994A"/>'
    '<path d="M12 52 H52" stroke="#3DB97A"/></g>'
    '<path d="M32 9 V55" stroke="#E8EAEE" stroke-width="2.5" stroke-linecap="round"/></svg>'
)


def draw() -> None:
    """Write every icon beside this script."""
    for name, body in ICONS.items():
        (FOLDER / f"{name}.svg").write_text(f"{HEAD}{body}</svg>\n", encoding="utf-8")
    # A style sheet cannot tint, so these two have a colour that shows on both grounds.
    arrow, tick = f"{HEAD}{ICONS['down']}</svg>", f"{HEAD}{ICONS['check']}</svg>"
    (FOLDER / "combo.svg").write_text(arrow.replace("currentColor", "#8A93A3") + "\n", encoding="utf-8")
    (FOLDER / "tick.svg").write_text(tick.replace("currentColor", "#FFFFFF") + "\n", encoding="utf-8")
    (FOLDER / "app.svg").write_text(APP + "\n", encoding="utf-8")


if __name__ == "__main__":
    draw()
