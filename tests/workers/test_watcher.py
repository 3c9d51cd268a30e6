"""The store follows what happens in watched folders, without being told and without looking twice."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.workers import watcher as watching
from app.workers.settling import Settling
from app.workers.watcher import Watcher
from m2hf_core.config.paths import Paths
from m2hf_core.errors import DiskFull
from m2hf_core.ingest.reconcile import reconcile
from m2hf_core.store import Store, files, folders, open_store, wishes

PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Paths(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for number in range(3):
        (folder / "a" / f"{number}.mp4").write_bytes(bytes([number]) * 5000)
        os.utime(folder / "a" / f"{number}.mp4", (1e9, 1e9))
    return folder


@pytest.fixture
def watcher(store: Store, root: Path) -> Iterator[Watcher]:
    with store.library.writing() as session:
        folders.add_folder(session, root)
    running = Watcher(store, lambda: ("Trash/*",), lambda: None, settle_s=0.4)
    running.start()
    until(lambda: running.watched.rounds == 1)
    yield running
    running.stop()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def known(store: Store, root: Path) -> dict[str, tuple[int, str]]:
    """Path below the root -> (video, state), without what is gone."""
    with store.library.reading() as session:
        rows = [
            (path, entry)
            for folder in folders.list_folders(session)
            for path, entry in files.known_paths(session, folder.folder_id).items()
        ]
    return {
        os.path.relpath(path, root): (entry.video_id, entry.state)
        for path, entry in rows
        if entry.state != "gone"
    }


def names(store: Store, root: Path) -> set[str]:
    return set(known(store, root))


def test_added_renamed_moved_and_deleted_files(store: Store, root: Path, watcher: Watcher) -> None:
    before = known(store, root)
    assert set(before) == {"a/0.mp4", "a/1.mp4", "a/2.mp4"}
    (root / "b" / "new.mkv").write_bytes(b"new" * 3000)
    (root / "b" / "note.txt").write_bytes(b"no video")
    (root / "Trash").mkdir()
    (root / "Trash" / "old.mp4").write_bytes(b"old" * 3000)
    until(lambda: "b/new.mkv" in names(store, root))
    (root / "a" / "0.mp4").rename(root / "b" / "0.mp4")  # moved
    (root / "a" / "1.mp4").rename(root / "a" / "one.mp4")  # renamed
    (root / "a" / "2.mp4").rename(root / "a" / "2.MP4")  # in case alone
    expected = {"b/0.mp4", "a/one.mp4", "a/2.MP4", "b/new.mkv"}
    until(lambda: names(store, root) == expected)
    (root / "a").rename(root / "c")  # a whole folder
    expected = {"b/0.mp4", "c/one.mp4", "c/2.MP4", "b/new.mkv"}
    until(lambda: names(store, root) == expected)
    after = known(store, root)
    assert {before[f"a/{number}.mp4"][0] for number in range(3)} == {
        after[name][0] for name in ("b/0.mp4", "c/one.mp4", "c/2.MP4")
    }, "every file is the video that it was"
    (root / "b" / "new.mkv").unlink()
    shutil.rmtree(root / "c")
    until(lambda: names(store, root) == {"b/0.mp4"})


def test_a_file_is_taken_when_nobody_writes_it_any_more(store: Store, root: Path, watcher: Watcher) -> None:
    growing = root / "b" / "download.mp4"
    with growing.open("wb") as stream:
        for _ in range(8):
            stream.write(bytes(1000))
            stream.flush()
            assert "b/download.mp4" not in names(store, root)
            time.sleep(0.1)
    until(lambda: "b/download.mp4" in names(store, root))
    with store.library.reading() as session:
        assert files.size_and_time(session, growing) == (8000, growing.stat().st_mtime_ns)


def test_a_folder_that_leaves_is_offline_and_comes_back(
    store: Store, root: Path, watcher: Watcher, tmp_path: Path
) -> None:
    before = known(store, root)
    root.rename(tmp_path / "unplugged")
    until(lambda: {state for _, state in known(store, root).values()} == {"offline"})
    assert any("not there now" in notice for notice in watcher.watched.notices)
    (tmp_path / "unplugged").rename(root)
    until(lambda: known(store, root) == before)


def test_a_loop_of_links_is_followed_once(store: Store, root: Path, watcher: Watcher) -> None:
    (root / "b" / "loop").symlink_to(root, target_is_directory=True)
    (root / "b" / "after.mp4").write_bytes(b"after" * 2000)
    until(lambda: "b/after.mp4" in names(store, root))
    assert names(store, root) == {"a/0.mp4", "a/1.mp4", "a/2.mp4", "b/after.mp4"}


def test_network_drives_are_looked_through(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "is_network", lambda path: True)
    monkeypatch.setattr(watching, "POLL_SHARE", 1.0)
    with store.library.writing() as session:
        folders.add_folder(session, root)
    running = Watcher(store, lambda: (), lambda: None, settle_s=0.1, poll_every_s=0.2)
    running.start()
    try:
        until(lambda: running.watched.rounds >= 1)
        (root / "b" / "new.mp4").write_bytes(b"new" * 3000)
        until(lambda: "b/new.mp4" in names(store, root))
        assert running._events is None, "nobody listens to a drive that says nothing"
    finally:
        running.stop()


def test_folders_may_be_added_removed_and_asked_for_by_anybody(
    store: Store, root: Path, watcher: Watcher, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.mp4").write_bytes(b"x" * 4000)
    os.utime(other / "x.mp4", (1e9, 1e9))
    with store.library.writing() as session:
        added = folders.add_folder(session, other)
    until(lambda: "../other/x.mp4" in names(store, root))
    rounds = watcher.watched.rounds
    with store.library.writing() as session:
        folders.unwatch_folder(session, added)
        wishes.ask_for_rescan(session)
    until(lambda: watcher.watched.rounds > rounds)
    (other / "y.mp4").write_bytes(b"y" * 4000)
    (root / "b" / "z.mp4").write_bytes(b"z" * 4000)
    until(lambda: "b/z.mp4" in names(store, root))
    assert "../other/y.mp4" not in names(store, root)


def test_what_could_not_be_noted_is_found_afterwards(
    store: Store, root: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full while a file came: nobody will tell of that file again."""
    monkeypatch.setattr(watching, "TROUBLE_S", 0.2)
    failed: list[object] = []

    def full(*args: object, only: object, **options: object) -> object:
        if only is not None:
            failed.append(only)
            raise DiskFull("The disk is full.")
        return reconcile(*args, only=only, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(watching, "reconcile", full)
    (root / "b" / "late.mp4").write_bytes(b"late" * 3000)
    until(lambda: "b/late.mp4" in names(store, root))
    assert failed
    until(lambda: not watcher.watched.trouble)


def test_subtitles_beside_a_video_are_noticed(store: Store, root: Path) -> None:
    with store.library.writing() as session:
        folders.add_folder(session, root)
    told: list[float] = []
    running = Watcher(store, lambda: (), lambda: told.append(time.monotonic()), settle_s=0.2)
    running.start()
    try:
        until(lambda: running.watched.rounds == 1)
        subtitles = root / "a" / "0.en.SRT"
        for change in (
            lambda: subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nA gull.\n"),
            lambda: subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nTwo gulls.\n"),
            subtitles.unlink,
        ):
            before = len(told)
            change()
            until(lambda before=before: len(told) > before)
        assert names(store, root) == {"a/0.mp4", "a/1.mp4", "a/2.mp4"}, "they are no videos themselves"
    finally:
        running.stop()


def test_settling_waits_for_size_and_time(tmp_path: Path) -> None:
    now = [0.0]
    settling = Settling(2.0, clock=lambda: now[0])
    path, gone = tmp_path / "a.mp4", tmp_path / "gone.mp4"
    path.write_bytes(b"1")
    settling.touch(path)
    settling.touch(gone)
    now[0] = 1.9
    assert settling.settled() == set()
    path.write_bytes(b"12")  # written without anybody being told
    now[0] = 2.0
    assert settling.settled() == {gone}, "what is not there does not change any more"
    now[0] = 3.9
    assert settling.settled() == set()
    now[0] = 4.0
    assert settling.settled() == {path}
    assert len(settling) == 0
