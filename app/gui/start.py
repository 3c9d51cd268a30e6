"""Opens the window and runs until it is closed; a second start shows the window that is there."""

from __future__ import annotations

import hashlib
import signal
import sys
from pathlib import Path
from types import FrameType

from PySide6.QtCore import QLoggingCategory, QObject, QTimer, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from app.gui.bridge import Bridge
from app.gui.logbook import kept_log
from app.gui.main_window import MainWindow
from app.gui.session import Session
from app.gui.theme import Theme
from app.gui.tray import Tray
from app.services.early import take_short_turns
from m2hf_core.config.paths import APP_NAME, open_paths

# Which optional sound servers Qt did not find is no news for anybody.
QUIET = "qt.multimedia.symbolsresolver=false\nqt.multimedia.ffmpeg=false"
KNOCK_MS = 500
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
TRAY_LOOK_MS, TRAY_LOOKS = 500, 60
"""Half a minute for the tray to appear."""


def make_application() -> QApplication:
    """The one application object, named as the system shows it, whose thread is not kept waiting by others."""
    take_short_turns()
    QLoggingCategory.setFilterRules(QUIET)
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName(APP_NAME)
    application.setApplicationDisplayName("M2HF")
    application.setDesktopFileName(APP_NAME)
    return application


class Doorbell(QObject):
    """One window per library: the first listens, later ones ring and leave."""

    rung = Signal()

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self._name = f"{APP_NAME}-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]}"
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._answer)

    def ring(self) -> bool:
        """Whether another window of this library is there; it shows itself."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        there = socket.waitForConnected(KNOCK_MS)
        socket.disconnectFromServer()
        return there

    def listen(self) -> bool:
        """Be the one who is rung. What a crash left behind is taken away first."""
        QLocalServer.removeServer(self._name)
        return self._server.listen(self._name)

    def close(self) -> None:
        self._server.close()

    def _answer(self) -> None:
        while self._server.hasPendingConnections():
            caller = self._server.nextPendingConnection()
            caller.disconnected.connect(caller.deleteLater)
        self.rung.emit()


class Program(QObject):
    """The window that is open, its doorbell and its icon in the tray."""

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        self._theme = Theme(application)
        self.window: MainWindow | None = None
        self._doorbell: Doorbell | None = None
        self._tray: Tray | None = None
        self._look = QTimer(self, singleShot=True, interval=TRAY_LOOK_MS)
        self._look.timeout.connect(self._put_into_tray)
        self._looks_left = 0

    def open(self, data_dir: Path | None, preset: str | None, *, hidden: bool = False) -> bool:
        """Show a library, in place of the one that is shown; False when another program shows it.

        `hidden`: only its icon in the tray, where there is one.
        """
        folder = open_paths(data_dir).data
        doorbell = Doorbell(folder)
        if doorbell.ring():
            return False
        doorbell.listen()
        doorbell.rung.connect(self._rung)
        former, self._doorbell = self._doorbell, doorbell
        bridge = Bridge(data_dir, preset)
        window = MainWindow(bridge, self._theme, Session(folder))
        window.library_wanted.connect(self.open)
        if not hidden:
            window.show()
        bridge.start()
        old, self.window = self.window, window
        if old is not None:
            old.leave()
            old.deleteLater()
        if former is not None:
            former.close()
        self._looks_left = TRAY_LOOKS
        self._put_into_tray()
        return True

    def close(self) -> None:
        """Close the window for good, and let another program show the library."""
        if self.window is not None:
            self.window.leave()
        self._look.stop()
        if self._doorbell is not None:
            self._doorbell.close()

    def _rung(self) -> None:
        """The program was started once more."""
        self.show()
        if self.window is not None:
            self.window.notice.say(self.tr("This library is open already; here it is."))

    def show(self) -> None:
        """Bring the window to the front."""
        if self.window is not None:
            self.window.show()
            self.window.raise_()
            self.window.activateWindow()

    def heed_signals(self) -> None:
        """Ctrl-C in the terminal and the system's wish to end close the window as its own button does.

        Python hears of a signal when it next runs, at the latest with the next look at the work. A second signal ends
        the program at once. One that whoever started it had ignored, as `nohup` does, stays ignored.
        """

        def leave(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            QTimer.singleShot(0, lambda: self._quit(128 + number))

        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, leave)

    def _quit(self, code: int = 0) -> None:
        """Also where the window is hidden, whose closing would not end the program."""
        self.close()
        self._application.exit(code)

    def _put_into_tray(self) -> None:
        """At login the panel that has the tray often comes later than this program: it is waited for."""
        window = self.window
        if window is None:
            return
        if not QSystemTrayIcon.isSystemTrayAvailable():
            self._looks_left -= 1
            if self._looks_left > 0:
                self._look.start()
            elif not window.isVisible():
                self.show()  # it began hidden, and nothing else would lead to it
            return
        if self._tray is None:
            self._tray = Tray(self)
            self._tray.opened.connect(self.show)
            self._tray.left.connect(self._quit)
        self._tray.stand_for(window)


def open_window(data_dir: Path | None, *, preset: str | None = None, hidden: bool = False) -> int:
    """Show the library in `data_dir` until the window is closed; the exit code. `hidden`: begin in the tray."""
    application = make_application()
    program = Program(application)
    with kept_log(open_paths(data_dir).data):
        if not program.open(data_dir, preset, hidden=hidden):
            return 0
        program.heed_signals()
        return application.exec()
