"""How long work reports and is stopped: one small object, passed down as `progress`.

Work updates it as often as it likes; whoever shows it looks at `snapshot()` about ten times a second.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from m2hf_core.errors import Interrupted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of some work: `done` of `total` in `unit`, total 0 while unknown."""

    stage: str
    step: str
    """What the stage does at this moment, where that is worth saying."""
    done: float
    total: float
    unit: str
    elapsed_s: float

    @property
    def rate(self) -> float:
        """Units per second since the stage began; 0 before anything is done."""
        return self.done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left at the present rate, None while it cannot be told."""
        if self.total <= 0 or self.rate <= 0:
            return None
        return max(0.0, self.total - self.done) / self.rate


class Progress:
    """Thread-safe; also the one place where work asks whether to go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled, self._heeded = threading.Event(), threading.Event()
        self._stage, self._step, self._unit = "", "", ""
        self._done, self._total = 0.0, 0.0
        self._began = time.monotonic()

    def start(self, stage: str, total: float = 0.0, unit: str = "") -> None:
        """Begin a named stage; what the former stage counted is forgotten."""
        with self._lock:
            self._stage, self._step, self._unit = stage, "", unit
            self._done, self._total = 0.0, total
            self._began = time.monotonic()

    def step(self, step: str) -> None:
        """Name what the stage does now, without touching what it has counted."""
        with self._lock:
            self._step = step

    def advance(self, amount: float = 1.0) -> None:
        """Add finished work, then stop here if the person has asked to (raises `Interrupted`)."""
        with self._lock:
            self._done += amount
        self.check()

    def update(self, done: float, total: float) -> None:
        """Set both figures, for work whose size grows while it runs."""
        with self._lock:
            self._done, self._total = done, total
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` if the work was cancelled. Call between batches."""
        if self._cancelled.is_set():
            self._heeded.set()
            raise Interrupted

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def heeded(self) -> bool:
        """Whether some work has stopped because it was cancelled."""
        return self._heeded.is_set()

    def snapshot(self) -> Snapshot:
        with self._lock:
            elapsed_s = time.monotonic() - self._began
            return Snapshot(self._stage, self._step, self._done, self._total, self._unit, elapsed_s)
