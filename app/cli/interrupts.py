"""Ctrl-C that cannot get lost.

Python raises KeyboardInterrupt wherever the program happens to be; inside a destructor or the callback of a weak
reference it is printed and dropped, and the work would go on as if nobody had asked. So the wish is noted first: work
that reports through `progress` stops at its next step all the same.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from m2hf_core.progress import Progress

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


@contextmanager
def stopped_by(*names: str, progress: Progress | None = None) -> Iterator[None]:
    """While it lasts, these signals (those that this system has) cancel `progress` and interrupt the main thread.

    One that whoever started us had ignored, as `nohup` does, stays ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if progress is not None:
            progress.cancel()
        raise KeyboardInterrupt

    before = {}
    try:
        for name in names:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[name] = signal.signal(number, interrupt)
    except ValueError:  # not the main thread: whoever called us handles signals
        pass
    told = sys.unraisablehook

    def unraisable(dropped: UnraisableHookArgs) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            told(dropped)

    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        sys.unraisablehook = told
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
