"""Several pieces of work at once, where a single product is too small for torch's own threads to share.

A product with a segment takes a tenth of a millisecond. Split between threads, each of its halves would wait for the
other; so each thread takes whole products instead, and torch's own threads rest meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import cache, partial
from queue import SimpleQueue
from threading import Barrier, Lock, Thread
from typing import Any, TypeVar

import torch

MOST = 4
"""More threads read memory no faster."""

Item = TypeVar("Item")
Result = TypeVar("Result")
_Waiting = SimpleQueue[tuple[Callable[[], Any], Future[Any]]]
_starting = Lock()


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` of every item, in order, on as many threads as torch may use here (`OMP_NUM_THREADS`), at most four."""
    threads = min(torch.get_num_threads(), MOST)
    if threads == 1:
        return [work(item) for item in items]
    with _starting:  # two first queries at once would each start threads
        waiting = _helpers(threads)
    asked = []
    for item in items:
        answer: Future[Result] = Future()
        waiting.put((partial(work, item), answer))
        asked.append(answer)
    return [answer.result() for answer in asked]


@cache
def _helpers(threads: int) -> _Waiting:
    """What threads wait for, in each of which torch works alone; they stay for the next query."""
    allowed = torch.get_num_threads()
    waiting: _Waiting = SimpleQueue()
    ready = Barrier(threads + 1)
    for number in range(threads):
        # As daemons, since they own nothing: a program ends without telling them.
        Thread(target=_help, args=(waiting, ready), name=f"search {number}", daemon=True).start()
    ready.wait()
    # The number belongs to a thread once it is set there, and to threads that begin later: those get the former one.
    torch.set_num_threads(allowed)
    return waiting


def _help(waiting: _Waiting, ready: Barrier) -> None:
    torch.get_num_threads()  # a thread's first question sets its number to the common one; that must be over
    torch.set_num_threads(1)
    ready.wait()
    while True:
        task, answer = waiting.get()
        try:
            answer.set_result(task())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the answer is waited for
            answer.set_exception(error)
        del task, answer  # or a gallery would stay as long as nobody asks
