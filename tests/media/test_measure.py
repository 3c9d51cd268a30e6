"""The measuring script: the form of its document, and that it counts what is there. No test asserts a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from m2hf_core.media.measure import main


def test_document(
    tmp_path: Path, write_video: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "a.mp4", [i * 40 for i in range(30)], fps=25)
    write_video(tmp_path / "b.mkv", [i * 40 for i in range(20)], fps=25)
    (tmp_path / "notes.txt").write_text("no video")
    main([str(tmp_path), "--threads", "1", "--processor-time"])
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"machine", "sizes", "figures", "against"}
    assert document["machine"]["clock"] == "process_time"
    assert document["sizes"] == {
        "videos": 2,
        "seconds": pytest.approx(2.0, abs=0.1),
        "frames": 50,
        "opencv_frames": 50,
    }
    assert all(value > 0 for part in ("figures", "against") for value in document[part].values())
