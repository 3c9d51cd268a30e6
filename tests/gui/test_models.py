"""Every list and tree goes through Qt's own model tester while it changes; sections and drags are checked by hand."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QAbstractItemModelTester

from app.gui.captions_panel import CaptionsModel
from app.gui.dialog import TableModel
from app.gui.folder_model import BAD, COUNT, READY, WAITING, FolderModel
from app.gui.results_model import ResultsModel, Section
from app.services.views import FolderView
from m2hf_core.records import Branch, BranchHit, CaptionHit

STRICT = QAbstractItemModelTester.FailureReportingMode.Warning  # a warning fails the test, with its words


def test_results_keep_the_rules_while_they_grow_shrink_and_change(qapp, hits) -> None:
    model = ResultsModel()
    QAbstractItemModelTester(model, STRICT)
    for count in (0, 30, 5, 30, 1, 0):
        model.show(hits(count))
        assert model.rowCount() == count
    assert model.data(model.index(0)) is None


def test_results_are_sorted_into_sections_and_keep_their_rank_within(qapp, hits) -> None:
    model = ResultsModel()
    mixed = hits(12)
    mixed[0], mixed[11] = mixed[11], mixed[0]
    model.show(mixed)
    assert model.sections == (Section("likely", 0, 3), Section("maybe", 3, 8), Section("probably not", 11, 1))
    assert [hit.clip_id for hit in model.hits[:3]] == [2, 3, 1]


def test_results_without_likelihood_have_no_headings(qapp, hits) -> None:
    model = ResultsModel()
    model.show(hits(4, likelihood="unknown"))
    assert model.sections == (Section("", 0, 4),)


def test_only_rows_that_change_are_told(qapp, qtbot, hits) -> None:
    model = ResultsModel()
    before = hits(10, likelihood="likely")
    model.show(before)
    told = []
    model.dataChanged.connect(lambda first, last, roles: told.append((first.row(), last.row())))
    model.show(before)
    assert told == []
    after = list(before)
    after[4], after[6] = after[6], after[4]
    model.show(after)
    assert told == [(4, 6)]


def test_a_hit_is_dragged_out_as_its_file_once(qapp, hits) -> None:
    model = ResultsModel()
    model.show(hits(3, video=Path("/videos/one.mp4")))
    mime = model.mimeData([model.index(0), model.index(2)])
    assert [url.toLocalFile() for url in mime.urls()] == ["/videos/one.mp4"]


def test_folders_form_a_tree(qapp, theme, overview) -> None:
    model = FolderModel(theme)
    QAbstractItemModelTester(model, STRICT)
    model.show(overview())
    names = [model.data(model.index(row, 0)) for row in range(model.rowCount())]
    assert names == ["All videos", "Family", "Phone", "Holiday disk"]
    phone = model.index(2, 0)
    inner = model.index(0, 0, phone)
    assert model.data(inner) == "old"
    assert model.parent(inner) == phone
    counts = [model.data(model.index(row, 0), COUNT) for row in range(model.rowCount())]
    assert counts == ["64", "31", "18 · 2 waiting", "offline"]


def test_a_folder_is_green_only_where_something_can_be_found(qapp, theme, overview) -> None:
    model = FolderModel(theme)

    def middle_of_dot(**changes) -> str:
        counts = {"videos": 3, "ready": 3, "failed": 0} | changes
        model.show(overview(folders=(FolderView(1, Path("/home/me/Family"), True, **counts),)))
        image = model.data(model.index(1, 0), Qt.ItemDataRole.DecorationRole).pixmap(64, 64).toImage()
        return image.pixelColor(32, 32).name(QColor.NameFormat.HexArgb).upper()

    assert middle_of_dot() == READY.replace("#", "#FF")
    assert middle_of_dot(ready=2) == WAITING.replace("#", "#FF")
    assert middle_of_dot(ready=2, failed=1) == READY.replace("#", "#FF")
    assert middle_of_dot(ready=0, failed=3) == BAD.replace("#", "#FF")
    assert middle_of_dot(videos=0, ready=0).startswith("#00"), "without videos the dot is hollow"
    told = model.data(model.index(1, 0), Qt.ItemDataRole.ToolTipRole)
    assert told.splitlines()[1] == "no video found in it so far"


def test_folder_counts_change_without_a_reset(qapp, theme, overview) -> None:
    model = FolderModel(theme)
    QAbstractItemModelTester(model, STRICT)
    model.show(overview())
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    model.show(overview(videos={"ready": 70}))
    assert resets == []
    assert model.data(model.index(0, 0), COUNT) == "70"
    model.show(overview(folders=()))
    assert resets == [1]
    assert model.rowCount() == 1


def test_captions_keep_the_rules_and_their_verdicts(qapp) -> None:
    model = CaptionsModel()
    QAbstractItemModelTester(model, STRICT)
    seen = {Branch.VISUAL: BranchHit(1, 0.3)}
    model.show([CaptionHit(n, f"caption {n}", "own", (Branch.VISUAL,), seen) for n in range(1, 4)])
    model.judge("caption 2", "wrong")
    model.show([])
    assert model.rowCount() == 0


def test_tables_keep_the_rules(qapp) -> None:
    model = TableModel(("File", "Reason"))
    QAbstractItemModelTester(model, STRICT)
    model.show([("a", ("a.mp4", "empty")), ("b", ("b.mp4", "truncated"))])
    assert (model.rowCount(), model.columnCount(), model.key(1)) == (2, 2, "b")
    assert model.key(7) is None


def test_a_folder_that_is_left_says_so_and_can_be_watched_again(window, overview, qtbot) -> None:
    left = FolderView(1, Path("/home/me/Family"), True, 31, 31, 0, watched=False)
    window.library.show_overview(overview(folders=(left,)))
    row = window.library.folders.index(1, 0)
    assert row.data(Qt.ItemDataRole.AccessibleTextRole) == "Family, 31 · not watched"
    again = next(
        action for action in window.library.folder_menu(left).actions() if action.text() == "Watch again"
    )
    with qtbot.waitSignal(window.library.folders_wanted) as wished:
        again.trigger()
    assert wished.args == [[left.path]]


def test_the_other_button_does_not_choose_a_folder(window, qtbot) -> None:
    tree = window.library.tree
    row = tree.visualRect(window.library.folders.index(1, 0)).center()
    before = tree.currentIndex()
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.RightButton, pos=row)
    assert tree.currentIndex() == before
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=row)
    assert tree.currentIndex() != before
