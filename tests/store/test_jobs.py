"""The queue: who is next, what a lease is worth, when a failure is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from m2hf_core.store import Store, clips, failures, files, folders, jobs

WANTED = ["clip@1", "vggish@1"]


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    with store.library.writing() as opened:
        yield opened


@pytest.fixture
def videos(session: Session) -> list[int]:
    """Three videos of 3, 1 and 2 MB, nobody knows how long."""
    folder = folders.add_folder(session, "/films")
    sizes = {"a": 3_000_000, "b": 1_000_000, "c": 2_000_000}
    return [
        files.put_path(session, folder, f"/films/{name}.mp4", size, 1, name) for name, size in sizes.items()
    ]


def lease(session: Session, now: float = 0.0, owner: str = "w") -> jobs.Lease:
    taken = jobs.lease_next(session, owner, now, 60.0)
    assert taken is not None
    return taken


def order(session: Session) -> str:
    names = ""
    while (taken := jobs.lease_next(session, "w", 0.0, 60.0)) is not None:
        names += taken.fingerprint
    return names


def counts(session: Session) -> tuple[int, ...]:
    found = jobs.counts(session)
    return tuple(found[state] for state in ("queued", "leased", "done", "failed"))


def test_queueing_is_idempotent(session: Session, videos: list[int]) -> None:
    assert jobs.queue(session, videos, WANTED) == 3
    assert jobs.queue(session, videos + videos, reversed(WANTED)) == 0  # type: ignore[arg-type]
    assert jobs.queue(session, [999], WANTED) == 0, "a video that was forgotten meanwhile"
    assert counts(session) == (3, 0, 0, 0)


def test_short_videos_first(session: Session, videos: list[int]) -> None:
    files.put_info(session, videos[0], files.VideoInfo(0.5, 1, 1, False, "mp4", "h264"))
    jobs.queue(session, videos, WANTED)
    assert order(session) == "abc", "a is large but known to be short"


def test_equals_in_the_order_they_came(session: Session) -> None:
    folder = folders.add_folder(session, "/films")
    ids = [files.put_path(session, folder, f"/films/{name}.mp4", 5, 1, name) for name in "zyx"]
    jobs.queue(session, reversed(ids), WANTED)
    assert order(session) == "zyx"


def test_priority_goes_before_length(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos, WANTED)
    jobs.set_priority(session, [videos[0]], 5)
    jobs.set_priority(session, [videos[1]], -1)
    assert order(session) == "acb"


def test_a_lease_says_what_to_do(session: Session, videos: list[int]) -> None:
    assert jobs.lease_next(session, "w", 0.0, 60.0) is None
    jobs.queue(session, [videos[1]], WANTED)
    taken = lease(session)
    assert (taken.video_id, taken.fingerprint, taken.path) == (videos[1], "b", "/films/b.mp4")
    assert (taken.wanted, taken.done_with, taken.attempts) == (tuple(WANTED), (), 1)
    assert taken.duration_s is None
    assert jobs.lease_next(session, "w", 0.0, 60.0) is None
    assert counts(session) == (0, 1, 0, 0)


def test_only_what_is_there_is_leased(session: Session, videos: list[int]) -> None:
    (folder,) = (row.folder_id for row in folders.list_folders(session))
    jobs.queue(session, videos, WANTED)
    folders.set_folder_state(session, folder, "offline")
    assert jobs.lease_next(session, "w", 0.0, 60.0) is None
    other = folders.add_folder(session, "/copies")
    files.put_path(session, other, "/copies/a.mp4", 1, 1, "a")
    assert lease(session).path == "/copies/a.mp4"
    folders.set_folder_state(session, folder, "online")
    assert order(session) == "bc"


def test_renewing_and_losing_a_lease(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    taken = lease(session, now=100.0, owner="first")
    assert jobs.renew(session, taken.job_id, "first", 150.0, 60.0)
    assert not jobs.renew(session, taken.job_id, "second", 150.0, 60.0)
    assert jobs.release(session, [taken.job_id], forgive=False) == 1
    assert not jobs.renew(session, taken.job_id, "first", 211.0, 60.0)
    again = lease(session, owner="second")
    assert again.attempts == 2, "a worker that dies every time shows"
    assert not jobs.renew(session, taken.job_id, "first", 212.0, 60.0), "it is another's now"
    assert jobs.release(session, [again.job_id], forgive=False) == 1
    assert counts(session) == (1, 0, 0, 0)


def test_what_a_dead_program_left_is_tried_three_times_and_behind_the_others(
    session: Session, videos: list[int]
) -> None:
    jobs.queue(session, videos[:2], WANTED)
    taken = lease(session, owner="first")
    assert jobs.release_abandoned(session) == 1
    assert lease(session).job_id != taken.job_id, "the other one first"
    again = lease(session)
    assert (again.job_id, again.attempts) == (taken.job_id, 2)
    assert jobs.release(session, [again.job_id], forgive=True) == 1
    assert jobs.release_abandoned(session) == 1, "the other one, once"
    last = [lease(session), lease(session)]
    assert [entry.attempts for entry in last] == [2, 2]
    jobs.release(session, [last[0].job_id], forgive=True)
    assert jobs.release_abandoned(session) == 1
    final = [lease(session), lease(session)]
    assert sorted(entry.attempts for entry in final) == [2, 3]
    assert jobs.release_abandoned(session) == 1
    (failure,) = failures.failures(session)
    assert failure.quarantined
    assert "3 times" in failure.reason
    assert failures.retry_failed(session) == 1
    assert counts(session) == (2, 0, 0, 0)


def test_giving_back_costs_nothing_and_blame_costs_an_attempt(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos, WANTED)
    first = lease(session)
    assert jobs.release(session, [first.job_id], forgive=True) == 1
    again = lease(session)
    assert (again.job_id, again.attempts) == (first.job_id, 1)
    assert jobs.release(session, [again.job_id], forgive=False) == 1
    assert [lease(session).attempts for _ in range(3)] == [1, 1, 2], "and its turn"
    assert jobs.release(session, [999], forgive=False) == 0


def test_finishing(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    taken = lease(session)
    assert jobs.finish(session, taken.job_id, WANTED, files.VideoInfo(7.0, 1, 1, True, "mp4", "av1"))
    assert counts(session) == (0, 0, 1, 0)
    assert files.video(session, videos[0]).duration_s == 7.0  # type: ignore[union-attr]
    assert jobs.queue(session, videos[:1], WANTED) == 0
    assert jobs.queue(session, videos[:1], WANTED[:1]) == 0, "less is wanted, and that is done"
    assert jobs.queue(session, videos[:1], [*WANTED, "s3d@1"]) == 1
    again = lease(session)
    assert again.done_with == tuple(WANTED)
    assert (again.attempts, again.duration_s) == (1, 7.0)
    assert not jobs.finish(session, 999, WANTED), "forgotten meanwhile"


def test_more_wanted_while_at_work(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    taken = lease(session)
    assert jobs.queue(session, videos[:1], [*WANTED, "s3d@1"]) == 0
    assert counts(session) == (0, 1, 0, 0), "the worker is not disturbed"
    jobs.finish(session, taken.job_id, taken.wanted)
    assert counts(session) == (1, 0, 0, 0)
    assert lease(session).done_with == tuple(WANTED)


def test_a_late_result_counts(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    taken = lease(session, now=0.0)
    jobs.release(session, [taken.job_id], forgive=False)
    assert jobs.finish(session, taken.job_id, WANTED)
    assert counts(session) == (0, 0, 1, 0)


def test_quarantine_ends_when_other_things_are_wanted(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    assert jobs.fail(session, lease(session).job_id, "decode", "It is broken.", "Play it.", quarantine=True)
    assert jobs.queue(session, videos[:1], WANTED) == 0
    assert counts(session) == (0, 0, 0, 1)
    (failure,) = failures.failures(session)
    assert failure.path == Path("/films/a.mp4")
    assert (failure.fingerprint, failure.stage, failure.reason, failure.hint) == (
        "a",
        "decode",
        "It is broken.",
        "Play it.",
    )
    assert (failure.attempts, failure.quarantined) == (1, True)
    assert jobs.queue(session, videos[:1], ["clip@2"]) == 1
    assert failures.failures(session) == []
    assert lease(session).attempts == 1
    assert not jobs.fail(session, 999, "decode", "", "")


def test_a_passing_failure_is_tried_at_the_next_occasion(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos[:1], WANTED)
    jobs.fail(session, lease(session).job_id, "read", "Busy.", "Wait.", quarantine=False)
    assert jobs.lease_next(session, "w", 0.0, 60.0) is None, "not in an endless loop"
    assert jobs.queue(session, videos[:1], WANTED) == 1
    assert lease(session).attempts == 2


def test_retrying(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos, WANTED)
    for _ in videos:
        jobs.fail(session, lease(session).job_id, "decode", "Broken.", "Hint.")
    assert failures.retry_failed(session, ["b", "unknown"]) == 1
    assert counts(session) == (1, 0, 0, 2)
    assert failures.retry_failed(session) == 2
    assert counts(session) == (3, 0, 0, 0)
    assert lease(session).attempts == 1


def test_failures_of_deleted_files_are_not_listed(session: Session, videos: list[int]) -> None:
    (folder,) = (row.folder_id for row in folders.list_folders(session))
    jobs.queue(session, videos[:1], WANTED)
    jobs.fail(session, lease(session).job_id, "decode", "Broken.", "Hint.")
    files.mark_paths(session, [files.known_paths(session, folder)["/films/a.mp4"].path_id], "gone")
    assert failures.failures(session) == []


def test_taking_back_what_was_done(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos, WANTED)
    for _ in range(2):
        jobs.finish(session, lease(session).job_id, WANTED)
    assert jobs.reopen(session, [("b", "clip@1"), ("a", "clip@1"), ("unknown", "clip@1")]) == 1
    assert counts(session) == (2, 0, 1, 0), "b is to be done again, a is queued anyway, c is untouched"
    again = lease(session)
    assert (again.fingerprint, again.done_with) == ("b", ("vggish@1",))
    assert jobs.reopen_all(session) == 1
    assert counts(session) == (2, 1, 0, 0)
    assert [lease(session).done_with for _ in range(2)] == [(), ()]


def test_nothing_wanted_is_done(session: Session, videos: list[int]) -> None:
    assert jobs.queue(session, videos, []) == 0
    assert counts(session) == (0, 0, 3, 0)
    assert jobs.reopen_all(session) == 0


def test_short_videos_are_set_aside_and_taken_back(session: Session, videos: list[int]) -> None:
    jobs.queue(session, videos, WANTED)
    for length in (1.0, 5.0, 0.5):
        taken = lease(session)
        jobs.finish(session, taken.job_id, WANTED, files.VideoInfo(length, 1, 1, True, "mp4", "av1"))
        clips.replace_clips(session, taken.video_id, [(0.0, length)])
    assert failures.set_aside_short(session, 0.0) == 0
    assert counts(session) == (0, 0, 3, 0)
    assert failures.set_aside_short(session, 2.0) == 0
    assert counts(session) == (0, 0, 1, 2)
    assert sum(len(clips.clips_of(session, video)) for video in videos) == 1
    assert {failure.reason for failure in failures.failures(session)} == {
        "It is shorter than 2 s, the least that is wanted."
    }
    assert jobs.queue(session, videos, WANTED) == 0, "not queued again by the next look"
    assert failures.set_aside_short(session, 0.8) == 1, "one is long enough now"
    assert failures.set_aside_short(session, 0.0, videos[1]) == 0, "only this one is looked at"
    assert failures.set_aside_short(session, 0.0) == 1
    assert counts(session) == (2, 0, 1, 0)
