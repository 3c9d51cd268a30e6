"""What the machine says about being in use: power, keyboard, disk. None where the system does not tell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

NETWORK_KINDS = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "9p", "webdav", "davfs", "ncpfs", "afs")
)
ANSWER_S = 5.0


def on_battery() -> bool:
    """Whether the machine runs on its battery; False where it has none or does not tell."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is not None and battery.power_plugged is False


def idle_seconds() -> float | None:
    """How long nobody has touched keyboard or mouse; None where the system does not tell."""
    if sys.platform == "win32":
        return _idle_windows()
    if sys.platform == "darwin":
        found = re.search(r'"HIDIdleTime" = (\d+)', _answer_of("ioreg", "-c", "IOHIDSystem"))
        return int(found[1]) / 1e9 if found else None
    session = os.environ.get("XDG_SESSION_ID")
    if not session:
        return None
    return idle_from_logind(
        _answer_of("loginctl", "show-session", session, "-p", "IdleHint", "-p", "IdleSinceHint")
    )


def idle_from_logind(answer: str) -> float | None:
    """Seconds from what `loginctl show-session` says (microseconds since the epoch); None if it says nothing."""
    said = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    if "IdleHint" not in said:
        return None
    since = said.get("IdleSinceHint", "")
    if said["IdleHint"] != "yes" or not since.isdigit():
        return 0.0
    return max(0.0, time.time() - int(since) / 1e6)


def free_bytes(folder: Path) -> int:
    """Room on the disk that holds `folder`, or the nearest folder above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def is_network(folder: Path) -> bool:
    """Whether `folder` lies on a network drive, whose changes no system reports."""
    here = os.path.realpath(folder)
    best, network = "", False
    for part in psutil.disk_partitions(all=True):
        mount = part.mountpoint.rstrip(os.sep) + os.sep
        if (here + os.sep).startswith(mount) and len(mount) > len(best):
            kind = part.fstype.lower()
            remote = (
                kind in NETWORK_KINDS or kind.startswith("fuse.sshfs") or "remote" in part.opts.split(",")
            )
            best, network = mount, remote
    return network or here.startswith("\\\\")


def _answer_of(*command: str) -> str:
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            [program, *command[1:]], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _idle_windows() -> float | None:
    import ctypes

    class LastInput(ctypes.Structure):
        """LASTINPUTINFO of winuser.h."""

        _fields_ = (("size", ctypes.c_uint), ("tick", ctypes.c_uint))

    last = LastInput(ctypes.sizeof(LastInput), 0)
    windll = getattr(ctypes, "windll")  # noqa: B009 - absent elsewhere, also for the type checker
    if not windll.user32.GetLastInputInfo(ctypes.byref(last)):
        return None
    ticks: int = windll.kernel32.GetTickCount() - last.tick
    return (ticks & 0xFFFFFFFF) / 1000  # the counter wraps after 49 days
