"""The JSON documents that scripts read, the same from the command line and from the local API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from m2hf_core.records import BranchHit, CaptionAnswer, Copy, SearchAnswer, SearchHit

Json = dict[str, Any]


def search_json(answer: SearchAnswer, *, explain: bool = False) -> Json:
    """The document of `search --json`; with `explain`, every hit carries its alignment."""
    document: Json = {
        "query": answer.query,
        "fusion": answer.fusion,
        "preset": answer.preset,
        "scorer": {"id": answer.scorer_id, "state": answer.scorer_state},
        "took_ms": round(answer.took_ms, 2),
        "encode_ms": round(answer.encode_ms, 2),
        "gallery": {"videos": answer.videos, "clips": answer.clips},
        "hits": [_hit_json(hit, explain) for hit in answer.hits],
        "abstained": dict(answer.abstained),
        "blind_spots": list(answer.blind_spots),
        "nouns": answer.noun_mode,
    }
    if answer.notes:
        document["notes"] = list(answer.notes)
    if answer.copies:
        document["copies"] = [_copy_json(copy) for copy in answer.copies]
    return document


def _hit_json(hit: SearchHit, explain: bool) -> Json:
    document: Json = {
        "rank": hit.rank,
        "video": str(hit.video),
        "start_s": round(hit.start_s, 3),
        "end_s": round(hit.end_s, 3),
        "best_s": round(hit.best_s, 3),
        "title": hit.title,
        "won_by": list(hit.won_by),
        "likelihood": hit.likelihood,
        "without": dict(hit.without),
        "heard": hit.heard,
        "moved": hit.moved,
        "branches": _branches_json(hit.branches),
        "words": list(hit.words),
    }
    if hit.copies:
        document["copies"] = [_copy_json(copy) for copy in hit.copies]
    if explain:
        document["alignment"] = [
            {"word": a.word, "branch": a.branch, "time_s": round(a.time_s, 3), "weight": round(a.weight, 4)}
            for a in hit.alignment
        ]
    return document


def captions_json(answer: CaptionAnswer) -> Json:
    """The document of `captions --json`."""
    document: Json = {
        "video": str(answer.video),
        "start_s": round(answer.start_s, 3),
        "end_s": round(answer.end_s, 3),
        "hits": [
            {
                "rank": hit.rank,
                "text": hit.text,
                "source": hit.source,
                "won_by": list(hit.won_by),
                "branches": _branches_json(hit.branches),
            }
            for hit in answer.hits
        ],
        "said": list(answer.said),
        "bank": answer.bank,
        "abstained": dict(answer.abstained),
    }
    if answer.notes:
        document["notes"] = list(answer.notes)
    return document


def _copy_json(copy: Copy) -> Json:
    """`start_s` to `end_s` of `video` is `of_start_s` to `of_end_s` of the one it stands under."""
    times = (copy.start_s, copy.end_s, copy.of_start_s, copy.of_end_s)
    names = ("start_s", "end_s", "of_start_s", "of_end_s")
    return {"video": str(copy.video)} | {
        name: round(time, 3) for name, time in zip(names, times, strict=True)
    }


def _branches_json(branches: Mapping[str, BranchHit | None]) -> Json:
    return {name: _branch_json(hit) for name, hit in branches.items()}


def _branch_json(hit: BranchHit | None) -> Json | None:
    if hit is None:
        return None
    document: Json = {"rank": hit.rank, "score": round(hit.score, 4)}
    if hit.best_s is not None:
        document["best_s"] = round(hit.best_s, 3)
    if hit.completed_rank is not None:
        document["completed_rank"] = hit.completed_rank
    return document
