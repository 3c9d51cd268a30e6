"""The dialogs: what they show, what they wish, and the keyboard when they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from app.gui.dialog import Hint
from app.gui.dialogs import FailuresDialog, ModelsDialog, SettingsDialog
from app.gui.first_run import FirstRunDialog
from m2hf_core.config.settings import DECLARED
from m2hf_core.records import Branch

KEY = Qt.Key


def test_forgetting_asks_first(window, bridge) -> None:
    dialog = window.offices.forget(Path("/home/me/Family"))
    assert bridge.background.calls == []
    dialog.reject()
    assert bridge.background.calls == []
    window.offices.forget(Path("/home/me/Family")).accept()
    assert bridge.background.calls == [("forget", (Path("/home/me/Family"),))]


def test_settings_have_a_field_for_each_declared_one(qtbot, described) -> None:
    dialog = SettingsDialog(described)
    qtbot.addWidget(dialog)
    assert list(dialog.fields) == list(DECLARED)
    told: list[tuple[str, str]] = []
    dialog.changed.connect(lambda name, value: told.append((name, value)))
    dialog.fields["fusion"].setCurrentText("rrf")
    line = dialog.fields["ignore"]
    line.clear()
    qtbot.keyClicks(line, "*.part")
    qtbot.keyClick(line, KEY.Key_Return)
    assert told == [("fusion", "rrf"), ("ignore", "*.part")]
    dialog.say("It is one of these.")
    assert not dialog.trouble.isHidden()


@pytest.mark.parametrize("width", [300, 420, 640])
def test_every_hint_of_the_settings_is_read_in_full(qtbot, theme, width: int, described) -> None:
    dialog = SettingsDialog(described)
    qtbot.addWidget(dialog)
    dialog.resize(width, 240)
    dialog.show()
    hints = dialog.findChildren(Hint)
    assert len(hints) == len(DECLARED)
    qtbot.waitUntil(lambda: all(hint.height() >= hint.heightForWidth(hint.width()) for hint in hints))
    titles = [label.text() for label in dialog.findChildren(QLabel)]
    assert {"Shortest (s)", "Cache (MB)", "While in use"} <= set(titles)


def test_failures_are_listed_revealed_retried_and_saved(
    window, bridge, tmp_path, dialog_named, failures
) -> None:
    bridge.results["_failures"] = failures
    window.status.failures.click()
    dialog = dialog_named("failures")
    assert isinstance(dialog, FailuresDialog)
    assert dialog.rows.data(dialog.rows.index(0, 2)) == "It is empty."
    dialog.retry_wanted.emit()
    assert bridge.background.calls[-1][0] == "retry"
    window.offices.save_failures(dialog.failures, tmp_path / "failures.csv", dialog)
    bridge.operations[-1](None)
    assert "broken.mp4,probe,It is empty.,Copy it again." in (tmp_path / "failures.csv").read_text()
    dialog.close()


def test_models_are_used_only_when_one_is_chosen(window, bridge, dialog_named, presets) -> None:
    bridge.results["presets_known"] = (presets, "fast")
    window.offices.models()
    dialog = dialog_named("models")
    assert isinstance(dialog, ModelsDialog)
    assert "in use" in dialog.rows.data(dialog.rows.index(1, 1))
    dialog.use.click()
    assert dialog.note.text() == "Choose a preset first."
    dialog.table.selectRow(2)
    dialog.use.click()
    assert "best" in dialog.note.text()
    dialog.busy(True)
    assert not dialog.prepare.isEnabled()
    dialog.close()


def test_the_first_run_asks_for_folders_and_models(qtbot, tmp_path, presets) -> None:
    dialog = FirstRunDialog(presets, "fast")
    qtbot.addWidget(dialog)
    assert not dialog.begin.isEnabled()
    assert dialog.preset() == "fast"
    assert dialog.presets.buttons()[0].objectName() == "fast", (
        "the demo's models are no choice for real videos"
    )
    dialog.show_pace({"fast": 0.52, "best": 4.43})
    told = [label.text() for label in dialog.findChildren(QLabel) if "Speed: about" in label.text()]
    assert [text.split("about ")[1].split(" for")[0] for text in told] == ["30 minutes", "4.5 hours"]
    begun: list[tuple[object, str]] = []
    dialog.begun.connect(lambda folders, preset: begun.append((folders, preset)))
    dialog.take_folder(tmp_path)
    dialog.take_folder(tmp_path)
    dialog.begin.click()
    assert begun == [([tmp_path], "fast")]


def test_an_empty_library_is_welcomed_once(window, bridge, overview, dialog_named, presets) -> None:
    bridge.results["presets_known"] = (presets, "fast")
    bridge.overview.emit(overview(folders=()))
    assert dialog_named("welcome").isVisible()
    dialog_named("welcome").close()
    bridge.overview.emit(overview(folders=()))
    assert not dialog_named("welcome").isVisible()
    assert window.empty.sentence.text() == "No folder yet"


def test_keys_work_again_when_a_dialog_was_closed(
    window, qtbot, bridge, tmp_path, type_query, dialog_named, presets
) -> None:
    bridge.results["presets_known"] = (presets, "fast")
    window.offices.welcome(window.folder_office.add)
    welcome = dialog_named("welcome")
    qtbot.waitUntil(welcome.isActiveWindow)
    welcome.take_folder(tmp_path)
    welcome.begin.click()
    qtbot.waitUntil(window.isActiveWindow)
    type_query()
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    qtbot.keyClick(window.results, KEY.Key_1)
    assert Branch.VISUAL not in bridge.asked[-1].branches
