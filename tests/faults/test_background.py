"""The long-running side with real workers: it watches, pauses at once, looks first where its owner looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.services.background import Background, BackgroundSnapshot
from app.services.holding import set_paused
from app.workers import supervisor
from app.workers.process import Limits

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
PATIENCE_S = 240.0


@pytest.fixture
def background(campaign) -> Iterator[Background]:
    running = Background(campaign.data, "demo", device="cpu", settle_s=0.3)
    yield running
    running.stop(None)


def until(background: Background, true: Callable[[BackgroundSnapshot], bool]) -> BackgroundSnapshot:
    deadline = time.monotonic() + PATIENCE_S
    while not true(now := background.snapshot()):
        assert time.monotonic() < deadline, f"it never came true: {now}"
        time.sleep(0.02)
    return now


def test_it_takes_in_what_comes_pauses_in_the_middle_and_ends(campaign, background: Background) -> None:
    campaign.clips(3)
    campaign.plan({"0001.mp4": ("frames", "wait")})
    background.start()
    assert len(background.add_folder(campaign.videos).result(60)) == 1
    until(background, lambda now: bool(campaign.struck()))
    assert background.pause().result(60)
    paused = until(background, lambda now: now.state == "paused")
    assert "resume" in paused.why
    (campaign.data / "go").touch()
    held = paused.ready
    time.sleep(1.5)
    assert background.snapshot().ready == held, "a suspended worker finishes nothing"
    with campaign.library() as library:  # as another program does it
        assert set_paused(library.store, False)
    until(background, lambda now: now.state == "idle" and now.ready == 3)
    campaign.clips(2, first=3)
    until(background, lambda now: now.state == "idle" and now.ready == 5)
    assert background.forget(campaign.videos / "0000.mp4").result(60) == 1
    background.rescan().result(60)
    until(background, lambda now: now.state == "idle" and now.ready == 4)
    assert len(list((campaign.data / "thumbnails").glob("*.jpg"))) == 4
    assert background.stop(None)
    assert background.snapshot().state == "stopped"
    assert campaign.check(4) == (4, 0)


def test_what_the_owner_looks_at_goes_first(campaign, background: Background) -> None:
    campaign.clips(1)
    campaign.index()
    clips = campaign.clips(8, first=1)
    campaign.plan({path.name: ("probe", "wait") for path in clips})  # to note the order
    (campaign.data / "go").touch()
    with campaign.library() as library:
        set_paused(library.store, True)
    background.start()
    background.add_folder(campaign.videos).result(60)
    until(background, lambda now: now.state == "paused" and now.queued == 8)
    assert background.look_at([clips[6], Path("/not/here.mp4")]).result(60) == 1
    background.resume().result(60)
    until(background, lambda now: now.state == "idle" and now.ready == 9)
    assert campaign.struck()[0][0] == clips[6].name


def test_another_program_that_indexes_is_waited_for(campaign, background: Background) -> None:
    from m2hf_core.config.paths import Paths
    from m2hf_core.store import WriterLock

    campaign.clips(1)
    campaign.data.mkdir()
    lock = WriterLock(Paths(campaign.data).writer_lock)
    with lock:
        background.start()
        background.add_folder(campaign.videos).result(60)
        now = until(background, lambda now: now.state == "idle")
        assert "already indexing" in now.why
        assert now.ready == 0
    until(background, lambda now: now.ready == 1)


def test_worn_out_workers_are_replaced_between_files(campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "Limits", lambda: Limits(recycle_files=2))
    campaign.clips(7)
    report = campaign.index()
    assert campaign.check(7) == (7, 0)
    assert report.drained.recycled >= 1
    assert report.drained.respawned == 0


def test_a_short_video_is_set_aside_by_its_setting(campaign) -> None:
    from m2hf_core.config.paths import Paths
    from m2hf_core.config.settings import Settings

    campaign.clips(2)
    campaign.data.mkdir()
    Settings.load(Paths(campaign.data)).set("shortest_s", "60")
    campaign.index()
    assert [failure.stage for failure in campaign.failures()] == ["length"] * 2
    assert campaign.rows("SELECT COUNT(*) FROM clip") == [(0,)]
    Settings.load(Paths(campaign.data)).set("shortest_s", "0")
    campaign.index()
    assert campaign.failures() == []
    assert campaign.check(2) == (2, 0)
    assert campaign.rows("SELECT COUNT(*) FROM clip")[0][0] >= 2


@pytest.mark.slow
def test_a_thousand_renamed_files_are_not_read_again(campaign) -> None:
    count = 1000
    videos = campaign.videos
    for number, path in enumerate(campaign.clips(count)):
        folder = videos / f"part{number % 10}"
        folder.mkdir(exist_ok=True)
        path.with_suffix(".srt").unlink()
        path.rename(folder / path.name)
    assert campaign.index().drained.ready == count
    before = set(campaign.rows("SELECT id, fingerprint FROM video"))
    for number in range(10):
        (videos / f"part{number}").rename(videos / f"renamed{number}")
    report = campaign.index()
    assert (report.found, report.new, report.gone) == (count, count, count)
    assert (report.drained.ready, report.drained.failed) == (0, 0), "nothing is extracted again"
    assert set(campaign.rows("SELECT id, fingerprint FROM video")) == before
    assert campaign.rows("SELECT state, COUNT(*) FROM path GROUP BY state") == [("present", count)]
