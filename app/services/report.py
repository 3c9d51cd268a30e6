"""`Report a problem`: what somebody who helps would ask for, in one file, without names of people, folders or videos.

It is written where the owner wishes and sent nowhere; the owner can look into it before giving it to anybody.
"""

from __future__ import annotations

import getpass
import io
import json
import platform
import re
import socket
import zipfile
from collections.abc import Sequence
from pathlib import Path

from app.services.doctor import examine
from app.services.library import Library
from m2hf_core.aside import explained, write_aside
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.store import folders

LOG = "window.log"
TAIL_BYTES = 200_000
"""Of the log: some thousand lines."""
IN_NAME = r"(?:[^\"'<>|\n]|'(?=\w))"
"""A sign of a path in a log line: up to the quote that closes it, else up to the last ending in the line."""
MEDIA = "mp4|m4v|mov|mkv|webm|avi|wmv|flv|mpg|mpeg|ts|mts|m2ts|3gp|ogv|srt|vtt"
SHORTEST_NAME = 3
"""Shorter user names would be found inside other words."""


class Redaction:
    """Replaces what tells who somebody is or what they film."""

    def __init__(self, watched: Sequence[Path]) -> None:
        longest_first = sorted({str(path) for path in watched}, key=len, reverse=True)
        self._rules: list[tuple[re.Pattern[str], str]] = []
        for number, folder in enumerate(longest_first, 1):
            for form in _forms(folder):
                below = re.compile(
                    re.escape(form) + rf"(?!\w)(?:[/\\](?:{IN_NAME}*(\.\w{{2,4}})\b|{IN_NAME}*))?"
                )
                self._rules.append((below, rf"<folder {number}>/…\1"))
        if len(Path.home().parts) > 1:
            for form in _forms(str(Path.home())):
                self._rules.append((re.compile(re.escape(form) + r"(?!\w)"), "~"))
        names = ((_user(), "<user>"), (socket.gethostname(), "<computer>"))
        self._rules.append((re.compile(rf"[^\n\"'/\\…:]{{1,255}}\.({MEDIA})\b", re.IGNORECASE), r"….\1"))
        for name, shown in names:
            if len(name) >= SHORTEST_NAME:
                self._rules.append((re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE), shown))

    def __call__(self, text: str) -> str:
        for pattern, shown in self._rules:
            text = pattern.sub(shown, text)
        return text


def _user() -> str:
    """Empty for one whom the system does not know by name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _forms(path: str) -> list[str]:
    """As it is, and on Windows also as JSON and Python write it."""
    return list(dict.fromkeys([path, path.replace("\\", "\\\\"), path.replace("\\", "/")]))


def write_report(library: Library, target: Path, progress: Progress) -> Path:
    """The zip file. Raises `KnownError` where it cannot be written, `DiskFull`, `Interrupted`."""
    with library.store.library.reading() as session:
        watched = [Path(row.path) for row in folders.list_folders(session)]
    clean = Redaction([*watched, library.paths.data])
    parts = {
        "program.txt": _program(),
        "settings.json": _settings(library.paths),
        "log.txt": _tail(library.paths),
    }
    progress.start("examine", 1, "findings")
    findings = examine(library.paths.data)
    progress.check()
    parts["doctor.json"] = json.dumps(
        [finding.document() for finding in findings], indent=1, ensure_ascii=False
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in parts.items():
            bundle.writestr(name, clean(text))
    if target.suffix.lower() != ".zip":
        target = target.with_name(f"{target.name}.zip")
    with explained(target, "Save it on another disk."):
        write_aside(target, content.getvalue())
    return target


def _program() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("m2hf-app")
    except PackageNotFoundError:
        number = "unknown"
    return f"m2hf-app {number}\n{platform.platform()}\nPython {platform.python_version()}\n"


def _settings(paths: Paths) -> str:
    try:
        described = Settings.load(paths).describe()
    except KnownError as error:
        return str(error)
    return json.dumps({row["id"]: row["value"] for row in described}, indent=1, ensure_ascii=False)


def _tail(paths: Paths) -> str:
    """The end of the window's log; empty where no window was ever open."""
    try:
        with (paths.data / LOG).open("rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
