"""Ctrl-C that comes where Python drops it still stops the work."""

from __future__ import annotations

import signal
import sys

import pytest

from app.cli.common import shown_progress
from app.cli.interrupts import stopped_by
from m2hf_core.errors import Interrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")


class InterruptedWhileItDies:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_inside_a_destructor_stops_at_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with shown_progress() as progress:
        progress.start("index", 2)
        InterruptedWhileItDies()
        with pytest.raises(Interrupted):
            progress.advance()
    assert capsys.readouterr().err == "", "nobody wants to read where it was dropped"
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_elsewhere_it_interrupts_at_once() -> None:
    with shown_progress() as progress, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted):
        progress.check()


def test_other_signals_end_as_ctrl_c_does() -> None:
    with stopped_by("SIGTERM", "NO_SUCH_SIGNAL"), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by("SIGHUP"):
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_exceptions_that_nobody_can_catch_are_still_told() -> None:
    told: list[object] = []

    class Dies:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    former = sys.unraisablehook
    sys.unraisablehook = lambda dropped: told.append(dropped.exc_type)
    try:
        with stopped_by("SIGINT"):
            Dies()
    finally:
        sys.unraisablehook = former
    assert told == [ValueError]
