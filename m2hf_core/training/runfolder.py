"""The folder of one run: what was asked, where it ran, every step's figures, and checkpoints that survive a kill.

```
config.json       settings and data; a run goes on only with the same ones
environment.json  versions and machine
metrics.jsonl     a line per step and per validation
events/           the same for TensorBoard
last.pt           everything to go on exactly where the run was
best.safetensors  the scorer of the best epoch; best-clip.safetensors beside it where CLIP learnt too
report.md, report.html
```
"""

from __future__ import annotations

import io
import json
import os
import pickle
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from m2hf_core.aside import explained, sweep, write_aside
from m2hf_core.errors import BadModelFile, KnownError, UsageError

CONFIG, ENVIRONMENT, METRICS, EVENTS = "config.json", "environment.json", "metrics.jsonl", "events"
LAST, BEST, BEST_CLIP, LOCK = "last.pt", "best.safetensors", "best-clip.safetensors", "run.lock"
GOES_ON = "Free some space and repeat the command: it goes on from the last checkpoint."
_PACKAGES = ("m2hf-app", "torch", "open_clip_torch", "numpy", "safetensors")


class RunFolder:
    """Held by one process at a time (`KnownError` when another has it); use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        with explained(self.path, GOES_ON):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        if not _try_lock(self._lock):
            pid = os.read(self._lock, 32).decode("ascii", "replace").strip()
            os.close(self._lock)
            self._lock = None
            raise KnownError(
                f"Another process{f' ({pid})' if pid else ''} is training into {self.path}.",
                "Wait until it has finished, or give this run a folder of its own.",
            )
        sweep(self.path)
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)  # which frees the lock
            self._lock = None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write what this run is; `UsageError` when the folder holds a run of something else."""
        plain = json.loads(json.dumps(config))
        path = self.path / CONFIG
        if path.is_file():
            former = read_json(path)
            if differing := _differing(former, plain):
                raise UsageError(
                    f"{self.path} holds a run with another {differing[0]}.",
                    "Give this run a folder of its own, or repeat the old command to go on with the old run.",
                )
            return
        self.write_json(CONFIG, plain)
        self.write_json(ENVIRONMENT, environment())

    def write_json(self, name: str, document: object) -> None:
        self.write(name, (json.dumps(document, indent=1) + "\n").encode())

    def write(self, name: str, content: bytes) -> None:
        """Aside and renamed, so that a reader never meets half a file. Raises `DiskFull`."""
        with explained(self.path / name, GOES_ON):
            write_aside(self.path / name, content)

    def save_last(self, state: Mapping[str, Any]) -> None:
        """Everything to go on from; the former checkpoint stays whole until this one is. Raises `DiskFull`."""
        content = io.BytesIO()
        torch.save(dict(state), content)
        self.write(LAST, content.getvalue())

    def load_last(self) -> dict[str, Any] | None:
        """The last checkpoint, on the CPU; None before the first. Nothing is unpickled but tensors and plain values."""
        path = self.path / LAST
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise BadModelFile(
                f"The checkpoint {path} is damaged.", "Delete it to begin this run again.", str(error)
            ) from error
        return state


def read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KnownError(
            f"{path} cannot be read.", "Give this run a folder of its own.", str(error)
        ) from error
    return document


def environment() -> dict[str, Any]:
    """What figures depend on besides settings and data."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "command": sys.argv,
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _differing(former: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name in sorted({*former, *now}):
        a, b = former.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            names += _differing(a, b, f"{prefix}{name}.")
        elif a != b:
            names.append(f"{prefix}{name}")
    return names


def in_use(path: Path) -> bool:
    """Whether a process trains into this folder now."""
    try:
        file = os.open(path / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(file)
    finally:
        os.close(file)  # which also lets go of the lock


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # one byte far behind the pid, which others may read
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(file, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
