"""Several pieces of work at once, where a single product is too small for torch's own threads to share.

A product with a segment takes a tenth of a millisecond. Split between threads, each of its halves would wait for the
other; so each thread takes whole products instead, and torch's own threads rest meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

MOST = 4
"""More threads read memory no faster."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` of every item, in order, on as many threads as torch may use here (`OMP_NUM_THREADS`), at most four."""
    threads = min(torch.get_num_threads(), MOST)
    if threads == 1:
        return [work(item) for item in items]
    return list(_helpers(threads).map(work, items))


@cache
def _helpers(threads: int) -> ThreadPoolExecutor:
    """Threads in each of which torch works alone; they stay for the next query."""
    allowed = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "search")
    ready = Barrier(threads + 1)

    def alone() -> None:
        torch.set_num_threads(1)
        ready.wait()

    for _ in range(threads):
        pool.submit(alone)
    ready.wait()
    # The number belongs to a thread once it is set there, and to threads that begin later: those get the former one.
    torch.set_num_threads(allowed)
    return pool
