"""Evaluate score matrices the way text-video retrieval reports them, and label every reading of M2HF's fusion.

R@K is in percent, MdR and MnR are the median and mean of the truth's expected place. `readings` says what honest,
oracle and pessimistic mean and how ties are averaged. Several captions per video: text to video, every caption is a
query of its own. Video to text is offered in two protocols, named in the result:

- `group` (CLIP4Clip): each video's captions collapse to their best score, in every lane, and the video's own group
  is ranked among the groups; a group abstains where all its captions do.
- `caption`: the first of the video's own captions is ranked among all captions.

Videos without a caption are candidates of text-to-video and no queries of video-to-text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np

from m2hf_core.model.ranks import TIED_LANES, BoolArray, FloatArray, IntArray
from m2hf_core.model.readings import Readings, TruthRanks, read_truths

Protocol = Literal["group", "caption"]
Table = dict[str, float]
RECALLS = (1, 5, 10)


def evaluate(
    scores: Mapping[str, FloatArray],
    video_of_text: IntArray,
    *,
    dataset: str,
    split: str,
    abstain: Mapping[str, BoolArray] | None = None,
    tied: Collection[str] = TIED_LANES,
    v2t: Protocol = "group",
    post: str | None = None,
) -> dict[str, object]:
    """The document that `eval --json` prints.

    `scores` [T, V] per lane, text i against video j; `video_of_text` [T] is each caption's video; `abstain` per lane,
    broadcastable to [T, V]; `post` names what re-weighted the scores beforehand, if anything did (test-time DSL).
    Raises ValueError for other shapes.
    """
    t2v = tables(text_to_video(scores, video_of_text, abstain, tied))
    texts, videos = next(iter(scores.values())).shape
    return {
        "dataset": dataset,
        "split": split,
        "texts": texts,
        "videos": videos,
        "protocol": {"ties": "mean", "post": post, "v2t": v2t},
        "t2v": t2v,
        "v2t": tables(video_to_text(scores, video_of_text, abstain, tied, v2t)),
    }


def text_to_video(
    scores: Mapping[str, FloatArray],
    video_of_text: IntArray,
    abstain: Mapping[str, BoolArray] | None = None,
    tied: Collection[str] = TIED_LANES,
) -> Readings:
    """Each caption's video among all videos; arguments as in `evaluate`."""
    return read_truths(scores, video_of_text, None, abstain, tied)


def video_to_text(
    scores: Mapping[str, FloatArray],
    video_of_text: IntArray,
    abstain: Mapping[str, BoolArray] | None = None,
    tied: Collection[str] = TIED_LANES,
    protocol: Protocol = "group",
) -> Readings:
    """Each captioned video's captions among all captions, or its group among all groups."""
    video_of_text = np.asarray(video_of_text)
    videos = np.unique(video_of_text)
    turned: dict[str, FloatArray] = {}
    quiet: dict[str, BoolArray] = {}
    for lane, values in scores.items():
        turned[lane] = values.T[videos]
        if abstain and lane in abstain:
            quiet[lane] = np.broadcast_to(abstain[lane], values.shape).T[videos]
    if protocol == "caption":
        return read_truths(turned, videos, video_of_text, quiet, tied)
    if protocol != "group":
        raise ValueError(f"no video-to-text protocol is called {protocol!r}")
    by_video = np.argsort(video_of_text, kind="stable")
    starts = np.searchsorted(video_of_text[by_video], videos)
    for lane, values in turned.items():
        heard = values if lane not in quiet else np.where(quiet[lane], -np.inf, values)
        turned[lane] = np.maximum.reduceat(heard[:, by_video], starts, axis=1)
    quiet = {lane: np.logical_and.reduceat(mask[:, by_video], starts, axis=1) for lane, mask in quiet.items()}
    return read_truths(turned, videos, videos, quiet, tied)


def tables(readings: Readings) -> dict[str, object]:
    """One direction's part of the document."""
    return {
        "honest": table(readings.honest),
        "oracle": table(readings.oracle),
        "pessimistic": table(readings.pessimistic),
        "branches": {lane: table(ranks) for lane, ranks in readings.branches.items()},
        "fusions": {fusion: table(ranks) for fusion, ranks in readings.fusions.items()},
    }


def table(ranks: TruthRanks) -> Table:
    """R@1, R@5, R@10 in percent, median and mean rank."""
    places = ranks.expected()
    recalls = {f"R@{k}": 100 * float(ranks.recall(k).mean()) for k in RECALLS}
    return {**recalls, "MdR": float(np.median(places)), "MnR": float(places.mean())}
