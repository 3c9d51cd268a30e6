"""The cards: where they lie, how the keyboard goes through them, and which pictures they ask for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QAccessible, QHelpEvent, QImage, QMouseEvent
from PySide6.QtWidgets import QApplication, QDialog, QToolTip

from app.gui.records import Moment

KEY = Qt.Key


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


def test_the_chosen_moment_stays_chosen_when_it_moves(
    window, qtbot, bridge, answer, hits, type_query
) -> None:
    type_query()
    window.results.setCurrentIndex(window.results.results.index(2))
    turned = tuple(reversed(hits(3)))
    bridge.answer = lambda text: replace(answer(text), hits=turned)
    qtbot.keyClicks(window.search.field, " x")
    qtbot.waitUntil(lambda: window.results.results.rowCount() == 3)
    assert window.results.current_hit().clip_id == 3
    assert window.results.currentIndex().row() == 0


def test_only_visible_cards_ask_for_pictures(window, bridge, answer, type_query) -> None:
    bridge.answer = lambda text: answer(text, hits=10_000)
    type_query()
    window.results.unfold(True)
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


def test_cards_are_found_where_they_are_painted(window, type_query) -> None:
    type_query()
    for row in (0, 2, 3, 10):
        index = window.results.results.index(row)
        assert window.results.indexAt(window.results.visualRect(index).center()).row() == row
    assert not window.results.indexAt(QPoint(1, 1)).isValid()
    assert window.results.isIndexHidden(window.results.results.index(20)), "the fold hides it"


def test_where_nothing_is_likely_the_nearest_moments_are_shown_all_the_same(
    window, qtbot, bridge, answer, hits, type_query
) -> None:
    unlikely = tuple(hits(5, likelihood="probably not"))
    bridge.answer = lambda text: replace(answer(text), hits=unlikely)
    type_query("an elk")
    view = window.results
    assert view.visible_rows()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(60, 12))
    assert view.visible_rows() == [], "and can be folded"
    window.search.field.clear()
    bridge.answer = answer
    type_query("a dog")
    assert view.isIndexHidden(view.results.index(20)), "below likely ones they stay folded"


def test_arrows_keep_their_column_across_sections(window, qtbot, type_query) -> None:
    type_query()
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


def test_hovering_scrubs_through_the_clip(window, qtbot, bridge, type_query) -> None:
    type_query()
    area = window.results.visualRect(window.results.results.index(0))
    asked = []
    for share in (0.1, 0.9):
        qtbot.mouseMove(
            window.results.viewport(), QPoint(int(area.left() + share * area.width()), area.center().y())
        )
        qtbot.waitUntil(lambda: window.results.cards.scrubbed is not None)
        asked.append(window.results.cards.scrubbed[1])
    assert 0 <= asked[0] < asked[1] <= 9


def test_work_goes_on_while_a_moment_is_dragged(window, qtbot, type_query) -> None:
    """Qt waits for the end of a drag inside of the view's handling of a move; here a dialog stands for the drag."""
    type_query()
    view = window.results
    steps, over = [0], threading.Event()

    def work() -> None:
        while not over.is_set():
            steps[0] += 1
            time.sleep(0.001)

    drag = QDialog()
    qtbot.addWidget(drag)
    end = QTimer(singleShot=True, interval=500)
    end.timeout.connect(drag.reject)  # Qt's own; Python would let others run
    place = QPointF(view.visualRect(view.results.index(0)).center())
    buttons = Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    move = QMouseEvent(QEvent.Type.MouseMove, place, view.viewport().mapToGlobal(place), *buttons)

    def during(wait: Callable[[], object]) -> int:
        end.start()
        before = steps[0]
        wait()
        assert not end.isActive()
        return steps[0] - before

    other = threading.Thread(target=work, daemon=True)
    other.start()
    try:
        waiting = during(drag.exec)
        view.entered.connect(drag.exec)
        dragging = during(lambda: QApplication.sendEvent(view.viewport(), move))
    finally:
        over.set()
        other.join()
    assert dragging > waiting / 6, "it was a tenth"


def test_a_screen_reader_is_told_of_the_moments_and_where_they_are(window, type_query) -> None:
    type_query()
    view = window.results
    told = QAccessible.queryAccessibleInterface(view)
    assert told.childCount() == view.results.rowCount()
    card = told.child(1)
    assert card.text(QAccessible.Text.Name).startswith("clip 1, 0:03 – 0:12")
    area = view.visualRect(view.results.index(1))
    assert card.rect() == area.translated(view.viewport().mapToGlobal(QPoint(0, 0)))


def test_the_fold_opens_and_closes_by_keys(window, qtbot, type_query) -> None:
    type_query()
    view = window.results
    unlikely = view.results.index(20)
    qtbot.keyClick(view, KEY.Key_Plus)
    assert not view.isIndexHidden(unlikely)
    qtbot.keyClick(view, KEY.Key_Minus)
    assert view.isIndexHidden(unlikely)


def test_no_tip_lies_over_a_picture_that_is_scrubbed(window, type_query) -> None:
    type_query()
    view = window.results
    area = view.visualRect(view.results.index(0))
    for place, shown in ((area.center() - QPoint(0, 40), False), (area.bottomLeft() + QPoint(20, -20), True)):
        QApplication.sendEvent(
            view.viewport(), QHelpEvent(QEvent.Type.ToolTip, place, view.viewport().mapToGlobal(place))
        )
        assert bool(QToolTip.text()) == shown


@pytest.mark.qt_log_ignore("keyboard", extend=True)
def test_the_menu_of_a_moment_opens_at_its_card_by_key(window, qtbot, type_query) -> None:
    type_query()
    window.results.setFocus()
    window.results.setCurrentIndex(window.results.results.index(1))
    qtbot.keyClick(window.results, KEY.Key_F10, Qt.KeyboardModifier.ShiftModifier)
    menu = QApplication.activePopupWidget()
    assert menu is not None
    card = window.results.visualRect(window.results.results.index(1))
    assert menu.pos().y() == window.results.viewport().mapToGlobal(card.center()).y()
    menu.close()


@pytest.mark.qt_log_ignore("keyboard", extend=True)
def test_the_menu_of_a_moment_that_was_scrolled_away_opens_where_it_is_seen(
    window, qtbot, type_query
) -> None:
    type_query()
    window.results.setFocus()
    window.results.setCurrentIndex(window.results.results.index(0))
    bar = window.results.verticalScrollBar()
    bar.setValue(bar.maximum())
    assert window.results.visualRect(window.results.currentIndex()).center().y() < 0
    qtbot.keyClick(window.results, KEY.Key_F10, Qt.KeyboardModifier.ShiftModifier)
    menu = QApplication.activePopupWidget()
    assert menu is not None
    assert window.results.visualRect(window.results.currentIndex()).top() >= 0
    menu.close()


def test_the_key_of_a_moments_menu_is_of_the_moments_alone(window, qtbot, type_query) -> None:
    type_query()
    window.results.setCurrentIndex(window.results.results.index(0))
    for elsewhere in (window.search.field, window.library.tree, window.preview.controls.seek):
        elsewhere.setFocus()
        qtbot.keyClick(elsewhere, KEY.Key_F10, Qt.KeyboardModifier.ShiftModifier)
        assert QApplication.activePopupWidget() is None
