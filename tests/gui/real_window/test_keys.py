"""The story once more in a real window, by keys alone."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from app.gui.session import Session

QUERY = "green circles"
PATIENCE_S = 240


@pytest.mark.timeout(900)
def test_a_person_with_a_keyboard_gets_from_the_first_run_to_an_export(
    screen, films, tmp_path, program, ready, wait_until
) -> None:
    data, table = tmp_path / "data", tmp_path / "found.csv"
    clips = len(list(films.glob("*.mp4")))
    screen.wait_for("^M2HF$")
    screen.wait_for("^Welcome")
    screen.take("welcome")
    screen.keys("Escape", "ctrl+n")
    screen.wait_for("^Add a folder")
    screen.keys("ctrl+a")
    screen.type(str(films))
    screen.take("folder")
    screen.keys("Return")
    wait_until(lambda: ready(data) == clips, "not everything became searchable", PATIENCE_S)
    screen.take("indexed")

    screen.keys("ctrl+f")
    screen.type(QUERY)
    time.sleep(5)
    screen.take("found")
    screen.keys("Down", "space")
    time.sleep(3)
    screen.take("playing")
    screen.keys("space", "1")
    time.sleep(1)
    screen.take("without-pictures")
    screen.keys("1", "c")
    time.sleep(8)
    screen.take("captions")
    screen.keys("e", "Down", "Down", "Return")
    screen.wait_for("^Export")
    screen.keys("ctrl+a")
    screen.type(str(table))
    screen.keys("Return")
    wait_until(table.exists, "nothing was exported")
    screen.take("exported")
    for keys, title in ((("ctrl+comma",), "^Settings"), (("question",), "^Keys")):
        screen.keys(*keys)
        dialog = screen.wait_for(title)
        screen.take(title.strip("^").lower())
        screen.keys("Escape")
        wait_until(lambda dialog=dialog, title=title: dialog not in screen.windows(title), "it stays open")
    screen.keys("alt+F4")
    assert program.wait(PATIENCE_S) == 0
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [QUERY], "the chosen moment and no other"
    assert Path(rows[0]["video"]).parent == films
    assert Session(data).texts("recent")[0] == QUERY
