"""Ctrl-C that neither gets lost nor breaks anything off in the middle.

Python raises KeyboardInterrupt wherever the program happens to be. Inside a destructor it is printed and dropped, and
the work would go on as if nobody had asked; inside a database library it can leave a transaction open that everything
afterwards waits for. So work is asked first, through the `progress` that it looks at anyway, and stops at its next
step. Only work that does not look, or a person who presses again, interrupts it where it is.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from m2hf_core.progress import Progress

HEED_WITHIN_S = 1.0
"""Work that has not stopped by then is interrupted, again and again; a second signal before then says nothing new."""


@contextmanager
def stopped_by(*names: str) -> Iterator[Progress]:
    """The progress that these signals (those that this system has) cancel while it lasts.

    One that whoever started us had ignored, as `nohup` does, stays ignored.
    """
    progress = Progress()
    if threading.current_thread() is not threading.main_thread():
        yield progress  # whoever called us handles signals
        return
    over, insisting = threading.Event(), threading.Event()
    asked_at: list[float] = []

    def insist(number: int) -> None:
        while not over.wait(HEED_WITHIN_S) and not progress.heeded:
            insisting.set()
            _send(number)

    def ask(number: int, _frame: FrameType | None) -> None:
        if not asked_at:
            asked_at.append(time.monotonic())
            progress.cancel()
            threading.Thread(target=insist, args=(number,), name="insist", daemon=True).start()
        elif insisting.is_set() or time.monotonic() - asked_at[0] > HEED_WITHIN_S:
            raise KeyboardInterrupt

    before = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, ask)
    try:
        yield progress
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(number: int) -> None:
    """To the main thread itself where the system can, so that what it waits for is interrupted too."""
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
