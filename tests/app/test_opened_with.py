"""What the file manager's "Open with" does: the folders are watched, and the window opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import gui


def test_a_video_stands_for_its_folder(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr(gui, "show", lambda *words, **named: shown.append(words) or 0)
    lake, sea = tmp_path / "lake", tmp_path / "sea"
    for folder in (lake, sea):
        folder.mkdir()
        (folder / "one.mp4").touch()
        (folder / "two.mp4").touch()
    data = tmp_path / "data"
    opened = run("gui", lake, sea / "one.mp4", sea / "two.mp4", "--data-dir", data)
    assert (opened.code, opened.err) == (0, "")
    assert len(shown) == 1
    listed = run("library", "list", "--json", "--data-dir", data).json
    assert {Path(folder["path"]).name for folder in listed} == {"lake", "sea"}


def test_what_is_not_there_is_told_before_a_window_opens(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gui, "show", lambda *words, **named: pytest.fail("a window was opened"))
    opened = run("gui", tmp_path / "nowhere" / "sea.mp4", "--data-dir", tmp_path / "data")
    assert opened.code == 1
    assert "nowhere" in opened.err
