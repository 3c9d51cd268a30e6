"""Files that hang, grow, vanish or are damaged at random while they are read, and a drive that leaves halfway."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from app.workers import supervisor
from app.workers.process import Limits
from m2hf_core.ingest import reconcile as reconciling
from m2hf_core.progress import Progress
from m2hf_core.store import folders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
MUTANTS = {"short": 150, "long": 60}[os.environ.get("M2HF_FAULTS", "short")]
"""Per seed: the long tier has ten of them, so 600 in all; a file's damage does not depend on its neighbours'."""


def test_a_decoder_that_hangs_is_replaced(campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "Limits", lambda: Limits(silent_s=15.0))
    campaign.clips(4)
    campaign.plan({"0001.mp4": ("frames", "hang"), "0002.mp4": ("audio", "hang")})
    report = campaign.index()
    assert len(campaign.struck()) == 2
    assert report.drained.respawned >= 2  # more on a machine so busy that a well worker is silent for as long
    campaign.check(4)
    assert all("no progress" in failure.reason for failure in campaign.failures())
    assert report.drained.ready >= 3


def test_no_memory_in_the_forward_pass_costs_no_other_file(campaign) -> None:
    campaign.clips(6)
    campaign.plan({"0003.mp4": ("forward", "memory")})
    report = campaign.index()
    assert [action for _, _, action in campaign.struck()] == ["memory"]
    assert report.drained.respawned == 0
    ready, failed = campaign.check(6)
    assert ready >= 5
    assert all("MemoryError" in failure.reason for failure in campaign.failures())
    assert failed == len(campaign.failures())


def test_a_file_that_grows_while_it_is_read_is_taken_as_it_is_later(campaign) -> None:
    campaign.clips(3)
    campaign.plan({"0001.mp4": ("frames", "wait")})

    def grow(campaign) -> None:
        with (campaign.videos / "0001.mp4").open("ab") as stream:
            stream.write(b"\x00\x00\x00\x10freelonger!!")
        (campaign.data / "go").touch()

    report = campaign.index(grow)
    assert (report.drained.ready, report.drained.failed) == (2, 1)
    campaign.check(3)
    (failure,) = campaign.failures()
    assert "changed while it was read" in failure.reason
    assert not failure.quarantined
    assert campaign.index().drained.ready == 1
    assert campaign.check(3) == (3, 0)


def test_a_file_that_is_deleted_while_it_is_read_is_no_failure_for_long(campaign) -> None:
    clips = campaign.clips(3)
    campaign.plan({"0001.mp4": ("probe", "wait")})

    def delete(campaign) -> None:
        clips[1].unlink()
        (campaign.data / "go").touch()

    report = campaign.index(delete)
    assert (report.drained.ready, report.drained.failed) == (2, 1)
    (failure,) = campaign.failures()
    assert "moved or deleted" in failure.reason
    assert not failure.quarantined
    report = campaign.index()
    assert (report.found, report.gone, report.drained.failed) == (2, 1, 0)
    assert campaign.failures() == []


def test_a_drive_that_leaves_while_it_is_read_takes_no_blame(campaign, tmp_path: Path) -> None:
    campaign.clips(5)
    campaign.plan({"0000.mp4": ("probe", "wait")})

    def unplug(campaign) -> None:
        campaign.videos.rename(tmp_path / "unplugged")
        (campaign.data / "go").touch()

    report = campaign.index(unplug)
    assert report.drained.failed == 0
    assert campaign.failures() == []
    (tmp_path / "unplugged").rename(campaign.videos)
    campaign.index()
    assert campaign.check(5) == (5, 0)


def test_a_busy_database_is_waited_for(campaign) -> None:
    campaign.clips(3)
    campaign.plan({"0001.mp4": ("frames", "wait")})

    def lock(campaign) -> None:
        connection = sqlite3.connect(campaign.data / "library.sqlite", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        (campaign.data / "go").touch()
        threading.Event().wait(7.0)  # longer than SQLite itself waits
        connection.execute("ROLLBACK")
        connection.close()

    assert campaign.index(lock).drained.ready == 3
    assert campaign.check(3) == (3, 0)


def test_damaged_files_are_read_or_told(campaign, base_clip: Path, fault_seed: int) -> None:
    rng = random.Random(fault_seed)
    whole = base_clip.read_bytes()
    campaign.clips(0)
    for number in range(MUTANTS):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 5, 50, 500])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(1, len(data)) :]
        path = campaign.videos / f"mutant{number:04d}.mp4"
        path.write_bytes(data + number.to_bytes(8, "big"))
        os.utime(path, (1e9, 1e9))
    report = campaign.index()
    ready, failed = campaign.check(MUTANTS)
    assert (report.drained.ready, report.drained.failed) == (ready, failed)
    assert ready > 0
    assert failed > 0
    assert all(failure.reason and failure.hint for failure in campaign.failures())
    assert campaign.index().drained.ready == 0


@pytest.fixture
def drive(campaign):
    """The videos lie on a file system of their own, which can be taken away."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(campaign.videos)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield campaign.videos
    subprocess.run(["umount", "--lazy", str(campaign.videos)], capture_output=True, check=False)


@pytest.mark.parametrize("when", ["while looking", "while identifying"])
def test_a_drive_unmounted_in_mid_scan_deletes_nothing(
    campaign, drive: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    for part in ("a", "b", "c"):
        (drive / part).mkdir()
    for number, path in enumerate(campaign.clips(6)):
        path.rename(drive / "abc"[number % 3] / path.name)
    campaign.index()
    assert campaign.check(6) == (6, 0)
    away: list[bool] = []

    def unmount() -> None:
        if not away:
            subprocess.run(["umount", "--lazy", str(drive)], check=True)
            away.append(True)

    if when == "while looking":
        real_scandir = os.scandir

        def scandir(path=".") -> object:
            if str(path).endswith("/b"):
                unmount()
            return real_scandir(path)

        monkeypatch.setattr(os, "scandir", scandir)
    else:
        for path in drive.glob("*/*.mp4"):
            os.utime(path, (2e9, 2e9))  # all have to be identified again
        real = reconciling.fingerprint_file

        def fingerprint(path: Path) -> str:
            unmount()
            return real(path)

        monkeypatch.setattr(reconciling, "fingerprint_file", fingerprint)
    with campaign.library() as library:
        with library.store.library.reading() as session:
            (row,) = folders.list_folders(session)
        found = reconciling.reconcile(library.store, row.folder_id, drive, (), Progress())
    assert away
    assert found.offline
    assert campaign.rows("SELECT state, COUNT(*) FROM path GROUP BY state") == [("offline", 6)]
    assert campaign.failures() == []
    assert campaign.check(6) == (6, 0)
