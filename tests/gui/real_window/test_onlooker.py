"""Whoever looks at the real window may fail, which is not the same as seeing nothing."""

from __future__ import annotations

import json

import pytest

PART = {
    "role": "label",
    "name": "found",
    "text": "",
    "showing": True,
    "checked": False,
    "focused": False,
    "selected": False,
    "enabled": True,
    "area": [0, 0, 10, 10],
}
FAILS_ONCE = """
import pathlib, sys
mark = pathlib.Path(__file__).with_suffix(".failed")
if not mark.exists():
    mark.touch()
    sys.exit("the part has vanished")
print({row!r})
"""


def test_an_onlooker_that_fails_looks_again(seen_by) -> None:
    screen = seen_by(FAILS_ONCE.format(row=json.dumps(PART)))
    assert [part.name for part in screen.parts()] == ["found"]


def test_an_onlooker_that_keeps_failing_is_no_empty_screen(seen_by) -> None:
    screen = seen_by("import sys; sys.exit('no bus')")
    with pytest.raises(AssertionError, match="no bus"):
        screen.parts()
