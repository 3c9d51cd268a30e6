"""Search while a person types: one thread that answers, in order, and never an answer older than the one on screen.

A request that waits is replaced by a newer one, but what is being worked on is finished and shown: delivering only
the newest answer leaves the screen empty while somebody types. The library is loaded beside the search thread, so
typing goes on over the old one until the new one is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from app.services.early import leave_out_of_garbage
from app.services.library import Library
from app.services.searching import Searcher, open_searcher
from m2hf_core.progress import Progress
from m2hf_core.records import Branch, Fusion, SearchAnswer

LOOK_EVERY_S = 1.0
"""How often an idle search looks whether the library has changed."""
REST = 4.0
"""A reload is followed by a rest of this many times its own duration: at most a fifth of a core while indexing."""

State = Literal["opening", "ready", "failed", "closed"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; a higher number was asked later."""

    number: int
    text: str
    k: int = 50
    branches: tuple[Branch, ...] | None = None
    fusion: Fusion | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a request: an answer, or the reason why there is none."""

    asked: Asked
    answer: SearchAnswer | None
    error: Exception | None
    """A `KnownError` is a sentence for the person; anything else is a bug to report."""
    refreshed: bool = False
    """The same request again, because the library has changed since."""


@dataclass(slots=True)
class _Waiting:
    """What the threads tell each other; only touched under the condition."""

    asked: Asked | None = None
    calls: deque[tuple[Callable[[Searcher], Any], Future[Any]]] = field(default_factory=deque)
    fresh: Searcher | None = None
    failure: Exception | None = None
    loading: bool = False
    prompted: bool = False
    closing: bool = False


def _open(library: Library, progress: Progress) -> Searcher:
    return open_searcher(library, progress=progress)


class LiveSearch:
    """The window's and the API's door to searching. Use as a context manager, or `close` it.

    `deliver` gets every finished answer, in order, on the search thread; it must be quick and may not call back into
    `close`. `on_state` hears opening, ready, failed (with the reason, once while it stays the same) and closed, on the
    same thread. What could not be opened or loaded again is tried again by itself; the former searcher, if there is
    one, answers meanwhile, and without one what is asked waits.
    """

    def __init__(
        self,
        library: Library,
        deliver: Callable[[Answered], None],
        *,
        on_state: Callable[[State, Exception | None], None] | None = None,
        opener: Callable[[Library, Progress], Searcher] = _open,
    ) -> None:
        self._library, self._deliver, self._opener = library, deliver, opener
        self._on_state = on_state or (lambda state, reason: None)
        self._condition = threading.Condition()
        self._waiting = _Waiting()
        self._numbers = 0
        self._progress = Progress()
        self._loader: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name="search", daemon=True)
        self._thread.start()

    def ask(
        self,
        text: str,
        *,
        k: int = 50,
        branches: Collection[Branch] | None = None,
        fusion: Fusion | None = None,
        explain: bool = False,
    ) -> int:
        """Ask, in place of whatever still waits; returns at once with the request's number.

        The same text with other branches, fusion or k is fused again from kept scores.
        """
        with self._condition:
            self._numbers += 1
            chosen = None if branches is None else tuple(branches)
            self._waiting.asked = Asked(self._numbers, text, k, chosen, fusion, explain)
            self._condition.notify_all()
            return self._numbers

    def call(self, work: Callable[[Searcher], T]) -> Future[T]:
        """Do something else with the searcher (captions, similar moments, a timeline) between two answers."""
        future: Future[T] = Future()
        with self._condition:
            if self._waiting.closing:
                future.cancel()
            else:
                self._waiting.calls.append((work, future))
                self._condition.notify_all()
        return future

    def timeline(self, video: Path, text: str) -> Future[dict[str, list[tuple[float, float]]]]:
        """Per branch (second, score) along a video, for a player's strip; see `Searcher.timeline`."""
        return self.call(lambda searcher: searcher.timeline(video, text))

    def changed(self) -> None:
        """Somebody knows that the library has changed: look now rather than within a second."""
        with self._condition:
            self._waiting.prompted = True
            self._condition.notify_all()

    def close(self) -> None:
        """End the threads; what waits is dropped, what is being answered is finished first, loading is given up."""
        self._progress.cancel()
        with self._condition:
            self._waiting.closing = True
            self._condition.notify_all()
        self._thread.join()
        if self._loader is not None:
            self._loader.join()

    def __enter__(self) -> LiveSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The search thread.

    def _run(self) -> None:
        self._on_state("opening", None)
        searcher: Searcher | None = None
        last: Asked | None = None
        told = ""
        self._load(None)
        look_at = time.monotonic() + LOOK_EVERY_S
        while True:
            with self._condition:
                self._condition.wait_for(partial(self._something_for, searcher), LOOK_EVERY_S)
                waiting = self._waiting
                if waiting.closing:
                    break
                fresh, failure, refresh = waiting.fresh, waiting.failure, False
                waiting.fresh = waiting.failure = None
                if fresh is not None:
                    searcher, refresh = fresh, last is not None
                asked = call = None
                if searcher is not None:
                    asked, waiting.asked = waiting.asked, None
                    if asked is None and not refresh and waiting.calls:
                        call = waiting.calls.popleft()
                prompted, waiting.prompted = waiting.prompted, False
            if failure is not None and repr(failure) != told:
                told = repr(failure)
                self._on_state("failed", failure)
            elif fresh is not None:
                told = ""
                self._on_state("ready", None)
            if searcher is None:
                pass
            elif asked is not None:
                last = asked
                self._deliver(answered(searcher, asked))
            elif refresh and last is not None:
                self._deliver(answered(searcher, last, refreshed=True))
            elif call is not None:
                _serve(searcher, *call)
            if prompted or time.monotonic() >= look_at:
                self._look(searcher)
                look_at = time.monotonic() + LOOK_EVERY_S
        for _, future in self._waiting.calls:
            future.cancel()
        self._on_state("closed", None)

    def _something_for(self, searcher: Searcher | None) -> bool:
        waiting = self._waiting
        if waiting.closing or waiting.prompted or waiting.fresh is not None or waiting.failure is not None:
            return True
        return searcher is not None and bool(waiting.asked or waiting.calls)

    def _look(self, searcher: Searcher | None) -> None:
        """Load again what has changed, or what could not be loaded before."""
        with self._condition:
            if self._waiting.loading:
                return
        try:
            stale = searcher is None or searcher.stale()
        except Exception as error:  # noqa: BLE001 - the disk may be gone; what is in memory still answers
            self._on_state("failed", error)
            return
        if stale:
            self._load(searcher)

    def _load(self, old: Searcher | None) -> None:
        """Open the library beside the search thread; the result comes as `fresh` or `failure`."""
        with self._condition:
            self._waiting.loading = True
        self._loader = threading.Thread(target=self._open, args=(old,), name="gallery", daemon=True)
        self._loader.start()

    def _open(self, old: Searcher | None) -> None:
        fresh: Searcher | None = None
        failure: Exception | None = None
        began = time.monotonic()
        try:
            fresh = (
                self._opener(self._library, self._progress) if old is None else old.reloaded(self._progress)
            )
            if old is None:
                leave_out_of_garbage()
        except Exception as error:  # noqa: BLE001 - told to whoever watches the state; the old library serves on
            failure = error
        took_s = time.monotonic() - began
        with self._condition:
            self._waiting.fresh, self._waiting.failure = fresh, failure
            self._condition.notify_all()
            if old is not None or fresh is None:
                self._condition.wait_for(lambda: self._waiting.closing, REST * took_s)
            self._waiting.loading = False


def answered(searcher: Searcher, asked: Asked, *, refreshed: bool = False) -> Answered:
    """Answer one request; never raises, so that one bad query does not end the search."""
    try:
        answer = searcher.search(
            asked.text, k=asked.k, branches=asked.branches, fusion=asked.fusion, explain=asked.explain
        )
    except Exception as error:  # noqa: BLE001 - a sentence for the person, or a bug: handed to the window's own funnel, with its traceback
        return Answered(asked, None, error, refreshed)
    return Answered(asked, answer, None, refreshed)


def _serve(searcher: Searcher, work: Callable[[Searcher], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work(searcher))
    except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
