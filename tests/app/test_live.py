"""Searching while somebody types: order, no answer older than the screen, reloads, and what happens on the way out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.services.library import open_library
from app.services.live import Answered, Asked, LiveSearch
from app.services.searching import Searcher, open_searcher
from m2hf_core.errors import BadQuery, KnownError
from m2hf_core.progress import Progress
from m2hf_core.records import SearchAnswer


def answer_of(text: str, preset: str = "") -> SearchAnswer:
    return SearchAnswer(text, "mmbf", preset, "untrained", "untrained", 1.0, 1.0, 0, 0, ())


@dataclass
class FakeSearcher:
    """Answers after a while, as a real one does."""

    takes_s: float = 0.0
    generation: int = 0
    is_stale: Callable[[], bool] = lambda: False
    during: threading.Event = field(default_factory=threading.Event)

    def search(self, text: str, **_: object) -> SearchAnswer:
        self.during.set()
        if not text:
            raise BadQuery("The query is empty.")
        if text == "bug":
            raise ZeroDivisionError
        time.sleep(self.takes_s)
        return answer_of(text, str(self.generation))

    def stale(self) -> bool:
        return self.is_stale()

    def reloaded(self, _: Progress) -> FakeSearcher:
        return FakeSearcher(self.takes_s, self.generation + 1)


class Screen:
    def __init__(self) -> None:
        self.shown: list[Answered] = []
        self.states: list[tuple[str, Exception | None]] = []
        self._news = threading.Condition()

    def deliver(self, answered: Answered) -> None:
        with self._news:
            self.shown.append(answered)
            self._news.notify_all()

    def state(self, state: str, reason: Exception | None) -> None:
        with self._news:
            self.states.append((state, reason))
            self._news.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, 20), (self.shown, self.states)


def live(searcher: FakeSearcher, screen: Screen, **more: Any) -> LiveSearch:
    opener = more.pop("opener", lambda *_: searcher)
    return LiveSearch(None, screen.deliver, on_state=screen.state, opener=opener, **more)  # type: ignore[arg-type]


def test_fifty_keystrokes_are_answered_in_order_and_half_of_them_seen() -> None:
    screen = Screen()
    with live(FakeSearcher(takes_s=0.04), screen) as search:
        screen.until(lambda: ("ready", None) in screen.states)
        last = 0
        for keys in range(1, 51):
            last = search.ask("x" * keys)
            time.sleep(0.03)
        screen.until(lambda: bool(screen.shown) and screen.shown[-1].asked.number == last)
    numbers = [answered.asked.number for answered in screen.shown]
    assert numbers == sorted(set(numbers)), "an answer older than the one on screen"
    assert len(numbers) >= 25
    assert all(a.answer is not None and a.answer.query == a.asked.text for a in screen.shown)


def test_a_bad_query_and_a_bug_are_delivered_and_searching_goes_on() -> None:
    screen = Screen()
    with live(FakeSearcher(), screen) as search:
        for text in ("", "bug", "fine"):
            number = search.ask(text)
            screen.until(lambda number=number: bool(screen.shown) and screen.shown[-1].asked.number == number)
    assert [type(answered.error) for answered in screen.shown] == [BadQuery, ZeroDivisionError, type(None)]


def test_a_changed_library_is_loaded_and_the_screen_brought_up_to_date() -> None:
    screen = Screen()
    with live(FakeSearcher(is_stale=lambda: True), screen) as search:
        search.ask("dog")
        screen.until(lambda: len(screen.shown) == 1)
        search.changed()
        screen.until(lambda: len(screen.shown) == 2)
    first, second = screen.shown
    assert (first.refreshed, second.refreshed) == (False, True)
    assert first.asked is second.asked
    assert second.answer is not None
    assert second.answer.preset == "1"


def test_a_library_that_cannot_be_opened_says_why_and_is_tried_again() -> None:
    screen, tries = Screen(), [KnownError("The disk is away.")]

    def opener(*_: object) -> FakeSearcher:
        if tries:
            raise tries.pop()
        return FakeSearcher()

    with live(FakeSearcher(), screen, opener=opener) as search:
        search.ask("dog")
        screen.until(lambda: any(state == "failed" for state, _ in screen.states))
        search.changed()
        screen.until(lambda: len(screen.shown) == 1)
    states = [state for state, _ in screen.states]
    assert states == ["opening", "failed", "ready", "closed"]
    assert str(screen.states[1][1]) == "The disk is away."


def test_a_failed_opening_is_tried_again_without_being_told_to_and_told_once() -> None:
    screen, tries = Screen(), [KnownError("The disk is away."), KnownError("The disk is away.")]

    def opener(*_: object) -> FakeSearcher:
        if tries:
            raise tries.pop()
        return FakeSearcher()

    with live(FakeSearcher(), screen, opener=opener) as search:
        search.ask("dog")
        screen.until(lambda: len(screen.shown) == 1)
    assert [state for state, _ in screen.states] == ["opening", "failed", "ready", "closed"]


@pytest.mark.parametrize("reloading", [False, True])
def test_closing_gives_up_a_long_loading(reloading: bool) -> None:
    screen, began, stopped = Screen(), threading.Event(), threading.Event()

    def long(progress: Progress) -> FakeSearcher:
        began.set()
        for _ in range(2000):  # 20 s
            time.sleep(0.01)
            if progress.cancelled:
                stopped.set()
                progress.check()
        raise AssertionError("closing was not heard of")

    searcher = FakeSearcher(is_stale=lambda: True)
    searcher.reloaded = long  # type: ignore[method-assign]
    opener = (lambda *_: searcher) if reloading else (lambda _, progress: long(progress))
    search = live(searcher, screen, opener=opener)
    assert began.wait(20)
    search.close()
    assert stopped.is_set()


def test_closing_finishes_what_is_answered_and_drops_the_rest() -> None:
    screen, searcher = Screen(), FakeSearcher(takes_s=0.2)
    search = live(searcher, screen)
    search.ask("first")
    assert searcher.during.wait(20)
    search.ask("second")
    waiting = search.call(lambda s: 1)
    search.close()
    assert [answered.asked.text for answered in screen.shown] == ["first"]
    assert waiting.cancelled()
    assert search.call(lambda s: 1).cancelled()


def test_other_work_runs_between_answers_and_raises_where_it_was_asked_for() -> None:
    screen = Screen()
    with live(FakeSearcher(generation=7), screen) as search:
        assert search.call(lambda s: s.generation).result(20) == 7
        with pytest.raises(KnownError, match="no"):
            search.call(lambda s: (_ for _ in ()).throw(KnownError("no"))).result(20)


def test_a_real_library(indexed: tuple[Path, Path]) -> None:
    """Speech finds the kitchen; the timeline points at the line; a caption of the owner's makes nothing stale."""
    data, videos = indexed
    screen = Screen()
    with open_library(data) as library, LiveSearch(library, screen.deliver) as search:
        search.ask("bread with walnuts", k=5)
        screen.until(lambda: len(screen.shown) == 1)
        strip = search.timeline(videos / "kitchen.mp4", "bread").result(20)
        assert not search.call(lambda searcher: searcher.stale()).result(20)
    (answered,) = screen.shown
    assert answered.asked == Asked(1, "bread with walnuts", 5)
    assert answered.answer is not None
    assert answered.answer.hits[0].video == videos / "kitchen.mp4"
    assert strip == {"speech": [(1.0, 1.0)]}


