"""The search field, the chips, filters and what stands in the middle, with a bridge that answers at once."""

from __future__ import annotations

from PySide6.QtCore import Qt

from app.gui.main_window import MainWindow
from app.gui.records import Trouble
from app.gui.restoring import keep, restore
from app.gui.session import Session
from m2hf_core.errors import KnownError
from m2hf_core.records import BRANCHES, Branch

KEY = Qt.Key


def test_typing_asks_and_shows_cards_in_sections(window, bridge, type_query) -> None:
    type_query()
    assert bridge.asked[-1].branches == BRANCHES
    assert [section.key for section in window.results.results.sections] == ["likely", "maybe", "probably not"]
    assert "3 videos not yet heard" in window.receipt.text()
    assert "61 of 64" in window.search.took.text()


def test_on_a_narrow_window_only_the_figures_give_way(window, qtbot, type_query) -> None:
    window.resize(900, 600)
    window.search.tell("loading the models")
    assert window.search.took.isVisible()
    type_query()
    assert not window.search.took.isVisible()
    window.resize(1440, 900)
    qtbot.waitUntil(window.search.took.isVisible)


def test_what_is_looked_at_is_made_searchable_first(window, qtbot, bridge, type_query) -> None:
    type_query()
    qtbot.keyClick(window.search.field, KEY.Key_Down)
    assert bridge.background.calls == [("look_at", ([window.preview.hit.video],))]
    folder = window.library.folders.folder(window.library.folders.index(1, 0))
    window.library.tree.setCurrentIndex(window.library.folders.index(1, 0))
    assert bridge.background.calls[-1] == ("look_at", ([folder.path],))
    bridge.results["raise_unseen"] = 3
    window.receipt.linkActivated.emit("first")
    assert "3 videos go first" in window.notice.words.text()
    assert 'href="first"' in window.receipt.text()


def test_escape_clears_and_examples_return(window, qtbot, type_query) -> None:
    type_query()
    qtbot.keyClick(window.search.field, KEY.Key_Escape)
    qtbot.waitUntil(lambda: window.results.results.rowCount() == 0)
    assert window.empty.isVisible()
    assert "a dog barking on a patio" in window.empty.examples[0].text()
    window.empty.examples[0].click()
    assert window.search.field.text() == "a dog barking on a patio"


def test_a_chip_takes_its_branch_out_and_back(window, qtbot, bridge, type_query) -> None:
    type_query()
    window.results.setFocus()
    qtbot.keyClick(window.results, KEY.Key_2)
    assert Branch.AUDIO not in bridge.asked[-1].branches
    qtbot.keyClick(window.results, KEY.Key_2)
    assert Branch.AUDIO in bridge.asked[-1].branches


def test_what_is_typed_while_the_models_load_is_told_to_wait(window, qtbot, bridge, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(bridge, "ask", asked.append)
    qtbot.keyClicks(window.search.field, "a dog")
    qtbot.waitUntil(lambda: bool(asked))
    assert window.empty.sentence.text() == "Loading the models"
    bridge.search_state.emit("ready", None)
    window.search.search_for("a cat")
    assert asked[-1].text == "a cat"
    window.finding.stand()
    assert window.empty.sentence.text() == "Searching"


def test_digits_in_the_field_are_text(window, type_query) -> None:
    type_query("2 dogs")
    assert all(chip.isChecked() for chip in window.search.chips.values())


def test_without_any_branch_the_window_says_so(window, bridge, type_query) -> None:
    type_query()
    for chip in window.search.chips.values():
        chip.setChecked(False)
    assert "No branch" in window.empty.sentence.text()
    window.empty.button.click()
    assert len(bridge.asked[-1].branches) == 4


def test_fusion_and_order_are_asked_and_kept(window, bridge, type_query) -> None:
    type_query()
    for action in window.search.fusing.menu().actions():
        if action.data() == "rrf":
            action.trigger()
    assert bridge.asked[-1].fusion == "rrf"
    window.search.set_one_per_video(True)
    assert "By video" in window.search.ordering.text()


def test_the_fusion_is_the_librarys_until_another_is_chosen(qtbot, theme, bridge, overview, tmp_path) -> None:

    first, second = (MainWindow(bridge, theme, Session(tmp_path)) for _ in range(2))
    for window in (first, second):
        qtbot.addWidget(window)
    first.search.field.setText("rain")
    first._show_overview(overview(fusion="mean-rank"))
    assert bridge.asked[-1].fusion == "mean-rank"
    keep(first)
    restore(second)
    second.search.set_fusion("rrf")
    second._show_overview(overview(fusion="mean-rank"))
    assert (first.search.own_fusion, second.search.fusion) == (None, "rrf")
    titles = {action.data(): action.text() for action in first.search.fusing.menu().actions()}
    assert [fusion for fusion, title in titles.items() if "recommended" in title] == ["rrf"]


def test_nothing_found_says_what_could_not_be_searched(window, bridge, answer, type_query) -> None:
    bridge.answer = lambda text: answer(text, hits=0, abstained={"audio": "needs a trained scorer"})
    type_query()
    assert window.empty.sentence.text() == "Nothing found"
    assert "needs a trained scorer" in window.empty.hint.text()
    assert "3 videos" in window.empty.hint.text()
    assert not window.empty.button.isVisible()
    window.search.chips[Branch.VISUAL].setChecked(False)
    assert window.empty.button.text() == "Search by all four"
    window.empty.button.click()
    assert window.search.chips[Branch.VISUAL].isChecked()


def test_filters_are_words_of_the_query(window, bridge, type_query) -> None:
    type_query()
    window.library.spoken.setChecked(True)
    window.library.length.setCurrentIndex(1)
    assert bridge.asked[-1].text == "a dog shorter:1m has:speech"
    window.library.tree.setCurrentIndex(window.library.folders.index(3, 0))
    assert 'in:"media/Holiday disk"' in bridge.asked[-1].text
    window.library.clear_filters()
    assert bridge.asked[-1].text == "a dog"


def test_all_offline_is_explained(window, bridge, overview) -> None:
    away = tuple(folder for folder in overview().folders if not folder.online)
    bridge.overview.emit(overview(folders=away))
    assert "offline" in window.empty.sentence.text()


def test_a_failure_is_a_sentence_below_the_results(window, bridge) -> None:
    bridge.failed.emit(Trouble.of(KnownError("The database is locked.", "Close the other program.")))
    assert window.notice.words.text() == "The database is locked. Close the other program."
    assert "ZeroDivisionError" in Trouble.of(ZeroDivisionError("x")).sentence
