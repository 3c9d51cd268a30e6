"""Files are whole or absent, whatever the disk says."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from m2hf_core.aside import sweep, write_aside, write_file
from m2hf_core.errors import DiskFull, KnownError


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_content_or_what_writes_it(tmp_path: Path) -> None:
    write_file(tmp_path / "new folder" / "a", b"content")
    write_file(tmp_path / "new folder" / "a", lambda file: file.write(b"other"))
    assert (tmp_path / "new folder" / "a").read_bytes() == b"other"
    assert names(tmp_path / "new folder") == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_former_file(tmp_path: Path, number: int) -> None:
    def fills(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_bytes(b"former")
    with pytest.raises(DiskFull, match=r"no room left for a in .*Delete something"):
        write_file(tmp_path / "a", fills, "Delete something.")
    assert (tmp_path / "a").read_bytes() == b"former"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def stopped(_file: BinaryIO) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_aside(tmp_path / "a", stopped)
    assert names(tmp_path) == []


def test_other_refusals_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(KnownError, match=r"cannot be written.*directory"):
        write_file(tmp_path / "folder", b"")
    assert names(tmp_path) == ["folder"]
    with pytest.raises(OSError, match="No such file"):
        write_aside(tmp_path / "no folder" / "a", b"")


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_what_is_private_is_so_while_it_is_written(tmp_path: Path) -> None:
    seen: list[int] = []

    def writes(file: BinaryIO) -> None:
        seen.append(os.fstat(file.fileno()).st_mode & 0o777)
        file.write(b"secret")

    write_aside(tmp_path / "a", writes, private=True)
    assert seen == [0o600]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").read_bytes() == b"secret"


def test_what_a_killed_program_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    kept = [".hidden.part", "film.mp4.12.part", ".last.pt.x.part", ".last.pt.4711.part.txt"]
    for name in (*kept, ".last.pt.4711.part", ".a.1.part"):
        (tmp_path / name).touch()
    sweep(tmp_path, older_s=3600)
    assert len(names(tmp_path)) == 6, "others may be writing"
    os.utime(tmp_path / ".a.1.part", (0, 0))
    sweep(tmp_path, older_s=3600)
    assert sorted(names(tmp_path)) == sorted([*kept, ".last.pt.4711.part"])
    sweep(tmp_path)
    assert sorted(names(tmp_path)) == sorted(kept)
    sweep(tmp_path / "nowhere")


def test_sweeping_spares_what_a_living_process_owns(tmp_path: Path) -> None:
    for name in (".settings.json.7.part", ".settings.json.8.part", ".new.8.part"):
        (tmp_path / name).touch()
    for name in (".settings.json.7.part", ".settings.json.8.part"):
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path, 3600, lambda number: number == 7)
    assert sorted(names(tmp_path)) == [".new.8.part", ".settings.json.7.part"]
