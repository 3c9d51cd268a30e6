"""The dialogs: what they show, what they wish, and the keyboard when they are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from app.gui.dialog import Hint
from app.gui.dialogs import FailuresDialog, ModelsDialog, SureDialog
from app.gui.first_run import FirstRunDialog
from app.gui.settings_dialog import SettingsDialog
from m2hf_core.config.paths import open_paths
from m2hf_core.config.settings import DECLARED
from m2hf_core.records import Branch

KEY = Qt.Key


def test_forgetting_asks_first(window, bridge) -> None:
    dialog = window.offices.forget(Path("/home/me/Family"))
    assert bridge.background.calls == []
    dialog.reject()
    assert bridge.background.calls == []
    dialog = window.offices.forget(Path("/home/me/Family"))
    assert dialog.cancel.isDefault(), "what is gone for good is not one careless Enter away"
    dialog.accept()
    assert bridge.background.calls == [("forget", (Path("/home/me/Family"),))]


def test_all_that_a_download_means_can_be_read(qtbot, theme) -> None:
    lines = [f"The network {n}: a_long_name_{'x' * 90}.safetensors, licence MIT" for n in range(30)]
    dialog = SureDialog("Download?", "1.2 GB to fetch.", "Download", details=lines)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.height() < 600, "it fits on a low screen"
    assert dialog.details.geometry().right() < dialog.width()
    assert dialog.details.horizontalScrollBar().maximum() == 0
    shown = dialog.details.verticalScrollBar()
    assert shown.maximum() > 0, "the rest is scrolled to"
    assert all(line in dialog.details.toPlainText() for line in lines)
    assert dialog.sure.isDefault()


def test_settings_have_a_field_for_each_declared_one(qtbot, described) -> None:
    dialog = SettingsDialog(described)
    qtbot.addWidget(dialog)
    assert list(dialog.fields) == list(DECLARED)
    told: list[tuple[str, str]] = []
    dialog.changed.connect(lambda name, value: told.append((name, value)))
    fusion = dialog.fields["fusion"]
    assert fusion.currentText() == "Best rank", "in the words of the window"
    fusion.setCurrentIndex(fusion.findData("rrf"))
    line = dialog.fields["ignore"]
    line.clear()
    qtbot.keyClicks(line, "*.part")
    qtbot.keyClick(line, KEY.Key_Return)
    assert told == [("fusion", "rrf"), ("ignore", "*.part")]
    dialog.say("It is one of these.")
    assert not dialog.trouble.isHidden()


def test_the_preset_is_chosen_among_those_there_are(window, bridge, tmp_path) -> None:
    bridge.results["read"] = []
    window.offices.settings()
    described = bridge.operations[-1](SimpleNamespace(paths=open_paths(tmp_path)))
    preset = next(one for one in described if one["id"] == "preset")
    assert preset["kind"] == "choice"
    assert {"demo", "fast", "balanced", "best"} <= set(preset["choices"])


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
    assert dialog.rows.data(dialog.rows.index(0, 1)) == "opening", "the stage in words"
    revealed: list[object] = []
    dialog.reveal_wanted.connect(revealed.append)
    dialog.reveal.click()
    assert (revealed, dialog.note.text()) == ([], "Choose a file first.")
    dialog.retry_wanted.emit()
    assert bridge.background.calls[-1][0] == "retry"
    window.offices.save_failures(dialog.failures, tmp_path / "failures.csv", dialog)
    bridge.operations[-1](None)
    stages = [
        replace(dialog.failures[0], stage=stage) for stage in ("identify", "length", "save", "anything")
    ]
    dialog.show_failures(stages)
    told = [dialog.rows.data(dialog.rows.index(row, 1)) for row in range(4)]
    assert told == ["reading it", "measuring", "saving", "working on it"]
    dialog.show_failures([])
    assert not any(button.isEnabled() for button in (dialog.retry, dialog.reveal, dialog.save)), (
        "there is nothing to do"
    )
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
    mistaken = tmp_path / ("a long name " * 20)
    dialog.take_folder(mistaken)
    dialog.show()
    assert dialog.folders.horizontalScrollBar().maximum() == 0, "a long path is shortened"
    dialog.folders.setCurrentRow(0)
    dialog.take_away.click()
    assert dialog.folders.count() == 0
    assert not dialog.begin.isEnabled()
    assert not dialog.take_away.isEnabled()
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


def test_folders_without_a_video_are_not_invited_to_be_searched(window, bridge, overview) -> None:
    bridge.overview.emit(overview(videos={}, examples=()))
    assert window.empty.sentence.text() == "No video so far"
    assert window.empty.button.text() == "Add folder…"
    bridge.overview.emit(overview(videos={"queued": 1}, examples=()))
    assert window.empty.sentence.text() == "What are you looking for?"


def test_the_list_of_keys_names_what_they_always_do(window, type_query) -> None:
    type_query()
    window._go_to_results()
    window.actions_here.judge("rain", "wrong")
    told = dict(window.menus.all_keys())
    assert told["Ctrl+Z"] == "Undo"
    assert "Redo" in told.values()


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
