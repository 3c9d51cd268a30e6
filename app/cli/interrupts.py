"""Ctrl-C that neither gets lost nor breaks anything off in the middle.

Python raises KeyboardInterrupt wherever the program happens to be. Inside a destructor it is printed and dropped, and
the work would go on as if nobody had asked; inside a database library it can leave a transaction open that everything
afterwards waits for. So work is asked first, through the `progress` that it looks at anyway, and stops at its next
step. Only work that does not look, or a person who presses again, interrupts it where it is.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from m2hf_core.progress import Progress

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

HEED_WITHIN_S = 1.0
"""Work that has not stopped by then is interrupted; a second signal before then says nothing new."""
LOOK_EVERY_S = 0.1


@contextmanager
def stopped_by(*names: str) -> Iterator[Progress]:
    """The progress that these signals (those that this system has) cancel while it lasts.

    One that whoever started us had ignored, as `nohup` does, stays ignored.
    """
    progress = Progress()
    if threading.current_thread() is not threading.main_thread():
        yield progress  # whoever called us handles signals
        return
    over, leaving = threading.Event(), threading.Lock()
    asked: list[tuple[int, float]] = []
    raised: list[int] = []
    """One that is on its way through the work: what tidies up meanwhile is left alone."""

    def ask(number: int, _frame: FrameType | None) -> None:
        if not asked:
            progress.cancel()
            asked.append((number, time.monotonic()))
        elif time.monotonic() - asked[0][1] > HEED_WITHIN_S:
            raised.append(number)
            raise KeyboardInterrupt

    def insist() -> None:
        while not over.wait(LOOK_EVERY_S):
            if not asked or progress.heeded or raised or time.monotonic() - asked[0][1] <= HEED_WITHIN_S:
                continue
            with leaving:
                if not over.is_set():
                    _send(asked[0][0])

    def unraisable(dropped: UnraisableHookArgs) -> None:
        if dropped.exc_type is KeyboardInterrupt:
            raised.clear()  # it must come again
        else:
            told(dropped)

    insisting = threading.Thread(target=insist, name="insist", daemon=True)
    insisting.start()
    told, sys.unraisablehook = sys.unraisablehook, unraisable
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, ask)
    try:
        yield progress
    finally:
        with leaving:
            over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = told
        insisting.join()


def _send(number: int) -> None:
    """To the main thread itself where the system can, so that what it waits for is interrupted too."""
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
