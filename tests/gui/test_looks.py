"""How it looks, as far as figures can say: contrast, sizes at twice the density, and names for screen readers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QFont, QImage
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QPushButton

from app.gui.icons import icon
from app.gui.receipts import explanation, headline, ordinal
from app.gui.records import Work
from app.gui.theme import DARK, LIGHT, READABLE, Theme, contrast
from m2hf_core.config.paths import resources_dir
from m2hf_core.records import BRANCHES, Branch, BranchHit


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast(QColor("#000000"), QColor("#FFFFFF")) == pytest.approx(21.0)
    assert contrast(QColor("#767676"), QColor("#FFFFFF")) == pytest.approx(4.54, abs=0.01)


@pytest.fixture
def former_colours(theme: Theme) -> Iterator[None]:
    """All tests share one theme."""
    former = theme.colours
    yield
    theme.use(former)


@pytest.mark.usefixtures("former_colours")
@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_text_can_be_read(colours) -> None:
    pairs = [(colours.text, ground) for ground in (colours.ground, colours.panel, colours.raised)]
    pairs += [(colours.muted, ground) for ground in (colours.panel, colours.ground)]
    assert [pair for pair in pairs if contrast(QColor(pair[0]), QColor(pair[1])) < 4.4] == []
    for branch in BRANCHES:
        badge = colours.wash(branch, over=colours.raised)
        assert contrast(colours.ink(branch), badge) >= READABLE, branch


@pytest.mark.usefixtures("former_colours")
@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("kind", ["link", "indented"])
def test_what_cannot_be_pressed_does_not_look_as_if_it_could(qtbot, theme, colours, kind) -> None:
    theme.use(colours)
    button = QPushButton("All branches")
    button.setObjectName(kind)
    font = button.font()
    font.setStyleStrategy(QFont.StyleStrategy.NoAntialias)  # smooth letters have edges in every colour
    button.setFont(font)
    qtbot.addWidget(button)
    button.show()

    def most_colour() -> int:
        """Of any pixel, red, green and blue apart: a link is blue, other words are nearly grey."""
        image = button.grab().toImage()
        pixels = [image.pixelColor(x, y) for x in range(button.width()) for y in range(button.height())]
        return max(max(p.getRgb()[:3]) - min(p.getRgb()[:3]) for p in pixels)

    pressable = most_colour()
    button.setEnabled(False)
    greyed = most_colour()
    assert pressable > 120
    assert greyed < 60


def test_every_icon_is_drawn_by_the_script_and_shows_something(qapp, tmp_path) -> None:
    drawn = resources_dir() / "icons"
    names = sorted(file.stem for file in drawn.glob("*.svg"))
    for name in names:
        image = icon(name, "#FF0000").pixmap(24, 24).toImage().convertToFormat(QImage.Format.Format_ARGB32)
        assert any(QColor(image.pixelColor(x, y)).alpha() > 0 for x in range(24) for y in range(24)), name
    script = (
        (drawn / "draw.py")
        .read_text("utf-8")
        .replace("Path(__file__).resolve().parent", f"Path({str(tmp_path)!r})")
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert sorted(file.stem for file in tmp_path.glob("*.svg")) == names
    assert [
        n for n in names if (tmp_path / f"{n}.svg").read_bytes() != (drawn / f"{n}.svg").read_bytes()
    ] == []


def test_everything_that_can_be_pressed_has_a_name(window) -> None:
    pressed = [
        button for button in window.findChildren(QAbstractButton) if not button.objectName().startswith("qt_")
    ]
    assert len(pressed) > 10
    nameless = [b for b in pressed if b.isVisible() and not (b.accessibleName() or b.text())]
    assert nameless == []
    fields = [field for field in window.findChildren(QLineEdit) if field.isVisible()]
    assert [field for field in fields if not field.accessibleName()] == []
    assert window.results.accessibleName()


@pytest.mark.usefixtures("former_colours")
@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (900, 600)])
def test_nothing_is_cut_off_at_usual_sizes(window, theme, qtbot, colours, size) -> None:
    theme.use(colours)
    window.resize(*size)
    window.search.search_for("a dog")
    qtbot.waitUntil(lambda: window.results.results.rowCount() > 0)
    window._go_to_results()
    window.status.show_work(Work("working", "", f"a {'long ' * 20}name.mp4", "s3d", 0.4, 3.2, 1260.0))
    qtbot.wait(20)
    letters = window.search.field.fontMetrics().horizontalAdvance("a dog barking")
    assert window.search.field.width() >= letters, "what is typed can be seen"
    buttons = [*window.search.chips.values(), *window.preview.buttons.values()]
    short = [button.text() for button in buttons if button.width() < button.sizeHint().width()]
    assert short == []
    assert window.width() == size[0], "the window does not force its own width"
    assert window.minimumSizeHint().width() <= size[0], "not for the words of the status line either"


def test_the_picture_is_sharp_at_twice_the_density() -> None:
    """In a process of its own, since the factor is read once."""
    code = (
        "from app.gui.start import make_application\n"
        "from app.gui.theme import Theme\nfrom app.gui.search_bar import SearchBar\n"
        "a = make_application(); t = Theme(a); b = SearchBar(t); b.resize(1200, 64); b.show()\n"
        "p = b.grab(); print(p.width(), p.height(), p.devicePixelRatio())\n"
    )
    environment = {**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert told.stdout.split()[-3:] == ["2400", "128", "2.0"]


def test_the_receipt_says_no_more_than_it_knows(hits) -> None:
    audio = hits(2)[1]
    assert headline(audio).startswith("Found by sound")
    heard = hits(2, heard=True)[1]
    assert headline(heard) == "Heard at 0:05"
    assert "Without sound it would be 198th" in explanation(heard)
    spoken = hits(4, words=("dog", "patio"))[3]
    assert headline(spoken) == "Said at 0:05: “dog”, “patio”"
    both = hits(1, won_by=(Branch.VISUAL, Branch.AUDIO))[0]
    assert "Without" not in explanation(both), "with two winners no single one decides"
    beyond = hits(1, without={Branch.VISUAL: "beyond 500", Branch.AUDIO: 1})[0]
    assert "beyond 500" in explanation(beyond)
    silent = hits(1, won_by=(), branches={Branch.VISUAL: None, Branch.AUDIO: BranchHit(3, 0.1)})[0]
    assert headline(silent) == "No branch ranks this moment"


def test_ranks_are_written_as_people_say_them() -> None:
    shown = [ordinal(rank) for rank in (1, 2, 3, 4, 11, 12, 13, 21, 101, 111)]
    assert shown == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st", "111th"]
