"""A walk finds every video file once, whatever the folder looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from m2hf_core.errors import Interrupted
from m2hf_core.ingest.scan import scan_folder
from m2hf_core.progress import Progress


def names(root: Path, *ignore: str) -> list[str]:
    return [os.path.relpath(file.path, root) for file in scan_folder(root, ignore, Progress()).files]


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_videos_by_their_ending_in_name_order(tmp_path: Path) -> None:
    make(tmp_path, "b.MP4", "a/z.mkv", "a/note.txt", "c.mov.part", ".hidden.mp4", ".trash/d.mp4", "noending")
    assert names(tmp_path) == ["b.MP4", "a/z.mkv"]


def test_ignore_patterns_hold_for_files_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "keep.mp4", "draft_1.mp4", "Trash/a.mp4", "sub/Trash/b.mp4", "sub/c.mp4")
    assert names(tmp_path, "draft_*", "Trash") == ["keep.mp4", "sub/c.mp4"]


def test_a_loop_of_links_ends_and_a_linked_folder_is_entered_once(tmp_path: Path) -> None:
    make(tmp_path, "real/a.mp4")
    (tmp_path / "real" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "alias").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert len(names(tmp_path)) == 1


def test_odd_names_survive(tmp_path: Path) -> None:
    odd = [b"\xff\xfe.mp4", "søndag ☀ 100%.mp4".encode(), b"-rf.mp4", b"line\nbreak.mp4"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    assert {os.fsencode(name) for name in names(tmp_path)} == set(odd)


def test_a_folder_that_cannot_be_entered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "open/a.mp4", "closed/b.mp4")
    real = os.scandir

    def refusing(path: os.PathLike[str]) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may enter everything, so a refusal has to be played
    found = scan_folder(tmp_path, (), Progress())
    assert [file.path.name for file in found.files] == ["a.mp4"]
    assert found.closed == [(tmp_path / "closed", "Permission denied")]


def test_a_walk_can_be_cancelled(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    progress = Progress()
    progress.cancel()
    with pytest.raises(Interrupted):
        scan_folder(tmp_path, (), progress)
