"""Opens the window and runs until it is closed."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QLoggingCategory
from PySide6.QtWidgets import QApplication

from app.gui.bridge import Bridge
from app.gui.main_window import MainWindow
from app.gui.session import Session
from app.gui.theme import Theme
from m2hf_core.config.paths import APP_NAME, open_paths

# Which optional sound servers Qt did not find is no news for anybody.
QUIET = "qt.multimedia.symbolsresolver=false\nqt.multimedia.ffmpeg=false"


def make_application() -> QApplication:
    """The one application object, named as the system shows it."""
    QLoggingCategory.setFilterRules(QUIET)
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName(APP_NAME)
    application.setApplicationDisplayName("M2HF")
    application.setDesktopFileName(APP_NAME)
    return application


def open_window(data_dir: Path | None, *, preset: str | None = None) -> int:
    """Show the library in `data_dir` until the window is closed; the exit code."""
    application = make_application()
    theme = Theme(application)
    bridge = Bridge(data_dir, preset)
    window = MainWindow(bridge, theme, Session(open_paths(data_dir).data))
    window.show()
    bridge.start()
    return application.exec()
