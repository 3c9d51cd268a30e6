"""What can be done with the chosen moment, and taken back."""

from __future__ import annotations

from types import SimpleNamespace

from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication

from m2hf_core.records import Branch

KEY = Qt.Key


def test_down_goes_to_the_cards_and_the_moment_is_explained(window, qtbot, type_query) -> None:
    type_query()
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    hit = window.results.current_hit()
    assert hit is not None
    assert hit.rank == 1
    assert window.preview.hit == hit
    assert "198th" in window.preview.why.receipt.text()
    assert "dog" in window.preview.transcript.toPlainText()
    qtbot.keyClick(window.results, KEY.Key_Right)
    assert window.preview.hit.rank == 2


def test_a_moment_that_is_found_no_more_loses_its_reasons(window, bridge, answer, type_query) -> None:
    type_query()
    window._go_to_results()
    preview = window.preview
    reasons, in_full = preview.why.receipt.text(), preview.why.full.text()
    visual = window.search.chips[Branch.VISUAL]
    bridge.answer = lambda text: answer(text, hits=0)
    visual.click()
    assert "not among what is found now" in preview.why.receipt.text()
    assert preview.why.full.text() == ""
    assert not preview.why.unfold.isEnabled()
    bridge.answer = answer
    visual.click()
    assert (preview.why.receipt.text(), preview.why.full.text()) == (reasons, in_full), "back with the answer"
    for chip in window.search.chips.values():
        chip.click()
    assert "not among what is found now" in preview.why.receipt.text(), "without a branch nothing is found"


def test_heard_is_said_only_when_it_mattered(window, bridge, answer, hits, type_query) -> None:
    found = hits(2)
    bridge.answer = lambda text: answer(text, hits=2)
    type_query()
    window.results.setCurrentIndex(window.results.results.index(1))
    assert window.preview.hit.won_by == (Branch.AUDIO,)
    assert "Heard" not in window.preview.why.receipt.text()
    assert "Found by sound" in window.preview.why.receipt.text()
    assert found[1].heard is False


def test_similar_captions_are_shown_searched_and_judged_with_a_way_back(
    window, qtbot, bridge, type_query
) -> None:
    type_query()
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


def test_similar_moments_replace_the_results(window, type_query) -> None:
    type_query()
    window._go_to_results()
    window.preview.buttons["similar"].click()
    assert "Moments like clip_00000.mp4" in window.receipt.text()
    assert window.results.results.rowCount() == 5


def test_a_fresh_look_at_the_library_disturbs_nothing(
    window, bridge, answer, monkeypatch, type_query
) -> None:
    type_query()
    window._go_to_results()
    sought: list[float] = []
    monkeypatch.setattr(window.preview.player, "show_moment", lambda *place: sought.append(place[1]))
    again = SimpleNamespace(asked=None, answer=answer("a dog"), error=None, refreshed=True)
    bridge.answered.emit(again)
    assert sought == [], "what plays goes on playing"
    window.preview.buttons["similar"].click()
    bridge.answered.emit(again)
    assert "Moments like" in window.receipt.text(), "the likes of a moment stay until words are asked"


def test_selected_moments_are_exported_and_shown(window, monkeypatch, tmp_path, type_query) -> None:
    target = tmp_path / "moments.csv"
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(target), ""))
    type_query()
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


def test_an_export_that_fails_says_why(window, tmp_path, type_query) -> None:
    type_query()
    window._go_to_results()
    (tmp_path / "file").touch()
    window.exporting.export("csv", tmp_path / "file" / "moments.csv")
    assert "cannot be written" in window.notice.words.text()


def test_a_caption_is_added_and_taken_back(window, qtbot, bridge, type_query) -> None:
    type_query()
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


def test_paths_and_times_are_copied(window, type_query) -> None:
    type_query()
    window._go_to_results()
    window.actions_here.copy_path.trigger()
    assert QGuiApplication.clipboard().text() == "/videos/clip_00000.mp4"
    window.actions_here.copy_time.trigger()
    assert QGuiApplication.clipboard().text() == "00:00:04.000"


def test_a_file_that_is_gone_is_a_sentence_not_an_error(window, type_query) -> None:
    type_query()
    window._go_to_results()
    window.actions_here.reveal.trigger()
    assert "is not there now" in window.notice.words.text()
    window.actions_here.open.trigger()
    assert "is not there now" in window.notice.words.text()


def test_captions_take_the_keyboard_and_give_it_back(window, qtbot, type_query) -> None:
    type_query()
    window.activateWindow()
    window.results.setFocus()
    window.results.setCurrentIndex(window.results.results.index(0))
    window.actions_here.find_captions.trigger()
    captions = window.preview.captions
    assert window.focusWidget() is captions.view
    assert captions.view.currentIndex().row() == 0
    qtbot.keyClick(captions.view, KEY.Key_Escape)
    assert not captions.isVisible()
    assert window.focusWidget() is window.results
    window.search.field.setFocus()
    window.actions_here.find_captions.trigger()
    assert window.focusWidget() is window.search.field, "nobody is taken away from writing"
