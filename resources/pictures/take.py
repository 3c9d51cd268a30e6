"""Takes the pictures of the running window that the README shows: the demo library and the real engine.

Nothing is painted in.

    m2hf-app demo --headless --dir DEMO
    QT_QPA_PLATFORM=offscreen python resources/pictures/take.py DEMO

Each picture is what the window itself shows after the same keys that a person would press.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.gui.bridge import Bridge
from app.gui.dialog import TableDialog
from app.gui.main_window import MainWindow
from app.gui.session import Session
from app.gui.start import make_application
from app.gui.theme import DARK, LIGHT, Colours, Theme

HERE = Path(__file__).parent
SIZE = 1280, 800
QUERY = "green shapes"
PATIENCE_S = 600


def main(library: Path) -> None:
    application = make_application()
    theme = Theme(application)
    window = MainWindow(Bridge(library, "demo"), theme, Session(library))
    window.resize(*SIZE)
    window.show()
    window.bridge.start()
    try:
        _take(window, theme)
    finally:
        window.leave()


def _take(window: MainWindow, theme: Theme) -> None:
    theme.use(DARK)
    for typed in (QUERY.split()[0], QUERY):  # the first answer waits for the models
        QTest.keyClicks(window.search.field, typed.removeprefix(window.search.field.text()))
        _until(lambda text=typed: window.answer is not None and window.answer.query == text)
    QTest.keyClick(window.search.field, Qt.Key.Key_Down)
    _settled(window)
    _until(lambda: bool(window.preview.strip._curves))
    _save(window, "search", DARK)
    QTest.keyClick(window.results, Qt.Key.Key_C)
    _until(lambda: window.preview.captions.captions.rowCount() > 0)
    theme.use(LIGHT)
    window.search.form.setChecked(True)
    _settled(window)
    _save(window, "captions", LIGHT)
    window.search.form.setChecked(False)
    window.offices.scorers()
    dialog = window.findChild(TableDialog, "scorers")
    _until(lambda: dialog.rows.rowCount() > 0)
    _wait(500)
    _save(dialog, "scorers", LIGHT)
    dialog.close()


def _settled(window: MainWindow) -> None:
    """Every card has its picture."""
    _wait(300)
    _until(lambda: not window.thumbnails._fetching and not window.thumbnails._wanted)
    _wait(300)


def _until(condition: Callable[[], bool]) -> None:
    late = QTimer(singleShot=True, interval=1000 * PATIENCE_S)
    late.start()
    while not condition():
        if not late.isActive():
            raise TimeoutError(f"the window did not get there within {PATIENCE_S} s")
        _wait(50)


def _wait(ms: int) -> None:
    """`QTest.qWait` would let no other thread run meanwhile, and the search is one."""
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def _save(widget: QWidget, name: str, colours: Colours) -> None:
    widget.grab().save(str(HERE / f"{name}-{'dark' if colours.dark else 'light'}.png"), "PNG", 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "seed-0" / "library")
