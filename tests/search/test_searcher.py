"""An opened library fuses again what it scored before, and answers as one that was opened for this question."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.services import searching
from app.services.searching import Searcher
from m2hf_core.records import BRANCHES, Branch, SearchAnswer
from m2hf_core.search import everywhere as everywhere_module
from m2hf_core.search import lanes as lanes_module
from m2hf_core.search.calibrate import Calibration

Make = Callable[..., Any]
FEWER = (Branch.VISUAL, Branch.AUDIO, Branch.SPEECH)
TOGGLED = (("mmbf", None), ("mean-rank", None), ("mean-rank", FEWER), ("mmbf", FEWER), ("mmbf", None))


class Words:
    """Every word is a noun."""

    mode = "content-words"

    def __call__(self, text: str) -> frozenset[str]:
        return frozenset(text.split())


@pytest.fixture
def opened(raw_clips: Make, gallery_with: Make, text_of: Make, query_from: Make) -> Callable[[], Searcher]:
    """A searcher over 60 clips in 20 videos, with a random trained scorer and nothing kept."""
    rng = np.random.default_rng(4)
    gallery = gallery_with(rng, raw_clips(rng, range(1, 61)))
    for row, clip in enumerate(gallery.clips):
        folder = "lake" if clip.video_id % 4 else "town"
        gallery.clips[row] = replace(clip, path=clip.path.parent / folder / clip.path.name)

    def read(texts: dict[Branch, str]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        dense = {}
        for branch in BRANCHES[:3]:
            if texts[branch]:
                words = np.random.default_rng(zlib.crc32(texts[branch].encode()))
                dense[str(branch)] = query_from(words, text_of(words)).dense[branch]
        return None, dense, {}

    eyes: Any = SimpleNamespace(read=read, asleep={}, scorer_id="made", scorer_state="trained")
    library: Any = SimpleNamespace(preset=SimpleNamespace(id="demo"), settings={"fusion": "mmbf"})
    words: Any = Words()
    revision: Any = None
    calibration = Calibration(gallery, ())

    def make() -> Searcher:
        return Searcher(library, gallery, words, eyes, calibration, (), (), revision)

    return make


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was scored, a step at a time."""
    seen: list[object] = []
    plain = searching.score_step

    def counted(*given: Any) -> Any:
        seen.append(given)
        return plain(*given)

    monkeypatch.setattr(searching, "score_step", counted)
    return seen


def told(answer: SearchAnswer) -> tuple[object, ...]:
    return answer.fusion, answer.hits, answer.abstained, answer.notes


@pytest.mark.parametrize(
    "text",
    ["a dog by the sea", "a dog > the sea", "a dog -engine", "a dog in:lake", "a dog -engine in:lake > sea"],
)
def test_fused_again_is_as_asked_anew(
    text: str, opened: Callable[[], Searcher], scored: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (lanes_module, "SCORED_WHOLE", 10),
        (lanes_module, "PER_LANE", 4),
        (everywhere_module, "DRAWN", 8),
        (everywhere_module, "SPREAD", 6),
    ):
        monkeypatch.setattr(module, name, value)
    kept = opened()
    found = []
    for fusion, branches in TOGGLED:
        found.append(told(kept.search(text, k=12, fusion=fusion, branches=branches)))
        assert found[-1] == told(opened().search(text, k=12, fusion=fusion, branches=branches))
    assert found[0] == found[-1]
    assert all(hits for _, hits, _, _ in found)
    assert len({tuple(hit.clip_id for hit in hits) for _, hits, _, _ in found}) > 2
    steps = text.count(">") + 1
    # Each fusion's own, and for mean rank each choice's; of the five that were asked anew all.
    assert len(scored) == steps * (3 + len(TOGGLED))


@pytest.mark.parametrize("toggled", [TOGGLED, TOGGLED[1:]])
@pytest.mark.parametrize(("text", "whole"), [("a dog > the sea", 600), ("speech:dog", 10)])
def test_what_is_scored_whole_or_only_said_is_scored_once(
    text: str,
    whole: int,
    toggled: Any,
    opened: Callable[[], Searcher],
    scored: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no branch ranks by candidates, mean rank wants nothing more, whatever is asked first."""
    monkeypatch.setattr(lanes_module, "SCORED_WHOLE", whole)
    kept = opened()
    for fusion, branches in toggled:
        assert kept.search(text, k=12, fusion=fusion, branches=branches).hits
    assert len(scored) == text.count(">") + 1
