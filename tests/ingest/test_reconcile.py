"""The store follows the folder: nothing is lost by a rename, an absence or a closed door."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from m2hf_core.config.paths import Paths
from m2hf_core.ingest.reconcile import Reconciled, reconcile
from m2hf_core.progress import Progress
from m2hf_core.store import Store, files, folders, open_store
from m2hf_core.store.status import status


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Paths(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for number in range(6):
        path = folder / f"part{number % 2}" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (1000 + number))
    return folder


@pytest.fixture
def again(store: Store, root: Path) -> Callable[[], Reconciled]:
    with store.library.writing() as session:
        folder_id = folders.add_folder(session, root)

    def run() -> Reconciled:
        return reconcile(store, folder_id, root, (), Progress())

    run.folder_id = folder_id  # type: ignore[attr-defined]
    return run


def states(store: Store, again: Callable[[], Reconciled]) -> dict[str, tuple[int, str]]:
    with store.library.reading() as session:
        known = files.known_paths(session, again.folder_id)  # type: ignore[attr-defined]
    return {os.path.basename(path): (row.video_id, row.state) for path, row in known.items()}


def test_first_and_second_time(again: Callable[[], Reconciled]) -> None:
    first, second = again(), again()
    assert (first.found, first.new, first.gone) == (6, 6, 0)
    assert (second.found, second.new, second.gone) == (6, 0, 0)


def test_renames_and_moves_keep_the_video(store: Store, root: Path, again: Callable[[], Reconciled]) -> None:
    again()
    before = {video for video, _ in states(store, again).values()}
    (root / "part0").rename(root / "elsewhere")
    (root / "part1" / "1.mp4").rename(root / "part1" / "ONE.mp4")
    (root / "part1" / "3.mp4").rename(root / "part1" / "3.MP4")
    report = again()
    after = states(store, again)
    assert report.gone == 5
    assert {video for video, _ in after.values()} == before
    assert set(after) == {"0.mp4", "2.mp4", "4.mp4", "ONE.mp4", "3.MP4", "5.mp4"}
    assert all(state == "present" for _, state in after.values())


def test_changed_content_is_another_video(store: Store, root: Path, again: Callable[[], Reconciled]) -> None:
    again()
    old = states(store, again)["0.mp4"][0]
    (root / "part0" / "0.mp4").write_bytes(b"something else")
    assert again().new == 1
    assert states(store, again)["0.mp4"][0] != old
    with store.library.reading() as session:
        assert sum(status(session).videos.values()) == 6, "the old content is forgotten"


def test_deleted_files_are_gone_but_an_absent_root_is_offline(
    store: Store, root: Path, again: Callable[[], Reconciled], tmp_path: Path
) -> None:
    again()
    (root / "part0" / "0.mp4").unlink()
    assert again().gone == 1
    root.rename(tmp_path / "unplugged")
    report = again()
    assert report.offline
    assert "offline" in report.notices[0]
    (root).mkdir()
    assert again().offline, "an empty mount point is no empty library"
    root.rmdir()
    (tmp_path / "unplugged").rename(root)
    report = again()
    assert (report.offline, report.new, report.gone) == (False, 0, 0)
    assert sorted(state for _, state in states(store, again).values()) == ["gone"] + ["present"] * 5


def test_what_lies_behind_a_closed_door_is_not_gone(
    store: Store, root: Path, again: Callable[[], Reconciled], monkeypatch: pytest.MonkeyPatch
) -> None:
    again()
    real = os.scandir

    def refusing(path: os.PathLike[str]) -> object:
        if Path(path).name == "part1":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = again()
    assert report.gone == 0
    assert "could not be entered" in report.notices[0]
    assert all(state == "present" for _, state in states(store, again).values())


def test_an_unreadable_file_is_a_failure_and_no_obstacle(
    store: Store, root: Path, again: Callable[[], Reconciled], monkeypatch: pytest.MonkeyPatch
) -> None:
    from m2hf_core.errors import UnreadableMedia
    from m2hf_core.ingest import reconcile as module
    from m2hf_core.store import failures

    real = module.fingerprint_file

    def refusing(path: Path) -> str:
        if path.name == "3.mp4":
            raise UnreadableMedia("You may not read this file.", "Change its permissions.")
        return real(path)

    monkeypatch.setattr(module, "fingerprint_file", refusing)
    assert again().new == 6
    with store.library.reading() as session:
        (failure,) = failures.failures(session)
    assert failure.path.name == "3.mp4"
    assert (failure.stage, failure.reason) == ("identify", "You may not read this file.")
    monkeypatch.undo()
    again()
    with store.library.reading() as session:
        assert failures.failures(session) == []
    assert len(states(store, again)) == 6


def test_files_alike_in_every_sample_are_two_videos_if_a_byte_differs(
    store: Store, root: Path, again: Callable[[], Reconciled]
) -> None:
    from m2hf_core.media import fingerprint_file

    content = bytearray(4_000_000)
    (root / "one.mp4").write_bytes(content)
    (root / "copy.mp4").write_bytes(content)
    for at in range(70_000, 3_900_000, 10_000):  # find a byte that no sample covers
        other = bytearray(content)
        other[at] = 1
        (root / "other.mp4").write_bytes(other)
        if fingerprint_file(root / "other.mp4") == fingerprint_file(root / "one.mp4"):
            break
    else:
        pytest.fail("the fingerprint covers every byte")
    again()
    found = states(store, again)
    assert found["one.mp4"][0] == found["copy.mp4"][0]
    assert found["one.mp4"][0] != found["other.mp4"][0]
    assert again().new == 0
