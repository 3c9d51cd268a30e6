"""Processes that keep the machine busy while something is measured, as extraction does.

A module of its own, so that such a process imports it and numpy and nothing else. `multiprocessing` starts them, since
a frozen program has no `python -c`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Semaphore

START_S = 60.0
"""A process that has not begun by then never will."""


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """As many processes at the workers' low priority, each multiplying matrices without end.

    Raises `TimeoutError` when one of them does not begin.
    """
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Semaphore(0)
    running = [spawn.Process(target=_burn, args=(begun,), daemon=True) for _ in range(processes)]
    try:
        for process in running:
            process.start()
        for _ in running:
            if not begun.acquire(timeout=START_S):
                raise TimeoutError("a process that was to keep the machine busy did not begin")
        yield
    finally:
        for process in running:
            if process.pid is not None:
                process.kill()
                process.join()
                process.close()


def _burn(begun: Semaphore) -> None:
    if os.name == "posix":
        os.nice(19)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    import numpy  # reads them while it is imported

    matrix = numpy.ones((512, 512), numpy.float32)
    begun.release()
    while True:
        matrix @ matrix
