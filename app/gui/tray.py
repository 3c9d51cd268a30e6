"""The icon in the system's tray: quiet indexing goes on behind it while the window is closed."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app.gui.icons import icon
from app.gui.main_window import MainWindow


class Tray(QSystemTrayIcon):
    """A click opens the window; the other button shows a menu, and only that. On macOS each shows the menu."""

    opened = Signal()
    left = Signal()
    """The program is to end, window or not."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(icon("app"), parent)
        self.setToolTip("M2HF")
        self.activated.connect(self._touched)

    def stand_for(self, window: MainWindow) -> None:
        """Its menu is about this window from now on."""
        menu = QMenu(window)
        menu.addAction(self.tr("Open the window")).triggered.connect(self.opened)
        pause = menu.addAction(self.tr("Pause indexing"))
        pause.triggered.connect(window.bridge.pause)
        resume = menu.addAction(self.tr("Resume indexing"))
        resume.triggered.connect(window.bridge.resume)
        menu.addAction(self.tr("Quit")).triggered.connect(self.left)

        def offer() -> None:
            pause.setVisible(not window.status.paused)
            resume.setVisible(window.status.paused)

        # Some desktops draw the menu themselves and never tell that it opens.
        window.bridge.working.connect(offer)
        menu.aboutToShow.connect(offer)
        offer()
        self.setContextMenu(menu)
        self.show()
        window.offer_tray()

    def _touched(self, how: QSystemTrayIcon.ActivationReason) -> None:
        # There a click that opens the menu is told as one that asks for the window.
        if sys.platform != "darwin" and how != QSystemTrayIcon.ActivationReason.Context:
            self.opened.emit()
