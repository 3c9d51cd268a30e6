"""Starting: what is imported, what is said without a screen, and one window per library."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtWidgets import QSystemTrayIcon

from app.cli import gui
from app.cli.main import build_parser
from app.gui.start import Doorbell, Program
from app.gui.tray import Tray
from m2hf_core.errors import KnownError

HEAVY = ("torch", "sqlalchemy", "numpy", "cv2", "av", "open_clip")


def test_the_window_is_there_before_torch() -> None:
    code = f"import sys, app.gui.start; print([m for m in {HEAVY!r} if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert told.stdout.split("\n")[-2] == "[]"


def test_without_a_command_the_window_is_meant() -> None:
    args = build_parser().parse_args([])
    assert args.run is gui.run
    assert (args.data_dir, args.preset) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
def test_without_a_screen_it_is_said_in_a_sentence(monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KnownError, match="no screen"):
        gui.show(None)
    monkeypatch.setenv("DISPLAY", ":0")
    assert gui.has_screen()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
def test_a_signal_closes_the_window_in_order(qtbot, qapp, monkeypatch) -> None:
    """Once; another one would end the program at once. What was ignored from the start stays ignored."""
    program, codes = Program(qapp), []
    monkeypatch.setattr(program, "_application", SimpleNamespace(exit=codes.append))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        program.heed_signals()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert codes == [], "not in the midst of whatever runs"
        qtbot.waitUntil(lambda: codes == [128 + signal.SIGTERM])
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        signal.raise_signal(signal.SIGINT)
        qtbot.waitUntil(lambda: len(codes) == 2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert codes[-1] == 130, "as Ctrl-C ends every command"


def test_the_second_start_rings_at_the_first(qtbot, qapp, tmp_path) -> None:
    first, second, other = Doorbell(tmp_path), Doorbell(tmp_path), Doorbell(tmp_path / "other")
    assert not first.ring(), "nobody is there yet"
    assert first.listen()
    with qtbot.waitSignal(first.rung, timeout=5000):
        assert second.ring()
    assert not other.ring(), "another library has a window of its own"
    first.close()
    assert not second.ring()


def test_a_click_on_the_icon_never_does_two_things(qapp, monkeypatch) -> None:
    tray, opened = Tray(qapp), []
    tray.opened.connect(lambda: opened.append("window"))
    reason = QSystemTrayIcon.ActivationReason
    tray.activated.emit(reason.Context)
    assert opened == [], "the menu comes"
    tray.activated.emit(reason.Trigger)
    assert opened == ["window"]
    monkeypatch.setattr(sys, "platform", "darwin")
    tray.activated.emit(reason.Trigger)
    assert opened == ["window"], "there the menu comes with each click"
