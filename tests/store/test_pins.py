"""Pins: one verdict per query and moment, gone with their video."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError

from m2hf_core.store import Store, forget, pins

Furnish = Callable[[Store], list[int]]


def test_the_last_verdict_counts(store: Store, furnish: Furnish) -> None:
    video, other = furnish(store)[:2]
    with store.library.writing() as session:
        pins.put_pin(session, " a  dog\n", video, 0.0, 4.0, "wrong")
        pins.put_pin(session, "a dog", other, 0.0, 4.0, "right")
        pins.put_pin(session, "a dog", video, 0.0, 4.0, "right")
        pins.put_pin(session, "rain", video, 0.0, 4.0, "wrong")
    with store.library.reading() as session:
        found = [(pin.text, pin.video_id, pin.verdict) for pin in pins.list_pins(session)]
        assert found == [("a dog", video, "right"), ("a dog", other, "right"), ("rain", video, "wrong")]
        assert [pin.text for pin in pins.list_pins(session, verdict="wrong")] == ["rain"]
        assert len(pins.list_pins(session, text="a dog ")) == 2
    with store.library.writing() as session:
        assert pins.remove_pin(session, "a dog", video, 0.0, 4.0)
        assert not pins.remove_pin(session, "a dog", video, 0.0, 4.0)


@pytest.mark.parametrize(("text", "start_s", "end_s"), [(" ", 0.0, 1.0), ("a", 2.0, 2.0), ("a", -1.0, 1.0)])
def test_nonsense_is_refused(store: Store, furnish: Furnish, text: str, start_s: float, end_s: float) -> None:
    video = furnish(store)[0]
    with store.library.writing() as session, pytest.raises(ValueError, match="no pin for"):
        pins.put_pin(session, text, video, start_s, end_s, "right")


def test_a_pin_needs_its_video_and_goes_with_it(store: Store, furnish: Furnish) -> None:
    video = furnish(store)[0]
    with pytest.raises(IntegrityError), store.library.writing() as session:
        pins.put_pin(session, "a dog", 10_000, 0.0, 1.0, "right")
    with store.library.writing() as session:
        pins.put_pin(session, "a dog", video, 0.0, 1.0, "right")
    forget.forget_videos(store, [video])
    with store.library.reading() as session:
        assert pins.list_pins(session) == []
