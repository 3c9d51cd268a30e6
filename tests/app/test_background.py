"""The long-running side without any video: what it says and does when the world around it is not in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from app.services import background as module
from app.services.background import Background, BackgroundSnapshot
from m2hf_core.config.paths import Paths
from m2hf_core.errors import KnownError

PATIENCE_S = 60.0


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    running = Background(tmp_path / "data", "demo", device="cpu", settle_s=0.1)
    yield running
    running.stop(None)


def until(background: Background, true: Callable[[BackgroundSnapshot], bool]) -> BackgroundSnapshot:
    deadline = time.monotonic() + PATIENCE_S
    while not true(now := background.snapshot()):
        assert time.monotonic() < deadline, f"it never came true: {now}"
        time.sleep(0.01)
    return now


def test_settings_typed_half_leave_the_old_ones_in_force(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.holding.ASK_MACHINE_EVERY_S", -1.0)
    background.start()
    until(background, lambda now: now.state == "idle")
    settings = Paths(tmp_path / "data").settings
    settings.write_text('{"on_battery": ')
    now = until(background, lambda now: bool(now.notices))
    assert "settings" in now.notices[-1]
    assert background.add_folder(tmp_path).result(60), "it goes on working"
    rounds = background.snapshot().rounds
    background.rescan().result(60)
    until(background, lambda now: now.rounds > rounds and now.state == "idle")
    settings.write_text("{}")
    until(background, lambda now: now.state == "idle" and not now.notices)


def test_what_is_asked_of_nobody_fails_at_once(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KnownError, match="not running"):
        background.pause().result(0)

    def broken(*_: object, **__: object) -> None:
        queued.append(background.resume())
        raise KnownError("The library is gone.")

    queued: list[Future[bool]] = []
    monkeypatch.setattr(module, "open_library", broken)
    background.start()
    now = until(background, lambda now: now.state == "failed")
    assert "gone" in now.why
    with pytest.raises(KnownError, match="The library is gone"):
        queued[0].result(60)
    with pytest.raises(KnownError, match="The library is gone"):
        background.rescan().result(60)
