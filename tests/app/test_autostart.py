"""Starting with the computer: the entries are read back the way each system reads them."""

from __future__ import annotations

import configparser
import plistlib
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import autostart
from app.services.choosing import choose
from m2hf_core.config.paths import open_paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError

WORDS = st.lists(
    st.text(
        st.characters(min_codepoint=32, exclude_characters="\x7f\x85", exclude_categories=("C", "Z")),
        min_size=1,
    ),
    min_size=1,
    max_size=4,
)


def exec_line(entry: str) -> list[str]:
    """The command as a desktop reads it: first the file's escapes, then quotes, then field codes."""
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(entry)
    line = re.sub(r"\\(.)", lambda found: found[1], parser["Desktop Entry"]["Exec"])
    words = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', line):
        words.append((re.sub(r"\\([\"`$\\])", r"\1", quoted) or plain).replace("%%", "%"))
    return words


@given(words=WORDS)
def test_a_desktop_reads_the_command_that_was_meant(words: list[str]) -> None:
    assert exec_line(autostart.desktop_entry(["program", *words])) == ["program", *words]


def test_a_path_with_spaces_and_signs_is_quoted() -> None:
    odd = '/home/me/My "videos" 100% $HOME\\x'
    assert exec_line(autostart.desktop_entry(["program", "--data-dir", odd]))[2] == odd


def test_launchd_is_given_the_words_apart() -> None:
    entry = plistlib.loads(autostart.launch_agent(["program", "--data-dir", "/a b"]))
    assert entry["ProgramArguments"] == ["program", "--data-dir", "/a b"]
    assert entry["RunAtLoad"] is True


def test_an_entry_comes_and_goes(tmp_path: Path) -> None:
    for name, read in (("app.desktop", lambda raw: exec_line(raw.decode())), ("app.plist", plistlib.loads)):
        place = tmp_path / "not yet there" / name
        autostart.write_entry(place, ["program", "gui"])
        assert "gui" in str(read(place.read_bytes()))
        autostart.write_entry(place, None)
        autostart.write_entry(place, None)
        assert not any(place.parent.glob(f"*{name}*"))


@pytest.mark.parametrize("name", ["app.desktop", "app.plist"])
def test_a_line_break_cannot_smuggle_in_another_entry(tmp_path: Path, name: str) -> None:
    with pytest.raises(KnownError, match="no entry"):
        autostart.write_entry(tmp_path / name, ["program", "--data-dir", "/d\nExec=other"])
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the entry of a freedesktop.org desktop")
def test_the_setting_writes_the_entry_or_stays_as_it_was(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    paths = open_paths(tmp_path / "data")
    assert choose(paths, "start_at_login", "on") == "on"
    entry = tmp_path / "config" / "autostart" / "m2hf-app.desktop"
    assert exec_line(entry.read_text())[-4:] == ["gui", "--tray", "--data-dir", str(paths.data)]
    assert choose(paths, "start_at_login", "off") == "off"
    assert not entry.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(KnownError, match="could not be changed"):
        choose(paths, "start_at_login", "on")
    assert Settings.load(paths).get("start_at_login") == "off"


def test_the_command_starts_the_program_in_the_tray() -> None:
    from app.cli import gui
    from app.cli.main import build_parser

    args = build_parser().parse_args(["gui", "--tray", "--data-dir", "/d"])
    assert (args.run, args.tray, args.data_dir) == (gui.run, True, Path("/d"))


def test_an_appimage_is_started_by_its_own_name(tmp_path: Path, monkeypatch) -> None:
    """Its program lies in a folder that is gone when it ends."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPIMAGE", "/home/me/M2HF app.AppImage")
    monkeypatch.setattr(autostart.sys, "platform", "linux")
    entry = tmp_path / "autostart" / "m2hf-app.desktop"
    autostart.follow(True, tmp_path)
    assert exec_line(entry.read_text())[0] == sys.executable, "not frozen: some other AppImage's shell"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("APPDIR", "/tmp/.mount_editor")
    autostart.follow(True, tmp_path)
    assert exec_line(entry.read_text())[:2] == [sys.executable, "gui"], (
        "frozen, from another AppImage's shell"
    )
    monkeypatch.setenv("APPDIR", str(Path(sys.executable).parent))
    autostart.follow(True, tmp_path)
    assert exec_line(entry.read_text())[:2] == ["/home/me/M2HF app.AppImage", "gui"]
