"""Paths come and go, contents stay: renames, copies, changes, nested folders, odd names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from m2hf_core.store import (
    Store,
    clips,
    facts,
    failures,
    features,
    files,
    folders,
    forget,
    health,
    jobs,
    transcripts,
)
from m2hf_core.store.captions import list_captions

Furnish = Callable[[Store], list[int]]


@pytest.fixture
def session(store: Store):  # type: ignore[no-untyped-def]
    with store.library.writing() as opened:
        yield opened


@pytest.fixture
def folder(session: Session) -> int:
    return folders.add_folder(session, "/films")


def known(session: Session, folder: int) -> dict[str, tuple[int, str]]:
    return {path: (row.video_id, row.state) for path, row in files.known_paths(session, folder).items()}


def test_adding_a_folder_twice_adds_it_once(session: Session, tmp_path: Path) -> None:
    first = folders.add_folder(session, tmp_path / "a" / ".." / "films", watched=False)
    assert folders.list_folders(session)[0].watched is False
    assert folders.add_folder(session, f"{tmp_path}/films/") == first
    assert folders.add_folder(session, tmp_path / "films", watched=False) == first
    (row,) = folders.list_folders(session)
    assert (row.path, row.watched, row.state) == (str(tmp_path / "films"), True, "online")


def test_a_rename_keeps_the_video(session: Session, folder: int) -> None:
    video = files.put_path(session, folder, "/films/old.mp4", 10, 1, "print")
    files.mark_paths(session, [files.known_paths(session, folder)["/films/old.mp4"].path_id], "gone")
    assert files.put_path(session, folder, "/films/new.mp4", 10, 2, "print") == video
    assert known(session, folder) == {"/films/old.mp4": (video, "gone"), "/films/new.mp4": (video, "present")}
    assert files.paths_of(session, video) == [("/films/new.mp4", "present"), ("/films/old.mp4", "gone")]
    assert files.drop_gone_paths(session) == 1
    assert known(session, folder) == {"/films/new.mp4": (video, "present")}


def test_what_is_wholly_gone_is_kept(session: Session, folder: int) -> None:
    video = files.put_path(session, folder, "/films/a.mp4", 10, 1, "print")
    files.mark_paths(session, [files.known_paths(session, folder)["/films/a.mp4"].path_id], "gone")
    assert files.drop_gone_paths(session) == 0
    assert known(session, folder) == {"/films/a.mp4": (video, "gone")}


def test_changed_content_is_another_video_and_coming_back_is_the_first(session: Session, folder: int) -> None:
    first = files.put_path(session, folder, "/films/a.mp4", 10, 1, "one")
    second = files.put_path(session, folder, "/films/a.mp4", 11, 2, "two")
    assert first != second
    row = files.known_paths(session, folder)["/films/a.mp4"]
    assert (row.video_id, row.fingerprint, row.size, row.mtime_ns) == (second, "two", 11, 2)
    assert files.put_path(session, folder, "/films/a.mp4", 10, 3, "one") == first


@pytest.mark.skipif(os.name == "nt", reason="names are not bytes on Windows")
@pytest.mark.parametrize(
    "name",
    [b"caf\xff.mp4", "naïve 日本 😀.mp4".encode(), b"new\nline.mp4", b"%_'\".mp4", b"\xed\xa0\x80.mp4"],
)
def test_odd_names_survive_to_the_byte(store: Store, tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    try:
        Path(os.fsdecode(path)).write_bytes(b"film")
    except OSError:
        pytest.skip("this disk refuses the name")
    with store.library.writing() as session:
        folder = folders.add_folder(session, tmp_path)
        video = files.put_path(session, folder, os.fsdecode(path), 4, 1, "print")
        jobs.queue(session, [video], ["clip@1"])
        failures.put_path_failure(session, folder, os.fsdecode(path) + "2", "read", f"no {path!r}", "")
    with store.library.writing() as session:
        lease = jobs.lease_next(session, "me", 0.0, 1.0)
        assert lease is not None
        assert Path(lease.path).read_bytes() == b"film"
        assert [os.fsencode(p) for p in files.known_paths(session, folder)] == [path]
        found = files.video_of_path(session, os.fsdecode(path))
        assert found is not None
        assert found.title is not None
        found.title.encode()  # a title is for showing, so it must be text
        jobs.fail(session, lease.job_id, "probe", f"cannot read {os.fsdecode(path)}", "hint")
        listed = failures.failures(session)
        assert [os.fsencode(f.path) for f in listed] == [path, path + b"2"]
        listed[0].reason.encode()


def test_offline_and_back(session: Session, folder: int) -> None:
    for name in ("a", "b", "c"):
        files.put_path(session, folder, f"/films/{name}.mp4", 1, 1, name)
    files.mark_paths(session, [files.known_paths(session, folder)["/films/c.mp4"].path_id], "gone")
    folders.set_folder_state(session, folder, "offline")
    states = {path[-5]: row.state for path, row in files.known_paths(session, folder).items()}
    assert states == {"a": "offline", "b": "offline", "c": "gone"}
    assert folders.list_folders(session)[0].state == "offline"
    folders.set_folder_state(session, folder, "online")
    states = {path[-5]: row.state for path, row in files.known_paths(session, folder).items()}
    assert states == {"a": "present", "b": "present", "c": "gone"}


def test_inner_folders_own_their_files(session: Session) -> None:
    outer = folders.add_folder(session, "/disk")
    files.put_path(session, outer, "/disk/usb/a.mp4", 1, 1, "a")
    files.put_path(session, outer, "/disk/usb2/b.mp4", 1, 1, "b")
    inner = folders.add_folder(session, "/disk/usb")
    files.put_path(session, outer, "/disk/usb/c.mp4", 1, 1, "c")  # found from outside, belongs inside
    assert set(files.known_paths(session, inner)) == {"/disk/usb/a.mp4", "/disk/usb/c.mp4"}
    everything = {"/disk/usb/a.mp4", "/disk/usb2/b.mp4", "/disk/usb/c.mp4"}
    assert set(files.known_paths(session, outer)) == everything
    folders.set_folder_state(session, inner, "offline")
    assert set(files.known_paths(session, outer)) == {"/disk/usb2/b.mp4"}, "away is not deleted"
    folders.remove_folder(session, inner)
    assert set(files.known_paths(session, outer)) == everything, "the outer folder still holds them"
    inner = folders.add_folder(session, "/disk/usb")
    folders.remove_folder(session, outer)
    assert set(files.known_paths(session, inner)) == {"/disk/usb/a.mp4", "/disk/usb/c.mp4"}


def test_the_root_folder_holds_everything(session: Session) -> None:
    root = folders.add_folder(session, "/")
    files.put_path(session, root, "/a.mp4", 1, 1, "a")
    assert set(files.known_paths(session, root)) == {os.path.abspath("/a.mp4")}


def test_info_and_lookup(session: Session, folder: int) -> None:
    video = files.put_path(session, folder, "/films/My Film.mp4", 10, 1, "print")
    row = files.video(session, video)
    assert row is not None
    assert (row.title, row.duration_s, row.has_audio) == ("My Film", None, None)
    files.put_info(session, video, files.VideoInfo(9.5, 640, 360, False, "mov", "hevc"))
    row = files.video_of_path(session, "/films/My Film.mp4")
    assert row is not None
    assert (row.title, row.duration_s, row.width, row.height) == ("My Film", 9.5, 640, 360)
    assert (row.has_audio, row.container, row.codec, row.fingerprint) == (False, "mov", "hevc", "print")
    files.put_info(session, video, files.VideoInfo(9.5, 640, 360, False, "mov", "hevc", "Holiday"))
    assert files.video(session, video).title == "Holiday"  # type: ignore[union-attr]
    assert files.video(session, video + 1) is None
    assert files.video_of_path(session, "/films/other.mp4") is None


def test_where_a_content_lies(session: Session, folder: int) -> None:
    for name in ("a", "b", "c"):
        files.put_path(session, folder, f"/films/{name}.mp4", 1, 1, "same")
    files.mark_paths(session, [files.known_paths(session, folder)["/films/a.mp4"].path_id], "gone")
    assert files.paths_with(session, "same") == ["/films/b.mp4", "/films/c.mp4"]
    assert files.paths_with(session, "other") == []


def test_unwatching_keeps_the_videos(session: Session, folder: int) -> None:
    files.put_path(session, folder, "/films/a.mp4", 1, 1, "a")
    folders.unwatch_folder(session, folder)
    assert [(row.path, row.watched) for row in folders.list_folders(session)] == [("/films", False)]
    assert set(files.known_paths(session, folder)) == {"/films/a.mp4"}


def test_facts_of_each_reachable_file(store: Store, furnish: Furnish) -> None:
    furnish(store)
    with store.library.writing() as session:
        (folder,) = (row.folder_id for row in folders.list_folders(session))
        files.mark_paths(session, [files.known_paths(session, folder)["/films/0.mp4"].path_id], "gone")
        known = facts.path_facts(session)
    assert set(known) == {f"/films/{n}.mp4" for n in (1, 2, 3, 4)}
    assert known["/films/1.mp4"] == facts.PathFacts(4.0, True, 1, True)
    assert known["/films/4.mp4"] == facts.PathFacts(None, None, 4, False)


def test_forgetting_takes_everything_along(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    assert forget.forget_videos(store, videos[:1]) == 1
    assert forget.forget_videos(store, videos[:1]) == 0
    with store.library.reading() as session:
        assert files.video(session, videos[0]) is None
        assert clips.clips_of(session, videos[0]) == []
        assert transcripts.lines_of(session, videos[0]) == []
        assert len(transcripts.search_lines(session, "dog")) == 2
        assert list_captions(session) == []
        assert sum(jobs.counts(session).values()) == 4
    with store.features.reading() as session:
        assert features.fingerprints(session) == {"print1", "print2"}
    assert health.findings(store) == []


def test_removing_a_folder_and_sweeping(store: Store, furnish: Furnish) -> None:
    furnish(store)
    with store.library.writing() as session:
        other = folders.add_folder(session, "/copies")
        kept = files.put_path(session, other, "/copies/1.mp4", 1, 1, "print1")
        (films,) = [row.folder_id for row in folders.list_folders(session) if row.path == "/films"]
        folders.remove_folder(session, films)
    assert forget.sweep(store) == 4
    with store.library.reading() as session:
        assert {row.video_id for row in clips.searchable_clips(session)} == {kept}
    with store.features.reading() as session:
        assert features.fingerprints(session) == {"print1"}
    assert forget.sweep(store) == 0
    assert health.findings(store) == []


def test_a_crash_between_the_two_files_is_swept(
    store: Store, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = furnish(store)

    def crash(*_: object) -> int:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(features, "delete_for", crash)
        with pytest.raises(RuntimeError):
            forget.forget_videos(store, videos)
    with store.features.reading() as session:
        assert len(features.fingerprints(session)) == 3, "the library forgot, the features are left over"
    forget.sweep(store)
    with store.features.reading() as session:
        assert features.fingerprints(session) == set()


def test_ids_are_never_used_twice(store: Store) -> None:
    seen: set[int] = set()
    for n in range(3):
        with store.library.writing() as session:
            folder = folders.add_folder(session, "/films")
            video = files.put_path(session, folder, "/films/a.mp4", 1, 1, f"print{n}")
            (clip,) = clips.replace_clips(session, video, [(0.0, 1.0)])
        assert video not in seen
        seen.add(video)
        assert clip == n + 1
        forget.forget_videos(store, [video])


def test_failures_without_a_fingerprint(session: Session, folder: int) -> None:
    for _ in range(2):
        failures.put_path_failure(session, folder, "/films/x.mp4", "read", "No permission.", "Ask.")
    failures.put_path_failure(session, folder, "/films/y.mp4", "read", "Gone.", "Look.")
    (first, second) = failures.failures(session)
    assert (first.path, first.fingerprint, first.stage, first.reason, first.hint) == (
        Path("/films/x.mp4"),
        None,
        "read",
        "No permission.",
        "Ask.",
    )
    assert (first.attempts, second.attempts, first.quarantined) == (2, 1, False)
    assert failures.path_failures(session, folder) == ["/films/x.mp4", "/films/y.mp4"]
    files.put_path(session, folder, "/films/x.mp4", 1, 1, "print")
    assert failures.path_failures(session, folder) == ["/films/y.mp4"], "readable now"
    failures.clear_path_failures(session, ["/films/y.mp4"])
    assert failures.failures(session) == []
    failures.put_path_failure(session, folder, "/films/y.mp4", "read", "Gone.", "Look.")
    failures.retry_failed(session)
    assert failures.failures(session) == []
