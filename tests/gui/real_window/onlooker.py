"""Prints what a screen reader is told of the program on this desktop: one JSON object per part, in its order.

A program of its own for the system's Python, which has the desktop's accessibility library (python3-gi,
gir1.2-atspi-2.0). Nothing in the window knows of it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402 - the version has to be chosen first

STATES = {
    "showing": Atspi.StateType.SHOWING,
    "checked": Atspi.StateType.CHECKED,
    "focused": Atspi.StateType.FOCUSED,
    "selected": Atspi.StateType.SELECTED,
    "enabled": Atspi.StateType.ENABLED,
}


def tell(part: Any) -> None:
    """One part and everything within it. Parts that vanish meanwhile are passed over."""
    states = part.get_state_set()
    area = part.get_extents(Atspi.CoordType.SCREEN)
    found = {name: states.contains(state) for name, state in STATES.items()}
    words = {"role": part.get_role_name(), "name": part.get_name() or "", "text": text_of(part)}
    place = [area.x, area.y, area.width, area.height] if area is not None else [0, 0, 0, 0]
    sys.stdout.write(json.dumps(words | found | {"area": place}) + "\n")
    for number in range(part.get_child_count()):
        child = part.get_child_at_index(number)
        if child is not None:
            try:
                tell(child)
            except gi.repository.GLib.Error:
                continue


def text_of(part: Any) -> str:
    """What stands in a field."""
    if part.get_role() not in (Atspi.Role.TEXT, Atspi.Role.ENTRY):
        return ""
    return str(part.get_text(0, -1))


if __name__ == "__main__":
    desktop = Atspi.get_desktop(0)
    for place in range(desktop.get_child_count()):
        tell(desktop.get_child_at_index(place))
