"""Scorers: which one answers, and the way back."""

from __future__ import annotations

from m2hf_core.store import Store, meta, scorers


def test_activating_and_rolling_back(store: Store) -> None:
    with store.library.writing() as session:
        assert scorers.active(session, "fast") is None
        for name in ("one", "two", "three"):
            scorers.register(session, name, "fast", "trained", f"/models/{name}.pt", {"R@1": 0.5})
        scorers.register(session, "other", "best", "untrained", None, {})
        assert scorers.active(session, "fast") is None
        assert scorers.activate(session, "one")
        assert scorers.activate(session, "other")
        assert scorers.activate(session, "three")
        assert not scorers.activate(session, "unknown")
        assert [(row.scorer_id, row.active) for row in scorers.list_scorers(session)] == [
            ("one", False),
            ("two", False),
            ("three", True),
            ("other", True),
        ]
        back = scorers.roll_back(session, "fast")
        assert back is not None
        assert (back.scorer_id, back.file, back.info) == ("one", "/models/one.pt", {"R@1": 0.5})
        assert scorers.roll_back(session, "fast") is None, "nothing before the first"
        active = scorers.active(session, "fast")
        assert active is not None
        assert active.scorer_id == "one"
        best = scorers.active(session, "best")
        assert best is not None
        assert best.scorer_id == "other"


def test_registering_again_updates_and_stays_active(store: Store) -> None:
    with store.library.writing() as session:
        scorers.register(session, "one", "fast", "trained", "/a\udcff.pt", {})
        scorers.activate(session, "one")
        scorers.register(session, "one", "fast", "promoted", "/b\udcff.pt", {"note": "x"})
        (row,) = scorers.list_scorers(session)
        assert (row.state, row.file, row.info, row.active) == ("promoted", "/b\udcff.pt", {"note": "x"}, True)
        assert scorers.remove(session, "one")
        assert not scorers.remove(session, "one")
        assert scorers.list_scorers(session) == []


def test_small_facts(store: Store) -> None:
    with store.library.writing() as session:
        assert meta.get_value(session, "paused") is None
        meta.put_value(session, "paused", "yes")
        meta.put_value(session, "paused", "no")
    with store.library.reading() as session:
        assert meta.get_value(session, "paused") == "no"
