"""What commands share: their common options, JSON on stdout, and a progress line on stderr."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from app.cli.interrupts import stopped_by
from m2hf_core.progress import Progress, Snapshot

LOOK_EVERY_S = 0.1
_STEERING = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *(*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F),
        *(*range(0x2028, 0x202F), *range(0x2066, 0x206A)),
    )
    if chr(code) not in "\n\t"
}
Subparsers = Any
"""argparse's own type for this is private and generic in ways that differ between versions."""


def add_command(
    subparsers: Subparsers, name: str, summary: str, example: str, *, group: bool = False
) -> argparse.ArgumentParser:
    """A command with the options that every one of them takes; a `group` only holds further commands."""
    command: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=summary, epilog=f"Example: {example}"
    )
    if group:
        return command
    command.add_argument(
        "--data-dir",
        type=named_path,
        metavar="DIR",
        help="the library's data folder (default: M2HF_DATA_DIR, else the system's place for application data)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return command


def add_extraction(command: argparse.ArgumentParser, devices: str) -> None:
    """What to extract, with which networks, and where they run."""
    command.add_argument(
        "folders", nargs="*", type=named_path, metavar="FOLDER", help="default: every watched folder"
    )
    command.add_argument("--preset", help="which models to use (see: m2hf-app models list)")
    command.add_argument("--device", help=f"{devices} (default: the setting, auto)")


def named_path(text: str) -> Path:
    """A path that was named. An empty one, as an unset variable of a script leaves, would mean the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no file or folder")
    return Path(text)


def print_json(document: Any) -> None:
    """One JSON document on stdout. Paths that are no valid text are written with escapes, never refused."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    _put(sys.stdout, json.dumps(document, indent=1, ensure_ascii=plain, default=str))


def write(text: str = "") -> None:
    """A line on stdout for a person, who sees a name's control characters instead of having them obeyed."""
    _put(sys.stdout, visible(text))


def say(text: str) -> None:
    """A line on stderr: notices that are no part of the answer."""
    _put(sys.stderr, visible(text))


def visible(text: str) -> str:
    """Escapes for what would steer a terminal or turn the order of letters round; words of any script stay."""
    return text.translate(_STEERING)


def _put(stream: TextIO, text: str) -> None:
    """A line that cannot fail on a character that the stream's encoding lacks."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


@contextmanager
def shown_progress(*signals: str) -> Iterator[Progress]:
    """A `Progress` whose state is drawn on stderr ten times a second, if that is a terminal.

    Ctrl-C cancels it, and so do these further signals.
    """
    with stopped_by("SIGINT", *signals) as progress, _drawn(progress):
        yield progress


@contextmanager
def _drawn(progress: Progress) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawer = threading.Thread(target=_draw, args=(progress, over), name="progress", daemon=True)
    drawer.start()
    try:
        yield
    finally:
        over.set()
        drawer.join()


def _draw(progress: Progress, over: threading.Event) -> None:
    width = 0
    while not over.wait(LOOK_EVERY_S):
        line = progress_line(progress.snapshot())
        sys.stderr.write("\r" + line.ljust(width))
        sys.stderr.flush()
        width = len(line)
    sys.stderr.write("\r" + " " * width + "\r")


def progress_line(now: Snapshot) -> str:
    """`index   12.0 of 60.0 s   3.1 s/s   0:15 left`, leaving out what is not known yet."""
    parts = [now.stage]
    if now.total > 0:
        parts.append(f"{now.done:.0f} of {now.total:.0f} {now.unit}".rstrip())
        if now.rate > 0:
            parts.append(f"{now.rate:.1f} {now.unit}/s" if now.unit != "s" else f"{now.rate:.1f} x real time")
    elif now.done > 0:
        parts.append(f"{now.done:.0f} {now.unit}".rstrip())
    if now.left_s is not None and now.done < now.total:
        parts.append(f"{clock(now.left_s)} left")
    return "   ".join(part for part in parts if part)


def clock(seconds: float) -> str:
    """Seconds as 0:42, 12:05 or 1:02:03."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def moment(seconds: float) -> str:
    """A place in a video, as 0:42.3."""
    return f"{clock(seconds)}.{int(seconds * 10) % 10}"
