"""The window as a whole: folders, the status line, every entry of its menus, and what it remembers."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QDialog

from app.gui.main_window import MainWindow
from app.gui.records import Work
from app.gui.restoring import keep
from app.gui.session import Session

KEY = Qt.Key


def test_a_folder_is_dropped_added_removed_and_watched_again(window, bridge, tmp_path) -> None:
    mime = QMimeData()
    (tmp_path / "film.mp4").touch()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path)), QUrl.fromLocalFile(str(tmp_path / "film.mp4"))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.library.dropEvent(event)
    assert bridge.background.calls == [("add_folder", (tmp_path,))]
    assert window.notice.words.text() == f"Looking for videos in {tmp_path.name}.", "none is there so far"
    folder = window.library.folders.folder(window.library.folders.index(1, 0))
    reveal, stop, forget = window.library.folder_menu(folder).actions()
    stop.trigger()
    assert bridge.background.calls[-1] == ("remove_folder", (folder.path,))
    assert "not watched any more" in window.notice.words.text()
    window.notice.button.click()
    assert bridge.background.calls[-1] == ("add_folder", (folder.path,))
    assert window.notice.words.text() == f"{folder.path.name} is watched again."
    assert (reveal.isEnabled(), forget.isEnabled()) == (True, True)


def test_a_sentence_that_became_false_does_not_stay(window, bridge, monkeypatch, tmp_path) -> None:
    office, told = window.folder_office, window.notice.words
    for left in ("Holidays", "Phone"):
        office.remove(tmp_path / left)
    assert told.text().startswith("Phone is not watched any more")
    office.add([tmp_path])
    assert told.text() == "Holidays is watched again. Phone is watched again.", "the folder above brings both"
    assert not window.notice.button.isVisible(), "there is nothing to undo"
    window.notice.say("Something else.")
    office.add([tmp_path])
    assert "again" not in told.text(), "it is told once"

    late: list[object] = []
    monkeypatch.setattr(bridge, "with_background", lambda _, then=None: late.append(then))
    office.remove(tmp_path / "Phone")
    office.add([tmp_path / "Phone"])
    late[0](None)
    assert told.text() == "Phone is watched again.", "though leaving it came through only now"


def test_the_status_line_tells_and_pauses(window, bridge) -> None:
    bridge.working.emit(Work("working", "", "beach.mp4", "audio", 0.6, 3.2, 840.0))
    assert "beach.mp4" in window.status.doing.text()
    assert window.status.pace.text() == "3.2× real time · 14 min left"
    window.status.pause.click()
    assert bridge.background.calls[-1][0] == "pause"
    bridge.working.emit(Work("paused", "Paused by you.", share=0.6))
    assert window.status.pause.text() == "Resume"
    window.status.pause.click()
    assert bridge.background.calls[-1][0] == "resume"
    bridge.working.emit(Work("idle"))
    assert not window.status.pause.isVisible()
    assert not window.status.bar.isVisible()


@pytest.mark.parametrize("state", ["failed", "idle"])
def test_trouble_of_indexing_is_told_in_words(window, bridge, state) -> None:
    bridge.working.emit(Work(state, "The disk is full. Free some space."))
    assert window.status.doing.text() == "The disk is full. Free some space."


def test_every_entry_of_the_menus_works_or_is_disabled(
    window, bridge, monkeypatch, type_query, described, presets, failures, scorers
) -> None:
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getExistingDirectory", lambda *_: "")
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: ("", ""))
    bridge.results |= {
        "read": described,
        "presets_known": (presets, "fast"),
        "_failures": failures,
        "_scorers": scorers,
    }
    assert not any(action.isEnabled() for action in window.actions_here.all())
    type_query()
    window._go_to_results()
    menu = window.actions_here.menu(window)
    entries = [action for action in menu.actions() if action.text()]
    assert all(action.isEnabled() for action in entries)
    for action in [*entries, *window.menus.entries]:
        if action not in (window.actions_here.play,):
            action.trigger()
    shown = {dialog.objectName() for dialog in window.findChildren(QDialog) if dialog.isVisible()}
    assert {"settings", "models", "scorers", "failures", "keys", "about"} <= shown
    for dialog in window.findChildren(QDialog):
        dialog.close()


def test_the_session_is_restored(window, qtbot, theme, bridge, tmp_path, type_query) -> None:

    type_query("rain")
    window.finding._tell_lingering()
    window._save_search()
    window.search.form.setChecked(True)
    window.search.set_fusion("rrf")
    keep(window)
    again = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(again)
    assert again.library.saved_searches() == ["rain"]
    assert again.library.recent.item(0).text() == "rain"
    assert again.results.list_form
    assert again.search.fusion == "rrf"
