"""Runs in every Python process of a sabotaged command: kills it, or its whole group, at a chosen moment.

Put on PYTHONPATH by the fault tests, so that the program itself needs no seam for it. A moment is an entrance into a
stage, plus a delay. Every stage that is entered is written to a log that all
processes append to; the last word is written by the one that kills.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from m2hf_core.progress import Progress

LOG = os.environ["M2HF_SABOTAGE_LOG"]
TARGET = os.environ.get("M2HF_SABOTAGE_TARGET", "group")
"""`group`, or a signal's name for this process alone, or `interrupt` (the whole group, as Ctrl-C does), or `hang`."""
TIMES = int(os.environ.get("M2HF_SABOTAGE_TIMES", "1000000"))
STAGE, DELAY_S = os.environ["M2HF_SABOTAGE_STAGE"], float(os.environ["M2HF_SABOTAGE_DELAY"])
FINAL = "killed in "
BETWEEN = "between the files"

_current = ""


def note(text: str) -> None:
    handle = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{text}\n".encode())
    os.close(handle)


def strike() -> None:
    time.sleep(DELAY_S)
    note(f"{FINAL}{_current}")
    if TARGET == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    elif TARGET == "interrupt":
        os.killpg(os.getpgrp(), signal.SIGINT)
    elif TARGET == "hang":
        time.sleep(3600)
    else:
        os.kill(os.getpid(), signal.Signals[TARGET])


def struck_already() -> int:
    with open(LOG, encoding="utf-8") as log:
        return sum(line.startswith(FINAL) for line in log)


def enter(stage: str) -> None:
    global _current
    _current = stage
    note(stage)
    if stage == "save" and STAGE == BETWEEN:
        kill_between_the_files()
    if stage != STAGE or struck_already() >= TIMES:
        return
    if DELAY_S:
        threading.Thread(target=strike, daemon=True).start()
    else:
        strike()


def kill_between_the_files() -> None:
    """Features are committed, the library does not know it yet: the one moment that two files cannot share."""
    from m2hf_core.store import jobs

    def finish(*args: object, **keywords: object) -> bool:
        global _current
        _current = BETWEEN
        strike()
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

if os.environ.get("M2HF_SABOTAGE_LIGHT"):
    import light_worker

    from app.workers import process

    process._begin = light_worker.begin
