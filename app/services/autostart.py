"""Opening the program when its owner logs in: one entry where each system looks for such entries, and nothing else."""

from __future__ import annotations

import os
import plistlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from app.services.itself import lasting_command
from m2hf_core.aside import write_aside
from m2hf_core.config.paths import APP_NAME
from m2hf_core.errors import KnownError

LABEL = "org.m2hf.app"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


def follow(wished: bool, data_folder: Path) -> None:
    """Write the entry, or take it away. Raises `KnownError` where it cannot be written."""
    # Without a window at first: the icon in the tray is enough until somebody searches.
    command = lasting_command("gui", "--tray", "--data-dir", str(data_folder))
    try:
        if sys.platform == "win32":
            _follow_registry(command if wished else None)
        else:
            write_entry(entry_place(), command if wished else None)
    except OSError as error:
        raise KnownError(
            "Starting with the computer could not be changed.", f"{error.strerror}: {error.filename}"
        ) from error


def entry_place() -> Path:
    """Where Linux desktops and macOS look for what to start."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "autostart" / f"{APP_NAME}.desktop"


def write_entry(place: Path, command: Sequence[str] | None) -> None:
    """An entry that starts `command`, in the form that the file's ending asks for; None takes it away."""
    if command is None:
        place.unlink(missing_ok=True)
        return
    if any(ord(sign) < ord(" ") for word in command for sign in word):
        raise KnownError(
            "The data folder's name has a line break or another sign that no entry for the login can hold.",
            "Rename the folder, or start the program by hand.",
        )
    content = launch_agent(command) if place.suffix == ".plist" else desktop_entry(command).encode()
    place.parent.mkdir(parents=True, exist_ok=True)
    write_aside(place, content)


def desktop_entry(command: Sequence[str]) -> str:
    """For freedesktop.org's autostart folder."""
    line = " ".join(_quoted(word) for word in command)
    lines = ("[Desktop Entry]", "Type=Application", "Name=M2HF", f"Exec={line}", "Terminal=false")
    return "\n".join(lines) + "\n"


def launch_agent(command: Sequence[str]) -> bytes:
    """For launchd."""
    return plistlib.dumps(
        {"Label": LABEL, "ProgramArguments": list(command), "RunAtLoad": True, "ProcessType": "Background"}
    )


def _quoted(word: str) -> str:
    """As the Desktop Entry Specification quotes an argument; a percent sign would begin a field code."""
    escaped = "".join(f"\\{sign}" if sign in '"`$\\' else sign for sign in word).replace("%", "%%")
    # A string's own backslashes are read once more when the file is.
    return escaped if word == shlex.quote(word) else '"' + escaped.replace("\\", "\\\\") + '"'


if sys.platform == "win32":
    import subprocess
    import winreg

    def _follow_registry(command: Sequence[str] | None) -> None:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            if command is not None:
                line = subprocess.list2cmdline(list(command))
                winreg.SetValueEx(key, APP_NAME, 0, winreg.REG_SZ, line)
                return
            try:
                winreg.DeleteValue(key, APP_NAME)
            except FileNotFoundError:
                return  # it was not there
