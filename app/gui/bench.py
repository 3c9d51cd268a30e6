"""How long the window does not answer: a heartbeat in its own thread while it starts, indexes and is typed into."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer
from PySide6.QtWidgets import QDialog

from app.gui.bridge import Bridge
from app.gui.first_run import FirstRunDialog
from app.gui.main_window import MainWindow
from app.gui.records import Trouble
from app.gui.session import Session
from app.gui.start import make_application
from app.gui.theme import Theme
from app.services.live import Answered
from app.services.views import Overview
from app.services.witness import Witness, stolen_ms
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress

BEAT_MS = 5
LOOK_MS = 50
KEY_MS = 30
"""Between two keys of somebody who types fast."""
PATIENCE_S = 1800.0
TARGETS = {"longest_gap_ms_after_start": 50}


class Heartbeat(QObject):
    """Notes the gaps between beats of the GUI thread in milliseconds, and how long that thread itself computed in each.

    Where the machine is shared the first also holds what the neighbours took; the second never does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gaps: list[float] = []
        self._busy: list[float] = []
        self._last, self._spent = time.perf_counter(), time.thread_time()
        self._timer = QTimer(self, interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now, spent = time.perf_counter(), time.thread_time()
        self._gaps.append(1000 * (now - self._last))
        self._busy.append(1000 * (spent - self._spent))
        self._last, self._spent = now, spent

    def take(self) -> dict[str, Any]:
        """The figures since the last time, which begin anew: beats, gap_ms, computing_ms, load."""
        found = {
            "beats": len(self._gaps),
            "gap_ms": _longest(self._gaps),
            "computing_ms": _longest(self._busy),
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        }
        self._gaps, self._busy = [], []
        return found

    def stop(self) -> None:
        self._timer.stop()


def _longest(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {"longest": round(ordered[-1], 1), "p99": round(ordered[len(ordered) * 99 // 100], 1)}


def bench_window(
    data_dir: Path, folder: Path, query: str, *, preset: str, progress: Progress
) -> dict[str, Any]:
    """Take `folder` into the new library in `data_dir` in a real window, and type `query`; figures per part.

    `machine_ms` are the gaps of a process that only sleeps, `stolen_ms` what the host of a virtual machine took from
    all of its processors meanwhile: a gap beyond both is the window's own.

    Raises `KnownError` where the window tells of trouble or does not get on, `Interrupted`.
    """
    bridge = Bridge(data_dir, preset)
    window = MainWindow(bridge, Theme(make_application()), Session(data_dir))
    heard = _Heard(bridge)
    window.show()
    try:
        with Witness(BEAT_MS) as witness:
            bridge.start()
            return _measure(window, heard, folder, query, witness, progress)
    finally:
        window.leave()


class _Heard(QObject):
    """What the bridge told last."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.overview: Overview | None = None
        self.answered: Answered | None = None
        self.ready = False
        self.trouble: Trouble | None = None
        bridge.overview.connect(self._take_overview)
        bridge.answered.connect(self._take_answer)
        bridge.search_state.connect(self._take_state)
        bridge.failed.connect(self._take_trouble)

    def _take_overview(self, overview: Overview) -> None:
        self.overview = overview

    def _take_answer(self, answered: Answered) -> None:
        self.answered = answered

    def _take_state(self, state: str, trouble: Trouble | None) -> None:
        self.ready = self.ready or state == "ready"
        self.trouble = trouble or self.trouble

    def _take_trouble(self, trouble: Trouble) -> None:
        self.trouble = trouble

    def all_done(self) -> bool:
        if self.overview is None or not self.overview.total:
            return False
        return not (self.overview.videos.get("queued", 0) + self.overview.videos.get("running", 0))

    def has_answered(self, query: str) -> bool:
        answer = self.answered.answer if self.answered is not None else None
        return answer is not None and answer.query == query


def _measure(
    window: MainWindow, heard: _Heard, folder: Path, query: str, witness: Witness, progress: Progress
) -> dict[str, Any]:
    def until(happened: Callable[[], object], stage: str) -> None:
        progress.start(stage)
        _wait(happened, heard, progress)

    stolen = stolen_ms()

    def take() -> dict[str, Any]:
        nonlocal stolen
        before, stolen = stolen, stolen_ms()
        lost = None if before is None or stolen is None else round(stolen - before)
        return heartbeat.take() | {"machine_ms": _longest(witness.take()), "stolen_ms": lost}

    figures: dict[str, Any] = {}
    heartbeat = Heartbeat()
    until(lambda: _welcome(window) is not None, "start")
    until(lambda: heard.ready, "load the models of the search")
    figures["starting"] = take()
    welcome = _welcome(window)
    assert welcome is not None
    welcome.take_folder(folder)
    welcome.begin.click()
    until(heard.all_done, "index")
    figures["indexing"] = take()
    _type(window, query)
    until(lambda: heard.has_answered(query), "type")
    figures["typing"] = take()
    heartbeat.stop()
    assert heard.overview is not None
    return {"sizes": dict(heard.overview.videos), "figures": figures, "against": {"targets": TARGETS}}


def _welcome(window: MainWindow) -> FirstRunDialog | None:
    found = [dialog for dialog in window.findChildren(QDialog) if isinstance(dialog, FirstRunDialog)]
    return found[0] if found else None


def _type(window: MainWindow, query: str) -> None:
    """A key each `KEY_MS`, while everything else goes on."""
    typed = iter(query)
    keys = QTimer(window, interval=KEY_MS)

    def press() -> None:
        key = next(typed, None)
        if key is None:
            keys.stop()
        else:
            window.search.field.insert(key)

    keys.timeout.connect(press)
    keys.start()


def _wait(happened: Callable[[], object], heard: _Heard, progress: Progress) -> None:
    loop, until = QEventLoop(), time.monotonic() + PATIENCE_S

    def look() -> None:
        if happened() or heard.trouble is not None or progress.cancelled or time.monotonic() > until:
            loop.quit()

    looking = QTimer(interval=LOOK_MS)
    looking.timeout.connect(look)
    looking.start()
    loop.exec()
    progress.check()
    if heard.trouble is not None:
        raise KnownError(heard.trouble.sentence, heard.trouble.hint)
    if not happened():
        raise KnownError(
            f"The window did not get on within {PATIENCE_S / 60:.0f} minutes.", "Try fewer videos."
        )
