"""Identity by content: what changes a fingerprint, what does not, and how much of a file is read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.errors import Interrupted, UnreadableMedia
from m2hf_core.media import fingerprint_file, full_hash
from m2hf_core.media.identity import _SAMPLED_BYTES, _samples
from m2hf_core.progress import Progress


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_renamed_or_copied_file_is_the_same_video(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    first = write(tmp_path / "a.mp4", data)
    prints = fingerprint_file(first), full_hash(first)
    assert (fingerprint_file(write(tmp_path / "b.mkv", data)), full_hash(tmp_path / "b.mkv")) == prints
    first.rename(tmp_path / "c.mp4")
    assert fingerprint_file(str(tmp_path / "c.mp4")) == prints[0]
    assert [len(text) for text in prints] == [40, 40]


@pytest.mark.parametrize("size", [0, 1, 2, 1000, _SAMPLED_BYTES, _SAMPLED_BYTES + 1, 2_000_000])
def test_size_alone_tells_files_apart(size: int, tmp_path: Path) -> None:
    shorter, longer = write(tmp_path / "a", bytes(size)), write(tmp_path / "b", bytes(size + 1))
    assert fingerprint_file(shorter) != fingerprint_file(longer)
    assert full_hash(shorter) != full_hash(longer)


@given(st.integers(0, 20 * 1024**3))
def test_samples_lie_in_the_file_without_overlap(size: int) -> None:
    samples = _samples(size)
    ends = [start + length for start, length in samples]
    assert samples[0][0] == 0
    assert ends[-1] == size
    assert all(end <= start for end, (start, _) in zip(ends, samples[1:], strict=False))
    assert sum(length for _, length in samples) <= _SAMPLED_BYTES


def test_head_tail_and_sampled_blocks_count(tmp_path: Path) -> None:
    data = bytearray(np.random.default_rng(1).bytes(5_000_000))
    before = fingerprint_file(write(tmp_path / "a", data))
    for start, length in _samples(len(data)):
        changed = bytearray(data)
        changed[start + length // 2] ^= 1
        assert fingerprint_file(write(tmp_path / "b", changed)) != before


def test_what_lies_between_the_samples_is_the_full_hashs_business(tmp_path: Path) -> None:
    data = bytearray(5_000_000)
    samples = _samples(len(data))
    between = sum(samples[0]) + (samples[2][0] - sum(samples[1])) // 2 + samples[1][1]
    assert not any(start <= between < start + length for start, length in samples)
    first = write(tmp_path / "a", data)
    data[between] = 1
    second = write(tmp_path / "b", data)
    assert fingerprint_file(first) == fingerprint_file(second)
    assert full_hash(first) != full_hash(second)


def test_a_huge_file_costs_no_more_than_a_small_one(tmp_path: Path, monkeypatch) -> None:
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.truncate(50 * 1024**3)  # sparse: takes no room
    read: list[int] = []
    real = os.fstat

    def counting(descriptor: int) -> os.stat_result:
        read.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr("m2hf_core.media.identity.os.fstat", counting)
    before = Path("/proc/self/io").read_text().split()
    fingerprint_file(huge)
    after = Path("/proc/self/io").read_text().split()
    assert len(read) == 1
    assert int(after[1]) - int(before[1]) < _SAMPLED_BYTES + 100_000


def test_failures_are_told_and_long_work_can_be_stopped(tmp_path: Path) -> None:
    for function in (fingerprint_file, full_hash):
        with pytest.raises(UnreadableMedia, match="no longer there"):
            function(tmp_path / "gone.mp4")
    progress = Progress()
    progress.cancel()
    with pytest.raises(Interrupted):
        full_hash(write(tmp_path / "a", b"x"), progress)
