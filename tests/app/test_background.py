"""The long-running side without any video: what it says and does when the world around it is not in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from app.services import background as module
from app.services import background_work as work
from app.services.background import Background, BackgroundSnapshot
from app.services.holding import LiveSettings
from app.services.indexing import anything_to_do, queue_missing, worker_configs
from app.services.library import open_library
from app.workers.messages import Ready
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError
from m2hf_core.store import Store, files, folders, jobs

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


def test_a_folder_in_turmoil_does_not_have_the_library_looked_over_each_time(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def slow(*_: object) -> bool:
        looks.append(time.monotonic())
        time.sleep(0.1)
        return False

    class Turmoil(work.Watcher):
        """Says in every moment that something has changed."""

        def __init__(self, store: Store, patterns: Any, changed: Callable[[], None], **options: Any) -> None:
            super().__init__(store, patterns, changed, **options)
            changes.append(changed)

    changes: list[Callable[[], None]] = []
    monkeypatch.setattr(work, "anything_to_do", slow)
    monkeypatch.setattr(work, "Watcher", Turmoil)
    background.start()
    until(background, lambda now: now.state == "idle")
    for _ in range(100):
        changes[0]()
        time.sleep(0.01)
    assert 1 <= len(looks) <= 2
    before = len(looks)
    background.rescan().result(60)
    until(background, lambda now: len(looks) > before)


def test_text_in_the_picture_is_read_as_soon_as_the_setting_says_so(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[list[bool]] = []

    def replace_workers(_: object, configs: Any) -> None:
        replaced.append([config.read_text for config in configs])

    monkeypatch.setattr(work.Supervisor, "replace_workers", replace_workers)
    monkeypatch.setattr(work, "INGREDIENTS_EVERY_S", 0.0)
    background.start()
    until(background, lambda now: now.state == "idle")
    for value, expected in (("on", [[True]]), ("off", [[True], [False]])):
        Settings.load(Paths(tmp_path / "data")).set("read_text", value)
        until(background, lambda _, expected=expected: replaced == expected)


def test_another_wish_for_text_makes_every_video_due(tmp_path: Path) -> None:
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        settings = LiveSettings(library.paths)
        with library.store.library.writing() as session:
            files.put_path(session, folders.add_folder(session, "/v"), "/v/a.mp4", 10, 1, "print")
        queue_missing(library, Ready({"clip": "clip@1"}, {}, ()), settings)
        with library.store.library.writing() as session:
            lease = jobs.lease_next(session, "worker", 0.0, 60.0)
            assert lease is not None
            jobs.finish(session, lease.job_id, lease.wanted)
        assert not anything_to_do(library, settings)
        Settings.load(library.paths).set("read_text", "on")
        assert anything_to_do(library, settings), "another worker has to say what it offers now"
        queue_missing(library, Ready({"clip": "clip@1"}, {}, ()), settings)
        assert not anything_to_do(library, settings)


def test_workers_of_several_devices_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        assert [config.threads for config in worker_configs(library, "cpu")] == [8]
        assert [config.threads for config in worker_configs(library, "cuda:0,cuda:1")] == [4, 4]
