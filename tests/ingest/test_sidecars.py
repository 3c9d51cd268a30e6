"""Subtitles that appear, change or vanish beside an indexed video make its words due again, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from m2hf_core.config.paths import open_paths
from m2hf_core.ingest.sidecars import left_to_do, queue_wanted
from m2hf_core.store import Store, files, folders, jobs, open_store

OFFERED = ("clip:demo:1:1", "nouns:content-words:none:1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(open_paths(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def videos(store: Store, tmp_path: Path) -> dict[int, list[str]]:
    """Two videos in one folder, indexed."""
    folder = tmp_path / "videos"
    folder.mkdir()
    with store.library.writing() as session:
        folder_id = folders.add_folder(session, folder)
        found = {}
        for name in ("sea", "sea.part2"):
            path = folder / f"{name}.mp4"
            path.write_bytes(b"x")
            found[files.put_path(session, folder_id, path, 1, 1, name)] = [str(path)]
    settle(store, found)
    return found


def settle(store: Store, videos: dict[int, list[str]]) -> list[frozenset[str]]:
    """Queue what is wanted and do all of it; answers what each job asked of a worker."""
    asked = []
    with store.library.writing() as session:
        queue_wanted(session, videos, OFFERED)
        while (lease := jobs.lease_next(session, "test", 0.0, 60.0)) is not None:
            stored = {name for name in lease.done_with if name.startswith("clip:")}
            asked.append(left_to_do(lease.wanted, lease.done_with, stored))
            jobs.finish(session, lease.job_id, lease.wanted)
    return asked


def words(asked: list[frozenset[str]]) -> None:
    """One job was due, for its words alone."""
    (only,) = asked
    assert "nouns:content-words:none:1" in only
    assert not any(name.startswith("clip:") for name in only)


def test_nothing_changes_nothing(store: Store, videos: dict[int, list[str]]) -> None:
    assert settle(store, videos) == []


def test_added_changed_and_removed(store: Store, videos: dict[int, list[str]], tmp_path: Path) -> None:
    sidecar = tmp_path / "videos" / "sea.en.srt"
    sidecar.write_text("one")
    words(settle(store, videos))
    assert settle(store, videos) == [], "read once"
    sidecar.write_text("another")
    words(settle(store, videos))
    os.utime(sidecar, ns=(5, 5))
    words(settle(store, videos))
    sidecar.unlink()
    words(settle(store, videos))
    assert settle(store, videos) == [], "gone is noticed once"


def test_renamed_with_its_video_it_says_the_same(
    store: Store, videos: dict[int, list[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    (folder / "sea.en.srt").write_text("one")
    words(settle(store, videos))
    (folder / "sea.en.srt").rename(folder / "lake.en.srt")
    (renamed,) = [video_id for video_id, paths in videos.items() if paths == [str(folder / "sea.mp4")]]
    assert settle(store, {**videos, renamed: [str(folder / "lake.mp4")]}) == []


def test_subtitles_of_another_video_and_other_files_count_for_nothing(
    store: Store, videos: dict[int, list[str]], tmp_path: Path
) -> None:
    for name in ("seaside.srt", "sea.txt", "other.vtt"):
        (tmp_path / "videos" / name).write_text("x")
    assert settle(store, videos) == []


def test_a_folder_that_cannot_be_read_changes_nothing(
    store: Store, videos: dict[int, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "videos" / "sea.srt").write_text("one")
    settle(store, videos)
    (tmp_path / "videos").rename(tmp_path / "away")
    assert settle(store, videos) == []


def test_a_new_network_does_not_listen_again(
    store: Store, videos: dict[int, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "videos" / "sea.srt").write_text("one")
    settle(store, videos)
    with store.library.writing() as session:
        queue_wanted(session, videos, [*OFFERED, "motion:new:1:1"])
        lease = jobs.lease_next(session, "test", 0.0, 60.0)
        assert lease is not None
        assert left_to_do(lease.wanted, lease.done_with, {"clip:demo:1:1"}) == {"motion:new:1:1"}
