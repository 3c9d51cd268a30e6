"""Ctrl-C asks work to stop at its next step, and interrupts what does not listen."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from app.cli import interrupts
from app.cli.common import shown_progress
from app.cli.interrupts import stopped_by
from m2hf_core.errors import Interrupted
from m2hf_core.progress import Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
TOO_LONG_S = 20.0
HEED_WITHIN_S = 0.2


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "HEED_WITHIN_S", HEED_WITHIN_S)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_work_stops_at_its_next_step(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    finished = False
    with shown_progress("SIGTERM", "NO_SUCH_SIGNAL") as progress:
        progress.start("index", 2)
        signal.raise_signal(number)
        finished = True  # what had begun, say a transaction
        with pytest.raises(Interrupted):
            progress.advance()
        time.sleep(2 * HEED_WITHIN_S)  # tidying is left alone
    assert finished
    assert signal.getsignal(number) == before


def test_work_that_does_not_look_is_interrupted() -> None:
    began = time.monotonic()
    with stopped_by("SIGINT") as progress:
        with pytest.raises(KeyboardInterrupt):
            asks_and_goes_on_working()
        assert progress.cancelled
    assert time.monotonic() - began < TOO_LONG_S, "not only when the work was over"


def asks_and_goes_on_working() -> None:
    signal.raise_signal(signal.SIGINT)
    time.sleep(TOO_LONG_S)


def test_tidying_after_an_interrupt_is_left_alone() -> None:
    tidied: list[bool] = []

    def work() -> None:
        try:
            asks_and_goes_on_working()
        finally:
            time.sleep(5 * HEED_WITHIN_S)
            tidied.append(True)

    with stopped_by("SIGINT"), pytest.raises(KeyboardInterrupt):
        work()
    assert tidied


class WorksWhileItDies:
    def __del__(self) -> None:
        asks_and_goes_on_working()


def test_an_interrupt_that_is_dropped_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        WorksWhileItDies()
        time.sleep(TOO_LONG_S)

    began = time.monotonic()
    with stopped_by("SIGINT"), pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - began < TOO_LONG_S
    assert capsys.readouterr().err == "", "nobody wants to read where it was dropped"


def test_two_presses_in_a_row_are_one_wish_and_a_later_one_insists() -> None:
    with stopped_by("SIGINT") as progress:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            progress.check()
        time.sleep(1.1 * HEED_WITHIN_S)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by("SIGHUP") as progress:
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert not progress.cancelled
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_use_it_without_signals() -> None:
    got: list[Progress] = []

    def work() -> None:
        with stopped_by("SIGINT") as progress:
            got.append(progress)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not got[0].cancelled
