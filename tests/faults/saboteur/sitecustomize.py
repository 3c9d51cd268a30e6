"""Runs in every Python process of a sabotaged command: kills the whole process group at a chosen moment.

Put on PYTHONPATH by the kill test, so that the program itself needs no seam for it. A moment is the nth time that any
process of the command enters a stage, plus a delay. Every stage that is entered is written to a log that all
processes append to; the last word is written by the one that kills.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from m2hf_core.progress import Progress

LOG = os.environ["M2HF_SABOTAGE_LOG"]
STAGE, DELAY_S = os.environ["M2HF_SABOTAGE_STAGE"], float(os.environ["M2HF_SABOTAGE_DELAY"])
FINAL = "killed in "
BETWEEN = "between the files"

_current = ""


def note(text: str) -> None:
    handle = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{text}\n".encode())
    os.close(handle)


def kill_the_group() -> None:
    time.sleep(DELAY_S)
    note(f"{FINAL}{_current}")
    os.killpg(os.getpgrp(), signal.SIGKILL)


def enter(stage: str) -> None:
    global _current
    _current = stage
    note(stage)
    if stage == "save" and STAGE == BETWEEN:
        kill_between_the_files()
    if stage != STAGE:
        return
    if DELAY_S:
        threading.Thread(target=kill_the_group, daemon=True).start()
    else:
        kill_the_group()


def kill_between_the_files() -> None:
    """Features are committed, the library does not know it yet: the one moment that two files cannot share."""
    from m2hf_core.store import jobs

    def finish(*args: object, **keywords: object) -> bool:
        global _current
        _current = BETWEEN
        kill_the_group()
        return False

    jobs.finish = finish


original_start, original_step = Progress.start, Progress.step


def start(self: Progress, stage: str, total: float = 0.0, unit: str = "") -> None:
    original_start(self, stage, total, unit)
    enter(stage)


def step(self: Progress, name: str) -> None:
    original_step(self, name)
    enter(name)


Progress.start = start  # type: ignore[method-assign]
Progress.step = step  # type: ignore[method-assign]
