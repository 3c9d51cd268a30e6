"""A result enters both files in the safe order, and the figures follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from m2hf_core.records import Feature
from m2hf_core.store import Store, clips, features, files, folders, forget, jobs, status
from m2hf_core.store.commit import Extracted, commit_extracted

Furnish = Callable[[Store], list[int]]


def lease(store: Store) -> jobs.Lease:
    with store.library.writing() as session:
        taken = jobs.lease_next(session, "w", 0.0, 60.0)
    assert taken is not None
    return taken


def result(done_with: tuple[str, ...]) -> Extracted:
    rows = Feature(np.ones((2, 2)), np.arange(2.0), np.arange(2.0) + 1)
    return Extracted(
        done_with, {"clip@1": rows}, files.VideoInfo(2.0, 1, 1, False, "mp4", "h264"), [(0.0, 2.0)]
    )


def test_a_crash_between_the_files_leaves_features_that_are_found(
    store: Store, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(store)
    taken = lease(store)

    def crash(*_: object) -> bool:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(jobs, "finish", crash)
        with pytest.raises(RuntimeError):
            commit_extracted(store, taken, result(taken.wanted))
    with store.features.reading() as session:
        assert features.extractors_of(session, taken.fingerprint) == {"clip@1"}
    with store.library.writing() as session:
        assert jobs.counts(session)["leased"] == 1, "nothing says that it is done"
        assert clips.clips_of(session, taken.video_id) == []
        jobs.release(session, [taken.job_id], forgive=True)
    again = lease(store)
    assert again.video_id == taken.video_id
    assert commit_extracted(store, again, result(again.wanted)) is not None
    with store.library.reading() as session:
        assert [(row.start_s, row.end_s) for row in clips.clips_of(session, taken.video_id)] == [(0.0, 2.0)]


def test_a_crash_while_storing_features_leaves_nothing(
    store: Store, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(store)
    taken = lease(store)
    broken = Extracted(
        taken.wanted,
        {**result(()).features, "vggish@1": Feature(np.full((1, 1), np.nan), np.zeros(1), np.ones(1))},
    )
    with pytest.raises(ValueError):
        commit_extracted(store, taken, broken)
    with store.features.reading() as session:
        assert features.extractors_of(session, taken.fingerprint) == set()
    with store.library.reading() as session:
        assert jobs.counts(session)["leased"] == 1


def test_a_result_for_a_forgotten_video_is_dropped(store: Store, furnish: Furnish) -> None:
    furnish(store)
    taken = lease(store)
    forget.forget_videos(store, [taken.video_id])
    assert commit_extracted(store, taken, result(taken.wanted)) is None
    forget.sweep(store)
    with store.features.reading() as session:
        assert taken.fingerprint not in features.fingerprints(session)


def test_a_result_without_clips_leaves_them(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    with store.library.writing() as session:
        before = clips.clips_of(session, videos[0])
        jobs.queue(session, videos[:1], ["clip@1", "vggish@1", "s3d@1"])
        jobs.set_priority(session, videos[:1], 9)
    taken = lease(store)
    assert taken.video_id == videos[0]
    assert commit_extracted(store, taken, Extracted(["s3d@1"])) == []
    with store.library.reading() as session:
        assert clips.clips_of(session, videos[0]) == before
        assert jobs.counts(session) == {"queued": 2, "leased": 0, "done": 3, "failed": 0}


def test_status(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    with store.library.writing() as session:
        other = folders.add_folder(session, "/usb")
        known = files.put_path(session, other, "/usb/x.mp4", 1, 1, "x")
        files.put_info(session, known, files.VideoInfo(100.0, 1, 1, False, "mp4", "h264"))
        files.put_path(session, other, "/usb/nobody-queued-it.mp4", 1, 1, "y")
        files.put_info(session, videos[3], files.VideoInfo(30.0, 1, 1, False, "mp4", "h264"))
        now = status.status(session)
        assert now.videos == {"ready": 3, "queued": 4, "running": 0, "failed": 0, "offline": 0}
        assert (now.seconds_done, now.seconds_left, now.unmeasured, now.clips) == (12.0, 130.0, 2, 6)
        folders.set_folder_state(session, other, "offline")
        now = status.status(session)
        assert now.videos == {"ready": 3, "queued": 2, "running": 0, "failed": 0, "offline": 2}
        assert (now.seconds_left, now.unmeasured) == (30.0, 1), "what is away cannot be worked on"
    first = lease(store)
    second = lease(store)
    with store.library.writing() as session:
        jobs.fail(session, first.job_id, "probe", "r", "h")
        now = status.status(session)
    assert now.videos == {"ready": 3, "queued": 0, "running": 1, "failed": 1, "offline": 2}
    assert now.seconds_left == (30.0 if second.video_id == videos[3] else 0.0)
    with store.library.writing() as session:
        (films,) = (row.folder_id for row in folders.list_folders(session) if row.path == "/films")
        known_paths = files.known_paths(session, films)
        files.mark_paths(session, [known_paths["/films/0.mp4"].path_id], "gone")
        now = status.status(session)
    assert now.videos == {"ready": 2, "queued": 0, "running": 1, "failed": 1, "offline": 2}, "gone is nowhere"


def test_an_empty_library_has_figures_too(store: Store) -> None:
    with store.library.reading() as session:
        now = status.status(session)
    assert set(now.videos) == {"ready", "queued", "running", "failed", "offline"}
    assert (sum(now.videos.values()), now.seconds_done, now.seconds_left, now.clips) == (0, 0, 0, 0)
