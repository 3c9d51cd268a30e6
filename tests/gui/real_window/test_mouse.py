"""The story in a real window by mouse; the keyboard only writes. Places are those that a screen reader is told."""

from __future__ import annotations

import csv
import time

import pytest

QUERY = "green circles"
PATIENCE_S = 240
STRIP = "Where in the video each branch finds the query"


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("needs_onlooker")
def test_a_person_with_a_mouse_gets_from_the_first_run_to_an_export(
    screen, films, tmp_path, program, ready, wait_until, menu_places
) -> None:
    data, table = tmp_path / "data", tmp_path / "found.csv"
    clips = len(list(films.glob("*.mp4")))

    screen.wait_for("^Welcome")
    screen.click(*screen.one("push button", "Add folder…").at())
    screen.wait_for("^Add a folder")
    screen.keys("ctrl+a")
    screen.type(str(films))
    screen.keys("Return")
    screen.one("list item", str(films))
    screen.take("first-run")
    screen.click(*screen.one("push button", "Begin").at())
    wait_until(lambda: not screen.windows("^Welcome"), "the first run stays open")
    screen.take("indexing")
    wait_until(lambda: ready(data) == clips, "not everything became searchable", PATIENCE_S)

    screen.click(*screen.one("text", "Search").at())
    screen.type(QUERY)
    cards = [screen.one("list item", "clip_")]
    wait_until(lambda: len(cards_of(screen)) >= 4, "too few moments are shown")
    cards = cards_of(screen)
    screen.take("found")

    # The pointer over a card goes through its clip; away from it the best moment is back.
    second = cards[1]
    shown = set()
    for across in (0.1, 0.9):
        screen.point(*second.at(across, 0.3))
        time.sleep(3)
        shown.add(screen.pixels(second.area))
        screen.take("scrubbing")
    assert len(shown) == 2, "hovering shows other pictures of the clip"

    # A click chooses; what is chosen is told on the right.
    screen.click(*second.at())
    wait_until(lambda: second.name in [card.name for card in cards_of(screen) if card.selected], "not chosen")
    screen.take("chosen")

    # A click into the curves goes there, without playing.
    strip = screen.one("filler", STRIP)
    left, top, width, _ = strip.area
    stage = (left, top - width * 9 // 16 - 50, width, width * 9 // 16)
    shown = set()
    for across, second_shown in ((0.25, "0:00"), (0.97, "0:03")):
        screen.click(*strip.at(across))
        wait_until(lambda s=second_shown: screen.find("label", "0:0")[0].name == s, "it does not go there")
        time.sleep(3)
        shown.add(screen.pixels(stage))
        screen.take("sought")
    assert len(shown) == 2, "the picture is that of the place"

    # Visual off: nothing else hears or sees in these films, so the moments go; on again, they are back.
    visual = screen.one("check box", "Search by Visual")
    assert visual.checked
    screen.click(*visual.at())
    wait_until(lambda: not screen.one("check box", "Search by Visual").checked, "the chip stays on")
    wait_until(lambda: not cards_of(screen), "moments that only pictures found are still there")
    screen.take("without-pictures")
    screen.click(*visual.at())
    wait_until(lambda: [c.name for c in cards_of(screen)] == [c.name for c in cards], "they are not back")

    # Play at the moment, by the button below the picture.
    screen.click(*cards_of(screen)[0].at())
    wait_until(lambda: screen.find("label", "0:0")[0].name == "0:02", "it does not stand at the moment")
    screen.click(*screen.one("push button", "Play").at())
    wait_until(lambda: screen.find("label", "0:0")[0].name != "0:02", "it does not play")
    screen.take("playing")

    # The border between results and preview follows the pointer.
    stage = screen.one("push button", "Similar captions")
    border = screen.one("filler", STRIP).area[0] - 17
    screen.drag((border, 500), (border - 80, 500))
    assert screen.one("push button", "Similar captions").area[0] == pytest.approx(stage.area[0] - 80, abs=3)
    screen.take("wider-preview")

    # Right click, "Find similar captions", and a click on one searches with it.
    before = screen.all_windows()
    card = cards_of(screen)[0]
    screen.click(*card.at(), button=3)
    left, top, width, height = screen.popup(before)
    size, places = menu_places()
    assert (width, height) == size
    x, y = places["Find similar captions"]
    screen.point(left + x, top + y)
    screen.take("menu")
    screen.click(left + x, top + y)
    heading = screen.one("label", "SIMILAR CAPTIONS")

    def captions() -> list[object]:
        return [part for part in screen.find("list item") if part.area[0] >= heading.area[0] - 4]

    wait_until(lambda: len(captions()) > 1, "no captions")
    screen.take("captions")
    caption = captions()[1]
    screen.click(*caption.at())
    wait_until(lambda: _asked(screen) not in ("", QUERY), "the caption is not searched with")
    words = _asked(screen)
    assert words in caption.name
    wait_until(lambda: bool(cards_of(screen)), "nothing is found by the caption")
    screen.take("searched-by-caption")

    # The folder is left by its menu, whose second entry does that; a moment that is dragged there is its file, whose
    # folder is watched again.
    folder = screen.one("table cell", films.name)
    before = screen.all_windows()
    screen.click(*folder.at(), button=3)
    left, top, width, height = screen.popup(before)
    screen.take("folder-menu")
    screen.click(left + width // 2, top + height // 2)
    told = f"{films.name}, {clips}"
    wait_until(lambda: screen.one("table cell", films.name).name == f"{told} · not watched", "it is watched")
    screen.take("not-watched")
    screen.drag(cards_of(screen)[0].at(), screen.one("check box", "Has speech").at())
    wait_until(lambda: screen.one("table cell", films.name).name == told, "it is not watched again")
    screen.take("watched-again")

    # The button below opens the formats; the second is the table.
    screen.click(*cards_of(screen)[0].at())
    before = screen.all_windows()
    screen.click(*screen.one("push button", "Export").at())
    left, top, width, height = screen.popup(before)
    screen.take("formats")
    screen.click(left + width // 3, top + round(1.5 * height / 5))
    screen.wait_for("^Export")
    screen.keys("ctrl+a")
    screen.type(str(table))
    screen.keys("Return")
    wait_until(table.exists, "nothing was exported")
    screen.one("label", "1 file written")
    screen.take("exported")
    screen.keys("alt+F4")
    assert program.wait(PATIENCE_S) == 0
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [words], "the chosen moment and no other"


def _asked(screen) -> str:
    """What stands in the search field."""
    return screen.one("text", "Search").text


def cards_of(screen) -> list:
    """The moments on screen, as they are told, in their order."""
    return screen.find("list item", "clip_")
