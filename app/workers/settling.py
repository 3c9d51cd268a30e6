"""Which changed paths have come to rest: a file that is still being written is left to whoever writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Shape = tuple[int, int] | None
"""Size and modification time; None for what is not there."""


@dataclass(slots=True)
class _Touched:
    at: float
    shape: Shape


class Settling:
    """Collects paths that changed, and gives them back once they have stood still for `settle_s`."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s, self._clock = settle_s, clock
        self._touched: dict[Path, _Touched] = {}

    def __len__(self) -> int:
        return len(self._touched)

    def touch(self, path: Path) -> None:
        """`path` appeared, changed or went away just now."""
        self._touched[path] = _Touched(self._clock(), _shape(path))

    def settled(self) -> set[Path]:
        """The paths that have the same size and time as when they were last touched, long enough ago; each once."""
        now = self._clock()
        still: set[Path] = set()
        for path, touched in list(self._touched.items()):
            if now - touched.at < self._settle_s:
                continue
            shape = _shape(path)
            if shape == touched.shape:
                still.add(path)
                del self._touched[path]
            else:
                self._touched[path] = _Touched(now, shape)
        return still


def _shape(path: Path) -> Shape:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
