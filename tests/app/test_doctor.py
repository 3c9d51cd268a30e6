"""The doctor tries what listens, as a worker would use it, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.services import doctor
from m2hf_core.errors import KnownError, ModelsMissing
from m2hf_core.features import speech as module


class Ears:
    """Stands for the extractor: says where it ran, or why it could not."""

    closed = 0

    def __init__(self, ran_on: str | KnownError) -> None:
        self._ran_on = ran_on

    def prove(self) -> str:
        if isinstance(self._ran_on, KnownError):
            raise self._ran_on
        return self._ran_on

    def close(self) -> None:
        Ears.closed += 1


def findings(
    monkeypatch: pytest.MonkeyPatch, data: Path, opened: Callable[[Callable[[str], None]], Ears | None]
) -> list[tuple[bool, str, str]]:
    monkeypatch.setattr(module, "open_speech", lambda preset, device, announce: opened(announce))
    return [(found.ok, found.found, found.remedy) for found in doctor._speech(data)]


def test_what_listens_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert findings(monkeypatch, tmp_path, lambda _: Ears("cpu")) == [
        (True, "the network ran on the processor", "")
    ]

    def falls_back(announce: Callable[[str], None]) -> Ears:
        announce("The card cannot be used (no cuBLAS).")
        return Ears("cpu")

    _, (ok, found, remedy) = findings(monkeypatch, tmp_path, falls_back)
    assert (ok, found) == (False, "The card cannot be used (no cuBLAS).")
    assert "cuda-speech" in remedy
    broken = KnownError("Speech recognition ended unexpectedly (signal 11).", "Install it again.")
    assert findings(monkeypatch, tmp_path, lambda _: Ears(broken)) == [(False, broken.sentence, broken.hint)]
    assert Ears.closed == 3, "no process is left behind"


def test_what_is_not_here_is_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def not_here(_: Callable[[str], None]) -> None:
        raise ModelsMissing("Not prepared.", "Prepare it.")

    assert findings(monkeypatch, tmp_path, not_here) == [], "the check of weights has said so"
    assert findings(monkeypatch, tmp_path, lambda _: None) == [], "a preset without speech"
