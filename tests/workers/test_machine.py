"""What holds extraction, and what the machine is asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from app.services import holding
from app.services.holding import Holding, LiveSettings, paused_by_owner, set_paused
from app.workers import machine
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings
from m2hf_core.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Paths(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def hold(store: Store, monkeypatch: pytest.MonkeyPatch) -> Holding:
    monkeypatch.setattr(holding, "ASK_MACHINE_EVERY_S", -1.0)
    monkeypatch.setattr(machine, "free_bytes", lambda folder: 1 << 40)
    return Holding(store, store.paths, LiveSettings(store.paths))


def test_a_pause_holds_every_kind_of_work(store: Store, hold: Holding) -> None:
    assert hold() is None
    assert set_paused(store, True)
    assert not set_paused(store, True), "it was paused already"
    assert "m2hf-app resume" in (hold() or "")
    assert paused_by_owner(store)() == hold()
    assert set_paused(store, False)
    assert hold() is None


def test_battery_and_somebody_at_work_hold_if_the_owner_said_so(
    store: Store, hold: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "on_battery", lambda: True)
    monkeypatch.setattr(machine, "idle_seconds", lambda: 3.0)
    assert hold() is None, "by default it works on"
    Settings.load(store.paths).set("on_battery", "wait")
    assert "mains" in (hold() or "")
    monkeypatch.setattr(machine, "on_battery", lambda: False)
    Settings.load(store.paths).set("while_in_use", "wait")
    assert "nobody uses" in (hold() or "")
    monkeypatch.setattr(machine, "idle_seconds", lambda: None)
    assert hold() is None, "where the system does not tell, nothing waits for ever"
    assert paused_by_owner(store)() is None


def test_a_nearly_full_disk_holds(hold: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_bytes", lambda folder: 50 << 20)
    assert "50 MB" in (hold() or "")


@pytest.mark.parametrize(
    ("battery", "expected"),
    [
        (None, False),
        (SimpleNamespace(power_plugged=True), False),
        (SimpleNamespace(power_plugged=None), False),
        (SimpleNamespace(power_plugged=False), True),
    ],
)
def test_battery(monkeypatch: pytest.MonkeyPatch, battery: object, expected: bool) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert machine.on_battery() is expected


def test_idleness_as_logind_says_it() -> None:
    ago = int((time.time() - 300) * 1e6)
    assert machine.idle_from_logind(f"IdleHint=yes\nIdleSinceHint={ago}\n") == pytest.approx(300, abs=5)
    assert machine.idle_from_logind(f"IdleHint=no\nIdleSinceHint={ago}\n") == 0.0
    assert machine.idle_from_logind("IdleHint=yes\nIdleSinceHint=\n") == 0.0
    assert machine.idle_from_logind("") is None


def test_which_folders_are_on_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = [
        SimpleNamespace(mountpoint="/", fstype="ext4", opts="rw"),
        SimpleNamespace(mountpoint=str(tmp_path / "nas"), fstype="nfs4", opts="rw"),
        SimpleNamespace(mountpoint=str(tmp_path / "nas" / "disk"), fstype="btrfs", opts="rw"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all=False: parts)
    assert not machine.is_network(tmp_path / "films")
    assert machine.is_network(tmp_path / "nas" / "films")
    assert not machine.is_network(tmp_path / "nas" / "disk" / "films"), "the innermost counts"


def test_room_is_told_for_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    assert machine.free_bytes(tmp_path / "not" / "yet") > 0
