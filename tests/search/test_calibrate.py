"""Likelihoods follow the null captions: unusual for the clip, and farther than captions about nothing here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.model.inputs import TextFeatures
from m2hf_core.model.m2hf import M2HF
from m2hf_core.search.asked import AskedStep, fuse_steps, score_step
from m2hf_core.search.calibrate import LIKELY, MAYBE, Calibration
from m2hf_core.search.derive import derive, joined, video_features
from m2hf_core.search.lanes import score_lanes

Make = Callable[..., Any]
NOUNS = [frozenset({"dog"})] * 20 + [frozenset({"sea", "zebra"})] * 20


@pytest.fixture(scope="module")
def null() -> TextFeatures:
    tokens = torch.from_numpy(np.random.default_rng(77).normal(size=(40, 10, 8)).astype(np.float32))
    mask = torch.zeros(40, 10, dtype=torch.bool)
    mask[:, 1:6] = True
    return TextFeatures(tokens, mask, torch.full((40,), 5))


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), parts=st.integers(1, 3))
def test_every_share_equals_counting(
    seed: int,
    parts: int,
    scorer: M2HF,
    raw_clips: Make,
    gallery_with: Make,
    text_of: Make,
    query_from: Make,
    null: TextFeatures,
) -> None:
    rng = np.random.default_rng(seed)
    clips = raw_clips(rng, range(1, 13))
    gallery = gallery_with(rng, clips, parts, null)
    calibration = Calibration(gallery, NOUNS)
    query = query_from(rng, text_of(rng), ["dog"])
    lanes = score_lanes(gallery, query, {}).lanes
    with torch.inference_mode():
        scores = scorer.score(null, scorer.encode_video(video_features(clips, 3, 5)))
    for branch in ("visual", "audio", "motion"):
        if branch not in lanes:
            continue
        own = scores[branch].numpy()
        mean, deviation = own.mean(axis=0), own.std(axis=0)
        there = gallery.encoded.present[branch]
        tops = ((own - mean) / deviation)[:, there].max(axis=1)
        for row in np.flatnonzero(there).tolist():
            unusual = (float(lanes[branch].scores[row]) - mean[row]) / deviation[row]
            share = calibration.percentile(branch, row, float(lanes[branch].scores[row]))
            assert abs(share - np.mean(tops < unusual)) <= 1 / 40


def test_few_null_captions_find_something_likely(
    raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make, null: TextFeatures
) -> None:
    """The null captions asked as queries: by construction few of them find something likely, in any branch."""
    rng = np.random.default_rng(2)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 13)), 2, null)
    calibration = Calibration(gallery, [frozenset()] * 40)
    found = []
    for n in range(40):
        query = query_from(rng, null.select(slice(n, n + 1)))
        scored = score_step(gallery, AskedStep(query, {}), None, calibration)
        hits, _, _ = fuse_steps(
            gallery, [scored], k=12, fusion="mmbf", branches=("visual", "audio", "motion")
        )
        found.append("likely" in {hit.likelihood for hit in hits})
        assert {hit.likelihood for hit in hits} <= {"likely", "maybe", "probably not"}
    assert np.mean(found) <= 1 - LIKELY + 0.05
    assert LIKELY > MAYBE


def test_without_null_captions_nothing_is_claimed(raw_clips: Make, gallery_with: Make) -> None:
    rng = np.random.default_rng(2)
    calibration = Calibration(gallery_with(rng, raw_clips(rng, range(1, 6))), [])
    assert not calibration.known
    assert calibration.likelihood(0, {"visual": 0.9}) == "unknown"
    assert not calibration.hubs.any()


def test_a_hub_sinks_unless_somebody_speaks_of_it(
    scorer: M2HF, raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make, null: TextFeatures
) -> None:
    """One clip's frames are turned towards what all captions have in common."""
    rng = np.random.default_rng(3)
    toward = TextFeatures(null.tokens + 3.0, null.mask, null.pooled)
    clips = raw_clips(rng, range(1, 31))
    hub = clips[0]
    hub.frames.values[:] = 1.0
    gallery = gallery_with(rng, clips, 2, toward)
    calibration = Calibration(gallery, [frozenset()] * 40)
    assert calibration.hubs[0]
    query = query_from(rng, TextFeatures(toward.tokens[:1], toward.mask[:1], toward.pooled[:1]))

    def place(known: Calibration | None) -> int:
        scored = score_step(gallery, AskedStep(query, {}), None, known)
        hits, _, _ = fuse_steps(gallery, [scored], k=30, fusion="rrf", branches=("visual",))
        return [hit.clip_id for hit in hits].index(1) + 1

    assert place(None) < 30
    assert place(calibration) >= 30 - calibration.hubs.sum()


def test_merging_segments_keeps_what_is_known(scorer: M2HF, raw_clips: Make, null: TextFeatures) -> None:
    from m2hf_core.index import Segment

    clips = raw_clips(np.random.default_rng(1), range(1, 9))
    names = ("visual", "audio", "motion")
    parts = [
        Segment(str(n), derive(scorer, names, clips[n::2], (3, 5), null), np.ones(4, np.bool_))
        for n in (0, 1)
    ]
    parts[0].alive[1] = False
    merged = joined(parts)
    anew = derive(scorer, names, [*clips[0:2:2], *clips[4::2], *clips[1::2]], (3, 5), null)
    for name, values in anew.items():
        if not name.startswith("top."):
            np.testing.assert_allclose(merged[name], values, atol=1e-3)
        else:
            assert (merged[name] >= values - 1e-3).all()
