"""Downloads against a server on this machine: resumed, checked, refused, interrupted."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.errors import BadModelFile, DiskFull, Interrupted, KnownError, ModelsMissing
from m2hf_core.hub.fetch import fetch
from m2hf_core.hub.manifest import Manifest, get_preset
from m2hf_core.hub.prepare import plan, prepare
from m2hf_core.progress import Progress


def run(manifest: Manifest, preset: str = "whole", progress: Progress | None = None) -> list[Any]:
    return prepare(get_preset(preset, manifest), progress or Progress(), manifest)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_files_arrive_whole_and_checked(manifest: Manifest, models: Path, server: Any) -> None:
    findings = run(manifest)
    assert [(finding.id, finding.state) for finding in findings] == [("big", "ok"), ("words", "ok")]
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]
    assert (models / "tagger/words.json").read_bytes() == b'["NN"]'
    assert [name for name in names(models) if name != "digests.json"] == ["nets/a.bin", "tagger/words.json"]


def test_a_second_run_asks_nobody(manifest: Manifest, models: Path, server: Any) -> None:
    run(manifest)
    server.ranges.clear()
    assert run(manifest) == []
    assert server.ranges == []


def test_a_cut_connection_is_continued(manifest: Manifest, models: Path, server: Any) -> None:
    server.cut_after = [1_000_000, 500_000]
    run(manifest)
    assert server.ranges[:3] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_an_earlier_part_is_continued(manifest: Manifest, models: Path, server: Any) -> None:
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin.part").write_bytes(server.files["/a.bin"][:2_999_999])
    run(manifest)
    assert server.ranges[0] == "bytes=2999999-"


def test_a_complete_part_is_only_checked(manifest: Manifest, models: Path, server: Any) -> None:
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin.part").write_bytes(server.files["/a.bin"])
    run(manifest)
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_a_part_that_is_too_long_is_begun_again(manifest: Manifest, models: Path, server: Any) -> None:
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin.part").write_bytes(server.files["/a.bin"] + b"x")
    run(manifest)
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_a_server_without_ranges_serves_from_the_start(manifest: Manifest, models: Path, server: Any) -> None:
    server.honours_ranges = False
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin.part").write_bytes(b"old beginning")
    run(manifest)
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_a_connection_that_brings_nothing_is_given_up(manifest: Manifest, models: Path, server: Any) -> None:
    server.cut_after = [1_000_000, 0, 0]
    with pytest.raises(KnownError, match="connection failed"):
        run(manifest)
    assert (models / "nets/a.bin.part").stat().st_size == 1_000_000
    assert not (models / "nets/a.bin").exists()


def test_a_wrong_file_is_removed(manifest: Manifest, models: Path, server: Any) -> None:
    server.files["/a.bin"] = server.files["/a.bin"][:-1] + b"!"
    with pytest.raises(BadModelFile, match="not the published file"):
        run(manifest)
    assert names(models) == []


def test_a_wrong_archive_is_removed(manifest: Manifest, models: Path, server: Any) -> None:
    server.files["/t.zip"] = b"<html>sign in</html>"
    with pytest.raises(BadModelFile, match=r"t\.zip"):
        run(manifest)
    assert [name for name in names(models) if name != "digests.json"] == ["nets/a.bin"]


@pytest.mark.parametrize(
    ("status", "says"), [(404, "no file at"), (403, "signing in"), (503, "answered 503")]
)
def test_refusals_get_a_sentence(status: int, says: str, manifest: Manifest, server: Any) -> None:
    server.status = status
    with pytest.raises(KnownError, match=says) as caught:
        run(manifest)
    assert caught.value.detail == f"HTTP {status}"


def test_nobody_listening_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="could not be fetched from 127"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x.part", Progress())


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    for url in ("http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"):
        with pytest.raises(ValueError, match="https only"):
            fetch(url, tmp_path / "x.part", Progress())


def test_cancelling_keeps_what_arrived(manifest: Manifest, models: Path, server: Any) -> None:
    class Impatient(Progress):
        def advance(self, amount: float = 1.0) -> None:
            self.cancel()
            super().advance(amount)

    with pytest.raises(Interrupted):
        run(manifest, progress=Impatient())
    part = (models / "nets/a.bin.part").stat().st_size
    assert 0 < part < len(server.files["/a.bin"])
    run(manifest)
    assert f"bytes={part}-" in server.ranges


@pytest.mark.parametrize("switch", ["M2HF_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_means_offline(
    switch: str, manifest: Manifest, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch, "1")
    with pytest.raises(KnownError, match=f"{switch} switches the network off"):
        run(manifest)
    assert server.ranges == []


def test_a_file_that_nothing_checks_is_never_fetched(manifest: Manifest, models: Path, server: Any) -> None:
    with pytest.raises(ModelsMissing, match=r"digest is unknown.*models import"):
        run(manifest, "blind")
    assert server.ranges == []
    assert not models.exists()


def test_what_a_package_lacks_does_not_keep_the_rest_from_coming(
    manifest: Manifest, models: Path, server: Any
) -> None:
    packaged = replace(
        manifest.weights["words"], id="voice", url=None, member=None, package="no_such_package"
    )
    preset = replace(get_preset("whole", manifest), speech=("voice",))
    with_package = replace(manifest, weights={**manifest.weights, "voice": packaged})
    assert "it comes with the package no_such_package" in "".join(plan(preset, with_package).lines)
    assert [finding.id for finding in prepare(preset, Progress(), with_package)] == ["big", "words"]


def test_a_missing_shipped_file_is_no_download(manifest: Manifest, server: Any) -> None:
    with pytest.raises(ModelsMissing, match="Install the program again"):
        run(manifest, "own")
    assert server.ranges == []


def test_too_little_room_is_noticed_before(
    manifest: Manifest, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(DiskFull, match=r"only 0\.0 MB are free"):
        run(manifest)
    assert server.ranges == []


def test_a_disk_that_fills_up_keeps_the_part(
    manifest: Manifest, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    class Full:
        """A file on a disk with room for one chunk."""

        def __init__(self, stream: Any) -> None:
            self.stream, self.writes = stream, 0

        def write(self, chunk: bytes) -> int:
            self.writes += 1
            if self.writes > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self.stream.write(chunk))

        def flush(self) -> None:
            self.stream.flush()

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

    def open_full(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = real_open(path, mode, *args, **kwargs)
        return Full(stream) if path.name.endswith(".part") and mode == "wb" else stream

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(DiskFull, match=r"no room left for .*what is there already is kept"):
        run(manifest)
    monkeypatch.undo()
    assert (models / "nets/a.bin.part").stat().st_size == 1 << 20


def test_the_plan_says_what_from_whom_and_how_large(manifest: Manifest, models: Path, server: Any) -> None:
    lines = plan(get_preset("whole", manifest), manifest).lines
    assert lines[0] == f"The big: nets/a.bin, 3.0 MB, licence MIT, from {server.url}/a.bin"
    assert lines[-1] == "3.0 MB to fetch."
    run(manifest)
    assert plan(get_preset("whole", manifest), manifest).lines == ("Nothing to fetch.",)
    assert "digest is unknown" in plan(get_preset("blind", manifest), manifest).lines[0]


def test_a_spoiled_file_is_fetched_again(manifest: Manifest, models: Path, server: Any) -> None:
    run(manifest)
    (models / "nets/a.bin").write_bytes(b"spoiled")
    assert [finding.id for finding in run(manifest)] == ["big"]
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_progress_counts_bytes(manifest: Manifest, models: Path, server: Any) -> None:
    class Recording(Progress):
        def start(self, stage: str, total: float = 0.0, unit: str = "") -> None:
            if self.snapshot().stage:
                seen.append((self.snapshot().stage, self.snapshot().done))
            super().start(stage, total, unit)

    seen: list[tuple[str, float]] = []
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin.part").write_bytes(server.files["/a.bin"][:1_000_000])
    run(manifest, progress=Recording())
    assert ("fetch big", 3_000_000) in seen
    assert ("check big", 3_000_000) in seen
