"""Runs one function in a process of its own that may die: whatever decodes a file that a stranger chose goes there.

Pictures and videos can crash a decoder or never end; then a sentence is told and this program lives on.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress

Result = TypeVar("Result")
LOOK_EVERY_S = 0.1
END_GRACE_S = 2.0


def run_apart(
    function: Callable[..., Result], *args: object, timeout_s: float, progress: Progress | None = None
) -> Result:
    """`function(*args)` in a fresh process; both must travel there (a module's own function, plain arguments).

    Raises the `KnownError` that it raised, another one when it died or took longer than `timeout_s`, and
    `Interrupted` when `progress` was cancelled. The process is gone in any case.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, function, args), name="m2hf-apart", daemon=True)
    process.start()
    theirs.close()
    try:
        result: Result = _wait(ours, timeout_s, progress or Progress())
        return result
    finally:
        ours.close()
        _end(process)


def _wait(pipe: Connection, timeout_s: float, progress: Progress) -> Any:
    left = timeout_s
    while not pipe.poll(min(LOOK_EVERY_S, left)):
        progress.check()
        left -= LOOK_EVERY_S
        if left <= 0:
            raise KnownError(
                f"The file was not done with after {timeout_s:.0f} s.",
                "It may be damaged, or the disk very slow.",
            )
    try:
        good, value = pipe.recv()
    except EOFError:
        raise KnownError(
            "The program that opens files crashed on this one.", "The file is probably damaged; leave it out."
        ) from None
    if good:
        return value
    raise value


def _child(pipe: Connection, function: Callable[..., object], args: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends this process itself
    try:
        pipe.send((True, function(*args)))
    except KnownError as error:
        pipe.send((False, error))


def _end(process: Any) -> None:
    process.join(END_GRACE_S if process.exitcode is not None else 0.2)
    if process.is_alive():
        process.kill()
    process.join()
    process.close()
