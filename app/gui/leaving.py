"""Closing the window: with a tray, indexing may go on behind it, which is asked once and can be changed in the menu."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDialog, QWidget

from app.gui.dialogs import StayDialog
from app.gui.menus import Menus
from app.gui.session import Session
from app.gui.status_bar import StatusBar


class Leaving(QObject):
    """Without a tray every closing is for good."""

    def __init__(self, window: QWidget, session: Session, status: StatusBar) -> None:
        super().__init__(window)
        self._window, self._session, self._status = window, session, status
        self.stay: QAction | None = None
        """Whether indexing goes on behind the tray; None where there is no tray."""
        self.for_good = False

    def offer_tray(self, menus: Menus) -> None:
        """There is a tray, so closing may leave indexing at work."""
        self.stay = menus.add_choice(
            self.tr("Go on indexing when the window is closed"),
            self._session.flag("stay"),
            lambda on: self._session.put_flag("stay", on),
        )

    def asks(self) -> bool:
        """Once, while indexing works: whether it shall go on in the tray. The answer closes the window."""
        if self.stay is None or self.for_good:
            return False
        if self._session.flag("asked_to_stay") or not self._status.working:
            return False
        self._session.put_flag("asked_to_stay", True)
        dialog = StayDialog(self._window)
        dialog.setObjectName("closing")
        dialog.finished.connect(self._close_as_chosen)
        dialog.open()
        return True

    @property
    def only_hides(self) -> bool:
        """This closing hides the window; the program goes on behind its icon."""
        return self.stay is not None and self.stay.isChecked() and not self.for_good

    def _close_as_chosen(self, choice: int) -> None:
        if choice == QDialog.DialogCode.Rejected:
            self._session.put_flag("asked_to_stay", False)
            return
        if self.stay is not None:
            self.stay.setChecked(choice == QDialog.DialogCode.Accepted)
        self._window.close()