@pytest.mark.slow
def test_fifty_keystrokes_over_a_real_library(shelf: Path) -> None:
    """Text tower, engine and all: in order, each what the searcher says by itself, and the thread is never idle."""
    text = "a captain on a ship buys bread near the lighthouse"
    took: list[float] = []
    with open_library(shelf) as library:
        searcher, screen = open_searcher(library), Screen()
        searcher.search("warm up")

        def timed(asked: str, **more: Any) -> SearchAnswer:
            began = time.monotonic()
            answer = Searcher.search(searcher, asked, **more)
            took.append(time.monotonic() - began)
            return answer

        typing = FakeSearcher()
        typing.search = timed  # type: ignore[method-assign]
        with live(typing, screen) as search:
            screen.until(lambda: ("ready", None) in screen.states)
            began = time.monotonic()
            for end in range(1, 51):
                last = search.ask(text[:end])
                time.sleep(0.03)
            typed_s = time.monotonic() - began
            screen.until(lambda: bool(screen.shown) and screen.shown[-1].asked.number == last)
        numbers = [shown.asked.number for shown in screen.shown]
        assert numbers == sorted(set(numbers))
        assert screen.shown[-1].asked.text == text
        # What a thread that always works on the newest request can show; 25 where an answer takes under 60 ms.
        assert len(numbers) >= min(25, typed_s / max(took) - 2)
        for shown in screen.shown[:: max(1, len(numbers) // 5)]:
            assert shown.answer is not None
            fresh = searcher.reloaded().search(shown.asked.text, k=shown.asked.k)
            assert shown.answer.hits == fresh.hits
