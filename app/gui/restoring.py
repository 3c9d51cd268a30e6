"""Puts the window as it was left, and notes how it is left now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QStyle

from app.gui.theme import LIBRARY_WIDTH, PREVIEW_WIDTH

if TYPE_CHECKING:
    from app.gui.main_window import MainWindow

WIDTH, HEIGHT = 1440, 900
"""Of the first window, where the screen has the room."""
TITLE_HEIGHT = 32
"""What a window manager puts above the window at least; it is not known before the window is shown."""


def restore(window: MainWindow) -> None:
    """Size, columns, searches and how results are shown."""
    session, search = window.session, window.search
    if not window.restoreGeometry(session.state("geometry")):
        title = window.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight)
        room = window.screen().availableSize() - QSize(0, max(title, TITLE_HEIGHT))
        window.resize(QSize(WIDTH, HEIGHT).boundedTo(room))
    if not window.columns.restoreState(session.state("columns")):
        window.columns.setSizes(
            [LIBRARY_WIDTH, window.width() - LIBRARY_WIDTH - PREVIEW_WIDTH, PREVIEW_WIDTH]
        )
    window.library.show_searches(session.texts("saved"), session.texts("recent"))
    search.form.setChecked(session.flag("rows"))
    search.set_one_per_video(session.flag("grouped"))
    search.set_order(session.text("order", "best"))
    search.set_fusion(session.text("fusion"))
    search.field.setFocus()


def keep(window: MainWindow) -> None:
    """For the next start."""
    session, search = window.session, window.search
    session.put_state("geometry", window.saveGeometry())
    session.put_state("columns", window.columns.saveState())
    session.put_texts("saved", window.library.saved_searches())
    session.put_flag("rows", search.form.isChecked())
    session.put_flag("grouped", search.one_per_video)
    session.put_text("order", search.order)
    session.put_text("fusion", search.own_fusion or "")
    session.write()
