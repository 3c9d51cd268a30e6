"""Real files of all kinds at once: what can be read becomes searchable, what cannot is told, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SEARCHABLE = 66


def test_clips_formats_and_broken_files_together(run, shared: Path, tmp_path: Path) -> None:
    folders = [shared / "media" / name for name in ("clips", "formats", "broken")]
    done = run("index", *folders, "--data-dir", tmp_path / "data", "--json")
    assert done.code == 0, done.err
    broken = {path.name for path in folders[2].iterdir()}
    assert (done.json["ready"], done.json["failed"]) == (SEARCHABLE, len(broken))
    failures = run("failures", "--data-dir", tmp_path / "data", "--json").json
    assert {Path(failure["path"]).name for failure in failures} == broken
    assert all(failure["reason"] and failure["hint"] for failure in failures)
    assert run("status", "--data-dir", tmp_path / "data", "--json").json["videos"]["ready"] == SEARCHABLE
