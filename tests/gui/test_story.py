"""The whole story in one window, with the real engine, workers and files of the demo world."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog

from app.gui.bench import Heartbeat
from app.gui.bridge import Bridge
from app.gui.main_window import MainWindow
from app.gui.session import Session

CLIPS = 8
PATIENCE_MS = 60_000
"""Importing torch and starting a worker take half a minute of a busy machine."""

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few files of the demo world, with what is said in them."""
    from m2hf_core.synthetic import demo_set
    from m2hf_core.synthetic.files import render_library

    folder = tmp_path_factory.mktemp("story") / "Holidays"
    render_library(demo_set(8, clips=CLIPS, queries=CLIPS).specs, folder)
    return folder


@pytest.fixture
def story(qtbot: Any, theme: Any, tmp_path: Path) -> Iterator[MainWindow]:
    window = MainWindow(Bridge(tmp_path / "data", "demo"), theme, Session(tmp_path / "data"))
    qtbot.addWidget(window)
    window.resize(1440, 900)
    window.show()
    window.bridge.start()
    yield window
    window.leave()


@pytest.mark.timeout(900)
def test_from_the_first_run_to_a_similar_caption(story, qtbot, videos) -> None:
    window = story
    troubles: list[object] = []
    window.bridge.failed.connect(troubles.append)

    def wait(condition) -> None:
        qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)

    heartbeat = Heartbeat()

    def tell(when: str) -> None:
        log.info("while %s: %s", when, heartbeat.take())

    # First run: a folder, and the demo's models that came with the preset.
    wait(lambda: any(d.objectName() == "welcome" for d in window.findChildren(QDialog)))
    welcome = next(d for d in window.findChildren(QDialog) if d.objectName() == "welcome")
    welcome.take_folder(videos)

    # The models are in memory, as a person finds them who was choosing folders meanwhile.
    wait(lambda: window.finding.can_search)
    tell("starting")

    # Indexing goes on behind the window until everything is searchable.
    welcome.begin.click()
    wait(lambda: window.finding.overview is not None and window.finding.overview.videos["ready"] == CLIPS)
    assert window.library.folders.rowCount() == 2

    # Typing brings moments, the first of them already while the words are written.
    tell("indexing")
    qtbot.keyClicks(window.search.field, "two green circles", delay=20)
    wait(
        lambda: (
            window.answer is not None and window.answer.query == "two green circles" and window.answer.hits
        )
    )
    wait(
        lambda: window.answer is not None and window.answer.videos == CLIPS
    )  # the last ones follow by themselves
    tell("typing")
    heartbeat.stop()

    # The keyboard goes through the cards; the moment says why it is there.
    qtbot.keyClick(window.search.field, Qt.Key.Key_Down)
    hit = window.preview.hit
    assert hit is not None
    assert hit.won_by
    assert window.preview.why.receipt.text()
    wait(lambda: bool(window.preview.strip._curves.get("visual")))
    wait(lambda: not window.thumbnails._fetching and not window.thumbnails._wanted)
    assert any(not picture.isNull() for picture in window.thumbnails._kept.values())

    # A branch that is switched off finds nothing any more.
    window.finding.answer = None
    qtbot.keyClick(window.results, Qt.Key.Key_1)
    wait(lambda: window.answer is not None)
    assert all("visual" not in found.won_by for found in window.answer.hits)
    window.finding.answer = None
    qtbot.keyClick(window.results, Qt.Key.Key_1)
    wait(lambda: window.answer is not None and bool(window.answer.hits))

    # Playing begins at the moment.
    moved: list[float] = []
    window._go_to_results()
    hit = window.preview.hit
    window.preview.player.moved.connect(moved.append)
    qtbot.keyClick(window.results, Qt.Key.Key_Space)
    wait(lambda: any(at_s > hit.best_s for at_s in moved) or window.preview.trouble.isVisible())
    assert not window.preview.trouble.isVisible(), window.preview.trouble.text()
    qtbot.keyClick(window.results, Qt.Key.Key_Space)

    # Video to text, and from there to a new search.
    qtbot.keyClick(window.results, Qt.Key.Key_C)
    captions = window.preview.captions
    wait(lambda: captions.captions.rowCount() > 0 or "Comparing" not in captions.note.text())
    assert captions.captions.rowCount() > 0, captions.note.text()
    text = captions.captions.data(captions.captions.index(0))
    captions.menu(captions.captions.index(0)).actions()[0].trigger()
    wait(lambda: window.answer is not None and window.answer.query == text)
    assert window.answer.hits

    # A caption of one's own can be taken back.
    window._go_to_results()
    dialog = window.actions_here.add_caption()
    dialog.field.setText("the green ones from the beach")
    dialog.accept()
    wait(lambda: window.notice.words.text() == "Caption added.")
    window.actions_here.undo.trigger()
    wait(lambda: window.notice.words.text() == "Caption removed.")
    assert troubles == []
