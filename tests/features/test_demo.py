"""The demo preset needs nothing that is not shipped, and gives the same numbers every time."""

from __future__ import annotations

import numpy as np

from m2hf_core.features import load_extractors
from m2hf_core.hub.manifest import get_preset


def test_the_demo_is_awake_and_repeatable() -> None:
    preset = get_preset("demo")
    first, second = load_extractors(preset), load_extractors(preset)
    assert set(first.asleep) == {"speech"}, "the demo's clips say what they say in subtitles"
    assert first.clip
    assert first.audio
    assert first.motion
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal(40_000).astype(np.float32)
    frames = rng.integers(0, 256, (3, 90, 120, 3), dtype=np.uint8)
    runs = rng.integers(0, 256, (2, 16, 90, 120, 3), dtype=np.uint8)
    for one, other in (
        (first.clip.encode(frames), second.clip.encode(frames)),
        (first.audio(waveform).values, second.audio(waveform).values),
        (first.motion.encode(runs), second.motion.encode(runs)),
    ):
        np.testing.assert_array_equal(one, other)
    prints = [part.fingerprint for part in (first.clip, first.audio, first.motion)]
    assert prints == [part.fingerprint for part in (second.clip, second.audio, second.motion) if part]
    assert len(set(prints)) == 3
