"""What indexing would cost on this machine, before there are any weights."""

from __future__ import annotations

import pytest

from app.services import pace
from m2hf_core.hub.manifest import load_manifest


def test_every_preset_of_real_videos_has_an_estimate(monkeypatch) -> None:
    monkeypatch.setattr(pace, "_gflops", lambda: pace.KNOWN_GFLOPS)
    hours = pace.expected_hours()
    assert hours.keys() == load_manifest().presets.keys() - {"demo"}
    assert hours["paper-b16"] == pytest.approx(95 / 69), "what was measured comes out again"
    assert hours["fast"] < hours["balanced"] < hours["paper-l14"] < hours["best"]


def test_half_the_speed_takes_twice_as_long(monkeypatch) -> None:
    monkeypatch.setattr(pace, "_gflops", lambda: pace.KNOWN_GFLOPS)
    known = pace.expected_hours()["fast"]
    monkeypatch.setattr(pace, "_gflops", lambda: pace.KNOWN_GFLOPS / 2)
    assert pace.expected_hours()["fast"] == pytest.approx(2 * known)


def test_this_machine_has_a_speed() -> None:
    assert 0.1 < pace._gflops() < 1e5
