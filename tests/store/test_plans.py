"""Hot queries use their indexes: SQLite itself says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from m2hf_core.store import Store, captions, clips, failures, features, files, jobs, status, transcripts
from m2hf_core.store.engine import Database

Plan = Callable[[Database, Callable[[Session], Any]], list[str]]

IN_LIBRARY: dict[str, Callable[[Session], Any]] = {
    "lease": lambda s: jobs.lease_next(s, "w", 0.0, 1.0),
    "renew": lambda s: jobs.renew(s, 4, "w", 0.0, 1.0),
    "finish": lambda s: jobs.finish(s, 4, ["clip@1"]),
    "release": lambda s: jobs.release(s, [4], forgive=True),
    "counts": jobs.counts,
    "queue": lambda s: jobs.queue(s, [1, 2, 3], ["clip@1"]),
    "reopen": lambda s: jobs.reopen(s, [("print1", "clip@1")]),
    "set priority": lambda s: jobs.set_priority(s, [1, 2], 1),
    "failures": failures.failures,
    "put path": lambda s: files.put_path(s, 1, "/films/new.mp4", 1, 1, "print1"),
    "mark paths": lambda s: files.mark_paths(s, [1, 2], "gone"),
    "paths with": lambda s: files.paths_with(s, "print1"),
    "abandoned": jobs.release_abandoned,
    "video of path": lambda s: files.video_of_path(s, "/films/1.mp4"),
    "clips of a video": lambda s: clips.clips_of(s, 1),
    "clip at": lambda s: clips.clip_at(s, 1, 1.0),
    "replace clips": lambda s: clips.replace_clips(s, 1, [(0.0, 1.0)]),
    "lines of a video": lambda s: transcripts.lines_of(s, 1),
    "lines of a clip": lambda s: transcripts.lines_of(s, 1, 0.0, 2.0),
    "search lines": lambda s: transcripts.search_lines(s, "dog"),
    "search captions": lambda s: captions.search_captions(s, "cat"),
    "list captions": lambda s: captions.list_captions(s, after=1, limit=10),
    "captions of a source": lambda s: captions.list_captions(s, source="bank"),
    "captions of a video": lambda s: captions.list_captions(s, video_id=1),
    "known paths": lambda s: files.known_paths(s, 1),
    "videos listened to": transcripts.videos_listened_to,
}

IN_FEATURES: dict[str, Callable[[Session], Any]] = {
    "get": lambda s: features.get(s, "print1", "clip@1"),
    "extractors": lambda s: features.extractors_of(s, "print1"),
    "coverage": features.coverage,
    "fingerprints": features.fingerprints,
    "delete": lambda s: features.delete_for(s, ["print1"]),
}

SMALL = ("folder", "path_failure", "json_each")
"""Tables with a row per named folder, per unreadable file, or per value that was passed in."""


def walks(line: str) -> bool:
    """Whether a line of a plan reads a large table from end to end."""
    if not line.startswith("SCAN") or "VIRTUAL TABLE" in line or "COVERING INDEX" in line:
        return False
    return re.split(r"\s+", line)[1] not in SMALL


@pytest.mark.parametrize("name", IN_LIBRARY)
def test_library_queries(store: Store, furnish: Callable[[Store], Any], plan: Plan, name: str) -> None:
    furnish(store)
    lines = plan(store.library, IN_LIBRARY[name])
    assert lines
    assert not [line for line in lines if walks(line)]


@pytest.mark.parametrize("name", IN_FEATURES)
def test_feature_queries(store: Store, furnish: Callable[[Store], Any], plan: Plan, name: str) -> None:
    furnish(store)
    lines = plan(store.features, IN_FEATURES[name])
    assert not [line for line in lines if walks(line)]


def test_the_order_of_work_is_the_indexs(store: Store, furnish: Callable[[Store], Any], plan: Plan) -> None:
    furnish(store)
    lines = plan(store.library, IN_LIBRARY["lease"])
    assert "SEARCH job USING INDEX ix_job_turn (state=?)" in lines
    assert not [line for line in lines if "TEMP B-TREE" in line]


def test_known_paths_is_a_range(store: Store, furnish: Callable[[Store], Any], plan: Plan) -> None:
    furnish(store)
    lines = plan(store.library, IN_LIBRARY["known paths"])
    assert [
        line for line in lines if line.startswith("SEARCH path USING INDEX") and "(path>? AND path<?)" in line
    ]


def test_listing_all_clips_walks_the_videos_once(
    store: Store, furnish: Callable[[Store], Any], plan: Plan
) -> None:
    furnish(store)
    lines = plan(store.library, clips.searchable_clips)
    assert [line for line in lines if walks(line)] == ["SCAN video"]
    assert "SEARCH clip USING COVERING INDEX sqlite_autoindex_clip_1 (video_id=?)" in lines
    assert "USE TEMP B-TREE FOR ORDER BY" not in lines, "at most one video's clips are sorted at a time"


def test_status_walks_the_videos_once(store: Store, furnish: Callable[[Store], Any], plan: Plan) -> None:
    furnish(store)
    lines = plan(store.library, status.status)
    # Counting the clips is SQLite's own count of entries, which looks at no row.
    assert [line for line in lines if walks(line)] == ["SCAN video", "SCAN clip"]
    assert [line for line in lines if line.startswith("SEARCH job USING INDEX")]


def test_all_nouns_stream_from_the_lines(store: Store, furnish: Callable[[Store], Any], plan: Plan) -> None:
    furnish(store)
    lines = plan(store.library, lambda s: list(transcripts.iter_line_nouns(s)))
    assert [line for line in lines if walks(line)] == ["SCAN line"]
    assert not [line for line in lines if "TEMP B-TREE" in line]


def test_the_test_itself_sees_a_walk(store: Store, plan: Plan) -> None:
    lines = plan(
        store.library, lambda s: s.connection().exec_driver_sql("SELECT * FROM job WHERE attempts = 3")
    )
    assert [line for line in lines if walks(line)] == ["SCAN job"]
