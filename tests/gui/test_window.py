"""The panels and their keys, with a bridge that answers at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QItemSelectionModel, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QDialog, QLabel

from app.gui.dialog import Hint
from app.gui.dialogs import FailuresDialog, ModelsDialog, SettingsDialog
from app.gui.first_run import FirstRunDialog
from app.gui.records import Moment, Trouble, Work
from m2hf_core.config.settings import DECLARED
from m2hf_core.errors import KnownError
from m2hf_core.records import BRANCHES, Branch, Failure

KEY = Qt.Key


def type_query(window, qtbot, text: str = "a dog") -> None:
    qtbot.keyClicks(window.search.field, text)
    qtbot.waitUntil(lambda: window.answer is not None and window.answer.query.startswith(text))


def dialog_named(window, name: str) -> QDialog:
    found = [child for child in window.findChildren(QDialog) if child.objectName() == name]
    assert found, f"no dialog {name}"
    return found[-1]


def test_typing_asks_and_shows_cards_in_sections(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    assert bridge.asked[-1].branches == BRANCHES
    assert [section.key for section in window.results.results.sections] == ["likely", "maybe", "probably not"]
    assert "3 videos not yet heard" in window.receipt.text()
    assert "61 of 64" in window.search.took.text()


def test_what_is_looked_at_is_made_searchable_first(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    assert bridge.background.calls == [("look_at", ([window.preview.hit.video],))]
    folder = window.library.folders.folder(window.library.folders.index(1, 0))
    window.library.tree.setCurrentIndex(window.library.folders.index(1, 0))
    assert bridge.background.calls[-1] == ("look_at", ([folder.path],))
    bridge.results["raise_unseen"] = 3
    window.receipt.linkActivated.emit("first")
    assert "3 videos go first" in window.notice.words.text()
    assert 'href="first"' in window.receipt.text()


def test_escape_clears_and_examples_return(window, qtbot) -> None:
    type_query(window, qtbot)
    qtbot.keyClick(window.search.field, KEY.Key_Escape)
    qtbot.waitUntil(lambda: window.results.results.rowCount() == 0)
    assert window.empty.isVisible()
    assert "a dog barking on a patio" in window.empty.examples[0].text()
    window.empty.examples[0].click()
    assert window.search.field.text() == "a dog barking on a patio"


def test_down_goes_to_the_cards_and_the_moment_is_explained(window, qtbot) -> None:
    type_query(window, qtbot)
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    hit = window.results.current_hit()
    assert hit is not None
    assert hit.rank == 1
    assert window.preview.hit == hit
    assert "198th" in window.preview.receipt.text()
    assert "dog" in window.preview.transcript.toPlainText()
    qtbot.keyClick(window.results, KEY.Key_Right)
    assert window.preview.hit.rank == 2


def test_heard_is_said_only_when_it_mattered(window, qtbot, bridge, answer, hits) -> None:
    found = hits(2)
    bridge.answer = lambda text: answer(text, hits=2)
    type_query(window, qtbot)
    window.results.setCurrentIndex(window.results.results.index(1))
    assert window.preview.hit.won_by == (Branch.AUDIO,)
    assert "Heard" not in window.preview.receipt.text()
    assert "Found by sound" in window.preview.receipt.text()
    assert found[1].heard is False


def test_a_chip_takes_its_branch_out_and_back(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    window.results.setFocus()
    qtbot.keyClick(window.results, KEY.Key_2)
    assert Branch.AUDIO not in bridge.asked[-1].branches
    qtbot.keyClick(window.results, KEY.Key_2)
    assert Branch.AUDIO in bridge.asked[-1].branches


def test_digits_in_the_field_are_text(window, qtbot) -> None:
    type_query(window, qtbot, "2 dogs")
    assert all(chip.isChecked() for chip in window.search.chips.values())


def test_without_any_branch_the_window_says_so(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    for chip in window.search.chips.values():
        chip.setChecked(False)
    assert "No branch" in window.empty.sentence.text()
    window.empty.button.click()
    assert len(bridge.asked[-1].branches) == 4


def test_fusion_and_order_are_asked_and_kept(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    for action in window.search.fusing.menu().actions():
        if action.data() == "rrf":
            action.trigger()
    assert bridge.asked[-1].fusion == "rrf"
    window.search.set_one_per_video(True)
    assert "By video" in window.search.ordering.text()


def test_the_fusion_is_the_librarys_until_another_is_chosen(qtbot, theme, bridge, overview, tmp_path) -> None:
    from app.gui.main_window import MainWindow
    from app.gui.session import Session

    first, second = (MainWindow(bridge, theme, Session(tmp_path)) for _ in range(2))
    for window in (first, second):
        qtbot.addWidget(window)
    first.search.field.setText("rain")
    first._show_overview(overview(fusion="mean-rank"))
    assert bridge.asked[-1].fusion == "mean-rank"
    first._keep()
    second._restore()
    second.search.set_fusion("rrf")
    second._show_overview(overview(fusion="mean-rank"))
    assert (first.search.own_fusion, second.search.fusion) == (None, "rrf")
    titles = {action.data(): action.text() for action in first.search.fusing.menu().actions()}
    assert [fusion for fusion, title in titles.items() if "recommended" in title] == ["rrf"]


def test_pictures_that_were_not_there_are_asked_again_after_indexing(window, bridge, overview) -> None:
    moment = Moment(Path("/v/new.mp4"), 1.0)
    bridge.pictured.emit(moment, QImage())
    assert window.thumbnails.get(moment).isNull()
    videos = dict(overview().videos)
    window._show_overview(overview(videos=videos))
    assert window.thumbnails.get(moment).isNull()
    window._show_overview(overview(videos={**videos, "ready": videos["ready"] + 1}))
    window.thumbnails.get(moment)
    assert bridge.pictures_asked[-1] == moment


def test_nothing_found_says_what_could_not_be_searched(window, qtbot, bridge, answer) -> None:
    bridge.answer = lambda text: answer(text, hits=0, abstained={"audio": "needs a trained scorer"})
    type_query(window, qtbot)
    assert window.empty.sentence.text() == "Nothing found"
    assert "needs a trained scorer" in window.empty.hint.text()
    assert "3 videos" in window.empty.hint.text()


def test_the_chosen_moment_stays_chosen_when_it_moves(window, qtbot, bridge, answer, hits) -> None:
    type_query(window, qtbot)
    window.results.setCurrentIndex(window.results.results.index(2))
    turned = tuple(reversed(hits(3)))
    bridge.answer = lambda text: replace(answer(text), hits=turned)
    qtbot.keyClicks(window.search.field, " x")
    qtbot.waitUntil(lambda: window.results.results.rowCount() == 3)
    assert window.results.current_hit().clip_id == 3
    assert window.results.currentIndex().row() == 0


def test_filters_are_words_of_the_query(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    window.library.spoken.setChecked(True)
    window.library.length.setCurrentIndex(1)
    assert bridge.asked[-1].text == "a dog shorter:1m has:speech"
    window.library.tree.setCurrentIndex(window.library.folders.index(3, 0))
    assert 'in:"media/Holiday disk"' in bridge.asked[-1].text
    window.library.clear_filters()
    assert bridge.asked[-1].text == "a dog"


def test_a_folder_is_dropped_added_removed_and_watched_again(window, qtbot, bridge, tmp_path) -> None:
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
    folder = window.library.folders.folder(window.library.folders.index(1, 0))
    reveal, stop, forget = window.library.folder_menu(folder).actions()
    stop.trigger()
    assert bridge.background.calls[-1] == ("remove_folder", (folder.path,))
    assert window.notice.isVisible()
    window.notice.button.click()
    assert bridge.background.calls[-1] == ("add_folder", (folder.path,))
    assert (reveal.isEnabled(), forget.isEnabled()) == (True, True)


def test_forgetting_asks_first(window, bridge) -> None:
    dialog = window.offices.forget(Path("/home/me/Family"))
    assert bridge.background.calls == []
    dialog.reject()
    assert bridge.background.calls == []
    window.offices.forget(Path("/home/me/Family")).accept()
    assert bridge.background.calls == [("forget", (Path("/home/me/Family"),))]


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


def test_similar_captions_are_shown_searched_and_judged_with_a_way_back(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    qtbot.keyClick(window.results, KEY.Key_C)
    panel = window.preview.captions
    assert panel.isVisible()
    assert panel.captions.rowCount() == 3
    panel.view.setCurrentIndex(panel.captions.index(1))
    right, wrong = panel.view.actions()
    wrong.trigger()
    assert "wrong" in window.notice.words.text()
    assert window.actions_here.undo_stack.count() == 1
    window.notice.button.click()
    assert window.actions_here.undo_stack.canRedo()
    assert right.shortcut().toString() == "P"
    panel.menu(panel.captions.index(0)).actions()[0].trigger()
    assert window.search.field.text() == "a dog on a patio"


def test_similar_moments_replace_the_results(window, qtbot) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    window.preview.buttons["similar"].click()
    assert "Moments like clip_00000.mp4" in window.receipt.text()
    assert window.results.results.rowCount() == 5


def test_a_fresh_look_at_the_library_disturbs_nothing(window, qtbot, bridge, answer, monkeypatch) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    sought: list[float] = []
    monkeypatch.setattr(window.preview.player, "show_moment", lambda *place: sought.append(place[1]))
    again = SimpleNamespace(asked=None, answer=answer("a dog"), error=None, refreshed=True)
    bridge.answered.emit(again)
    assert sought == [], "what plays goes on playing"
    window.preview.buttons["similar"].click()
    bridge.answered.emit(again)
    assert "Moments like" in window.receipt.text(), "the likes of a moment stay until words are asked"


def test_selected_moments_are_exported_and_shown(window, qtbot, monkeypatch, tmp_path) -> None:
    target = tmp_path / "moments.csv"
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(target), ""))
    type_query(window, qtbot)
    view = window.results
    view.setCurrentIndex(view.results.index(1))
    view.selectionModel().select(view.results.index(4), QItemSelectionModel.SelectionFlag.Select)
    forms = {action.text(): action for action in window.exporting.menu(window).actions()}
    assert len(forms) == 5
    forms["Table (CSV)…"].trigger()
    rows = target.read_text("utf-8").splitlines()
    assert len(rows) == 3
    assert "clip_00001.mp4" in rows[1]
    assert "clip_00004.mp4" in rows[2]
    assert window.notice.words.text() == "1 file written."


def test_an_export_that_fails_says_why(window, qtbot, tmp_path) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    (tmp_path / "file").touch()
    window.exporting.export("csv", tmp_path / "file" / "moments.csv")
    assert "cannot be written" in window.notice.words.text()


def test_a_caption_is_added_and_taken_back(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    dialog = window.actions_here.add_caption()
    assert not dialog.ok.isEnabled()
    qtbot.keyClicks(dialog.field, "a dog on a patio")
    before = len(bridge.operations)
    dialog.accept()
    assert len(bridge.operations) == before + 1
    assert window.notice.words.text() == "Caption added."
    window.actions_here.undo.trigger()
    assert window.notice.words.text() == "Caption removed."


def test_paths_and_times_are_copied(window, qtbot) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    window.actions_here.copy_path.trigger()
    assert QGuiApplication.clipboard().text() == "/videos/clip_00000.mp4"
    window.actions_here.copy_time.trigger()
    assert QGuiApplication.clipboard().text() == "00:00:04.000"


def test_a_file_that_is_gone_is_a_sentence_not_an_error(window, qtbot) -> None:
    type_query(window, qtbot)
    window._go_to_results()
    window.actions_here.reveal.trigger()
    assert "is not there now" in window.notice.words.text()
    window.actions_here.open.trigger()
    assert "is not there now" in window.notice.words.text()


def test_every_entry_of_the_menus_works_or_is_disabled(window, qtbot, bridge, monkeypatch) -> None:
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getExistingDirectory", lambda *_: "")
    bridge.results |= {"read": DESCRIBED, "_presets": (PRESETS, "fast"), "_failures": FAILURES}
    assert not any(action.isEnabled() for action in window.actions_here.all())
    type_query(window, qtbot)
    window._go_to_results()
    menu = window.actions_here.menu(window)
    entries = [action for action in menu.actions() if action.text()]
    assert all(action.isEnabled() for action in entries)
    for action in [*entries, *window._entries]:
        if action not in (window.actions_here.play,):
            action.trigger()
    shown = {dialog.objectName() for dialog in window.findChildren(QDialog) if dialog.isVisible()}
    assert {"settings", "models", "failures", "keys", "about"} <= shown
    for dialog in window.findChildren(QDialog):
        dialog.close()


DESCRIBED = [
    {
        "id": setting.name,
        "title": setting.title,
        "value": setting.default,
        "default": setting.default,
        "kind": setting.kind,
        "choices": setting.choices,
        "help": setting.help,
    }
    for setting in DECLARED.values()
]
PRESETS = [
    {
        "id": name,
        "state": "not here",
        "size": "600 MB",
        "licence": "MIT",
        "title": name.title(),
        "sentence": "Good.",
    }
    for name in ("demo", "fast", "best")
]
FAILURES = [Failure(Path("/v/broken.mp4"), "f", "probe", "It is empty.", "Copy it again.", 1, True)]


def test_settings_have_a_field_for_each_declared_one(qtbot) -> None:
    dialog = SettingsDialog(DESCRIBED)
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
def test_every_hint_of_the_settings_is_read_in_full(qtbot, theme, width: int) -> None:
    dialog = SettingsDialog(DESCRIBED)
    qtbot.addWidget(dialog)
    dialog.resize(width, 240)
    dialog.show()
    hints = dialog.findChildren(Hint)
    assert len(hints) == len(DECLARED)
    qtbot.waitUntil(lambda: all(hint.height() >= hint.heightForWidth(hint.width()) for hint in hints))
    titles = [label.text() for label in dialog.findChildren(QLabel)]
    assert {"Shortest (s)", "Cache (MB)", "While in use"} <= set(titles)


def test_failures_are_listed_revealed_retried_and_saved(window, bridge, tmp_path) -> None:
    bridge.results["_failures"] = FAILURES
    window.status.failures.click()
    dialog = dialog_named(window, "failures")
    assert isinstance(dialog, FailuresDialog)
    assert dialog.rows.data(dialog.rows.index(0, 2)) == "It is empty."
    dialog.retry_wanted.emit()
    assert bridge.background.calls[-1][0] == "retry"
    window.offices.save_failures(dialog.failures, tmp_path / "failures.csv", dialog)
    bridge.operations[-1](None)
    assert "broken.mp4,probe,It is empty.,Copy it again." in (tmp_path / "failures.csv").read_text()
    dialog.close()


def test_models_are_used_only_when_one_is_chosen(window, bridge) -> None:
    bridge.results["_presets"] = (PRESETS, "fast")
    window.offices.models()
    dialog = dialog_named(window, "models")
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


def test_the_first_run_asks_for_folders_and_models(qtbot, tmp_path) -> None:
    dialog = FirstRunDialog(PRESETS, "fast")
    qtbot.addWidget(dialog)
    assert not dialog.begin.isEnabled()
    assert dialog.preset() == "fast"
    assert dialog.presets.buttons()[0].objectName() == "fast", (
        "the demo's models are no choice for real videos"
    )
    begun: list[tuple[object, str]] = []
    dialog.begun.connect(lambda folders, preset: begun.append((folders, preset)))
    dialog.take_folder(tmp_path)
    dialog.take_folder(tmp_path)
    dialog.begin.click()
    assert begun == [([tmp_path], "fast")]


def test_an_empty_library_is_welcomed_once(window, bridge, overview) -> None:
    bridge.results["_presets"] = (PRESETS, "fast")
    bridge.overview.emit(overview(folders=()))
    assert dialog_named(window, "welcome").isVisible()
    dialog_named(window, "welcome").close()
    bridge.overview.emit(overview(folders=()))
    assert not dialog_named(window, "welcome").isVisible()
    assert window.empty.sentence.text() == "No folder yet"


def test_keys_work_again_when_a_dialog_was_closed(window, qtbot, bridge, tmp_path) -> None:
    bridge.results["_presets"] = (PRESETS, "fast")
    window.offices.welcome(window.add_folders)
    welcome = dialog_named(window, "welcome")
    qtbot.waitUntil(welcome.isActiveWindow)
    welcome.take_folder(tmp_path)
    welcome.begin.click()
    qtbot.waitUntil(window.isActiveWindow)
    type_query(window, qtbot)
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    qtbot.keyClick(window.results, KEY.Key_1)
    assert Branch.VISUAL not in bridge.asked[-1].branches


def test_all_offline_is_explained(window, bridge, overview) -> None:
    away = tuple(folder for folder in overview().folders if not folder.online)
    bridge.overview.emit(overview(folders=away))
    assert "offline" in window.empty.sentence.text()


def test_a_failure_is_a_sentence_below_the_results(window, bridge) -> None:
    bridge.failed.emit(Trouble.of(KnownError("The database is locked.", "Close the other program.")))
    assert window.notice.words.text() == "The database is locked. Close the other program."
    assert "ZeroDivisionError" in Trouble.of(ZeroDivisionError("x")).sentence


def test_only_visible_cards_ask_for_pictures(window, qtbot, bridge, answer) -> None:
    bridge.answer = lambda text: answer(text, hits=10_000)
    type_query(window, qtbot)
    window.results._unfolded = True
    window.results._arrange()
    window.results.viewport().repaint()
    QApplication.processEvents()
    assert 0 < len(bridge.pictures_asked) < 60
    before = len(bridge.pictures_asked)
    bar = window.results.verticalScrollBar()
    bar.setValue(bar.maximum())
    window.results.viewport().repaint()
    rows = window.results.visible_rows()
    assert 9_999 in rows
    assert len(rows) < 40
    assert len(bridge.pictures_asked) - before < 60


def test_cards_are_found_where_they_are_painted(window, qtbot) -> None:
    type_query(window, qtbot)
    for row in (0, 2, 3, 10):
        index = window.results.results.index(row)
        assert window.results.indexAt(window.results.visualRect(index).center()).row() == row
    assert not window.results.indexAt(QPoint(1, 1)).isValid()
    assert window.results.isIndexHidden(window.results.results.index(20)), "the fold hides it"


def test_arrows_keep_their_column_across_sections(window, qtbot) -> None:
    type_query(window, qtbot)
    view = window.results
    view.setCurrentIndex(view.results.index(1))
    qtbot.keyClick(view, KEY.Key_Down)
    assert view.currentIndex().row() == 4
    qtbot.keyClick(view, KEY.Key_Up)
    assert view.currentIndex().row() == 1
    qtbot.keyClick(view, KEY.Key_End)
    assert view.currentIndex().row() == 10, "what is folded is passed over"
    qtbot.keyClick(view, KEY.Key_Home)
    assert view.currentIndex().row() == 0


def test_hovering_scrubs_through_the_clip(window, qtbot, bridge) -> None:
    type_query(window, qtbot)
    area = window.results.visualRect(window.results.results.index(0))
    asked = []
    for share in (0.1, 0.9):
        qtbot.mouseMove(
            window.results.viewport(), QPoint(int(area.left() + share * area.width()), area.center().y())
        )
        qtbot.waitUntil(lambda: window.results.cards.scrubbed is not None)
        asked.append(window.results.cards.scrubbed[1])
    assert 0 <= asked[0] < asked[1] <= 9


def test_the_session_is_restored(window, qtbot, theme, bridge, tmp_path) -> None:
    from app.gui.main_window import MainWindow
    from app.gui.session import Session

    type_query(window, qtbot, "rain")
    window._remember_search()
    window._save_search()
    window.search.form.setChecked(True)
    window.search.set_fusion("rrf")
    window._keep()
    again = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(again)
    assert again.library.saved_searches() == ["rain"]
    assert again.library.recent.item(0).text() == "rain"
    assert again.results.list_form
    assert again.search.fusion == "rrf"
