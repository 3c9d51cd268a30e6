"""A worker whose networks are a few means, so that starting one costs a hundredth; it keeps appointments with death.

Everything else in it is the real one: pipe, pipeline, decoding, staging. What shall happen to which file stands in
`plan.json` beside the staging folder: {file name: [stage, action]}; each happens once and is noted in `struck.log`.
Actions: a signal's name; `hang`; `memory` (raised in the forward pass); `wait` until `go` lies beside the plan.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from app.workers import worker
from m2hf_core import features
from m2hf_core.features import Extractors
from m2hf_core.records import Feature
from m2hf_core.text import NounExtractor

NOUNS = NounExtractor()
NOUNS(
    "A gull stole his sandwich.", None
)  # its word lists are read once, by the server that workers come from


class Sight:
    fingerprint, width = "clip:light:0:1", 8

    def __init__(self, book: Book) -> None:
        self._book = book

    def prepare(self, image: np.ndarray) -> np.ndarray:
        small = image[:: max(1, image.shape[0] // 8), :: max(1, image.shape[1] // 8)][:8, :8]
        return np.resize(small, (8, 8, 3)).transpose(2, 0, 1).astype(np.float32)

    def encode_prepared(self, prepared: np.ndarray) -> np.ndarray:
        self._book.meet("forward")
        return prepared.mean(axis=(1, 2)).astype(np.float32) + 1.0

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self.encode_prepared(np.stack([self.prepare(image) for image in images]))


class Hearing:
    fingerprint, width, rate = "audio:light:0:1", 4, 16_000

    def __call__(self, waveform: np.ndarray, start_s: float = 0.0) -> Feature:
        starts = range(0, len(waveform) - 15_600 + 1, 15_360)
        rows = [[float(np.abs(waveform[at : at + 15_600]).mean())] * 4 for at in starts]
        at = np.asarray([start_s + start / self.rate for start in starts])
        return Feature(np.asarray(rows, np.float32).reshape(-1, 4), at, at + 0.96)


class Book:
    """What was planned for whom, and what has happened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        plan = folder / "plan.json"
        self._plan: dict[str, list[str]] = json.loads(plan.read_text()) if plan.is_file() else {}
        self.begun: list[str] = []

    def meet(self, stage: str) -> None:
        """The last file that has begun enters `stage`; a forward pass may be that of any that has."""
        log = self._folder / "struck.log"
        struck = {line.split()[0] for line in log.read_text().splitlines()} if log.is_file() else set()
        for file in self.begun if stage == "forward" else self.begun[-1:]:
            planned, action = self._plan.get(file, ("", ""))
            if planned == stage and file not in struck:
                with log.open("a") as stream:
                    stream.write(f"{file} {stage} {action}\n")
                self._act(action)
                return

    def _act(self, action: str) -> None:
        if action == "hang":
            time.sleep(3600)
        elif action == "memory":
            raise MemoryError("no room for this batch")
        elif action == "wait":
            until = time.monotonic() + 60
            while not (self._folder / "go").exists() and time.monotonic() < until:
                time.sleep(0.02)
        else:
            os.kill(os.getpid(), signal.Signals[action])
            time.sleep(60)  # a signal may take a moment


def begin(pipe: Any, config: Any) -> None:
    """In place of the worker's own first steps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody wants fifty core dumps
    book = Book(config.staging.parent)
    original = worker._BeatingProgress.start

    def start(self: Any, stage: str, total: float = 0.0, unit: str = "") -> None:
        original(self, stage, total, unit)
        name = self.task.path.name
        book.begun = [*(other for other in book.begun if other != name), name]
        book.meet(stage)

    worker._BeatingProgress.start = start  # type: ignore[method-assign]
    torch = types.ModuleType("torch")
    torch.set_num_threads = lambda count: None  # type: ignore[attr-defined]
    device = types.ModuleType("m2hf_core.features.device")
    device.resolve_device = lambda asked: "cpu"  # type: ignore[attr-defined]
    sys.modules |= {"torch": torch, "m2hf_core.features.device": device}
    sight: Any = Sight(book)
    features.load_extractors = lambda preset, device="cpu", **_: Extractors(sight, Hearing(), None)
    import m2hf_core.text as text

    text.load_nouns = lambda: NOUNS
    worker.worker_main(pipe, config)
