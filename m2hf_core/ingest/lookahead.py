"""What lies ready between decoding and the networks: a queue that is bounded in bytes, not in items.

A second of 4K video and a second of a phone clip differ a hundredfold in size, so a count would bound nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - a request, not an error
    """Nobody takes from this queue any more."""


class Lookahead(Generic[T]):
    """First in, first out, between threads; `put` and `get` answer how many seconds they had to wait."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._items: deque[tuple[T, int]] = deque()
        self._held = self.most_held = 0
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T, size: int = 0) -> float:
        """Wait until `size` bytes fit. One item always does, however large. Raises `Stopped`."""
        began = time.perf_counter()
        with self._changed:
            while not self._stopped and self._held and self._held + size > self._max_bytes:
                self._changed.wait()
            waited = time.perf_counter() - began
            if self._stopped:
                raise Stopped
            self._items.append((item, size))
            self._held += size
            self.most_held = max(self.most_held, self._held)
            self._changed.notify_all()
        return waited

    def get(self) -> tuple[T, float]:
        """The oldest item. Raises what `fail` was given, at once."""
        began = time.perf_counter()
        with self._changed:
            while not self._items and self._error is None:
                self._changed.wait()
            waited = time.perf_counter() - began
            if self._error is not None:
                raise self._error
            item, size = self._items.popleft()
            self._held -= size
            self._changed.notify_all()
        return item, waited

    def fail(self, error: BaseException) -> None:
        """End the work of whoever takes; what lies here is of no use any more."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def stop(self) -> None:
        """End the work of whoever puts."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
