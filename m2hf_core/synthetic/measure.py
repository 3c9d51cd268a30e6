"""Measures how fast synthetic clips are made: `python -m m2hf_core.synthetic.measure` prints one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from m2hf_core.synthetic.captions import captions
from m2hf_core.synthetic.files import render_library
from m2hf_core.synthetic.picture import frames
from m2hf_core.synthetic.sound import sound
from m2hf_core.synthetic.specs import DURATION_S, FRAME_RATE, FRAME_SIZE, ClipSpec, draw_specs
from m2hf_core.synthetic.speech import transcript

_SOUND_RATE = 16_000
_TINY = 64


def measure(labels: int, arrays: int, files: int, workers: int) -> dict[str, object]:
    """Clips per second of wall clock for labels, arrays and files, beside what is asked of them."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    specs = draw_specs("train", max(arrays, files), seed=0)
    times = np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE
    tiny_times = np.arange(64) / 16
    frames(specs[0], [0.0])  # The first call paints the sprites, once per process.

    def draw_labels() -> None:
        for spec in draw_specs("train", labels, seed=0):
            captions(spec)
            transcript(spec)

    def draw_arrays(moments: np.ndarray[tuple[int], np.dtype[np.float64]], size: int) -> None:
        for spec in specs[:arrays]:
            frames(spec, moments, size)
            sound(spec, _SOUND_RATE)

    figures = (
        _timed("labels_and_captions", labels, draw_labels)
        | _timed("arrays_224px_96_frames_and_sound", arrays, lambda: draw_arrays(times, FRAME_SIZE))
        | _timed("arrays_64px_64_frames_and_sound", arrays, lambda: draw_arrays(tiny_times, _TINY))
        | _timed("files", files, lambda: _render(specs[:files], workers))
    )
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_at_start": load,
            "python": platform.python_version(),
        },
        "sizes": {"labels": labels, "arrays": arrays, "files": files, "workers": workers},
        "figures": figures,
        "against": {"labels_and_captions_per_s": 1000, "files_per_s": 20},
    }


def _timed(name: str, clips: int, work: Callable[[], None]) -> dict[str, float]:
    """Clips per second of wall clock, and processor time per clip, which a busy machine distorts less."""
    began, spent = time.perf_counter(), sum(os.times()[:4])
    work()
    return {
        f"{name}_per_s": round(clips / (time.perf_counter() - began), 1),
        f"{name}_cpu_ms": round((sum(os.times()[:4]) - spent) / clips * 1000, 2),
    }


def _render(specs: list[ClipSpec], workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        render_library(specs, Path(folder), workers)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=5000, help="clips whose labels and captions are drawn")
    parser.add_argument("--arrays", type=int, default=100, help="clips drawn as arrays")
    parser.add_argument(
        "--files", type=int, default=400, help="clips written as files, start of the workers included"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that write files")
    asked = parser.parse_args()
    report = measure(asked.labels, asked.arrays, asked.files, asked.workers)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    _main()
