"""A process that only sleeps and looks at the clock, beside something whose pauses are measured.

Where a pause is the machine's own, as when it runs other programs or stands still as a whole, this one has it too. A
module of its own, so that such a process imports little; `multiprocessing` starts it, since a frozen program has no
`python -c`.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

STOLEN = 8
"""Its place among the numbers of /proc/stat (proc(5): user, nice, system, idle, iowait, irq, softirq, steal)."""
START_S = 60.0
"""A process that has not begun by then never will."""


class Witness:
    """The gaps between a process's own looks at the clock, every `beat_ms`. Use as a context."""

    def __init__(self, beat_ms: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_look_at_the_clock, args=(theirs, beat_ms), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Witness:
        """Raises `TimeoutError` when the process does not begin."""
        try:
            self.take()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    def take(self) -> list[float]:
        """The gaps since the last time, in milliseconds."""
        self._pipe.send(None)
        if not self._pipe.poll(START_S):
            raise TimeoutError("the process that watches the machine does not answer")
        gaps: list[float] = self._pipe.recv()
        return gaps


def _look_at_the_clock(pipe: Connection, beat_ms: float) -> None:
    gaps: list[float] = []
    last = time.perf_counter()
    while True:
        asked = pipe.poll(beat_ms / 1000)
        now = time.perf_counter()
        gaps.append(1000 * (now - last))
        last = now
        if asked:
            pipe.recv()
            pipe.send(gaps)
            gaps = []


def stolen_ms(statistics: Path = Path("/proc/stat")) -> float | None:
    """What the host of a virtual machine has taken from all its processors since it began; None where nobody says."""
    if not statistics.is_file():
        return None
    every = statistics.read_text(encoding="ascii").split("\n", 1)[0].split()
    return 1000 * int(every[STOLEN]) / os.sysconf("SC_CLK_TCK")
