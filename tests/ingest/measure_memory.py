"""How much memory one long file takes: extracts it and prints the peak.

Run by test_memory in a process of its own: `python measure_memory.py FILE`. The networks are stand-ins that
take and give arrays of the real sizes (ViT-B/16, S3D, VGGish) and cost nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from app.workers.memory import memory
from m2hf_core.features import Extractors
from m2hf_core.ingest.extract import Effort, extract_all
from m2hf_core.ingest.staging import write_staged
from m2hf_core.ingest.video import Request
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.text import NounExtractor

AHEAD_BYTES = 32 << 20
"""Little may lie decoded and waiting: how much is the scheduler's affair, and would hide growth with length."""


class Sight:
    fingerprint, width = "clip:none:0:1", 512

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return np.full((3, 224, 224), image.mean(), np.float32)

    def encode_prepared(self, prepared: np.ndarray) -> np.ndarray:
        return np.repeat(prepared[:, 0, 0, :1], self.width, axis=1)

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self.encode_prepared(np.stack([self.prepare(image) for image in images]))


class Movement:
    fingerprint, width, fps, frames_per_clip, step_s = "motion:none:0:1", 1024, 15.0, 16, 1.0

    def encode(self, clips: np.ndarray) -> np.ndarray:
        assert clips.shape[1:] == (16, 256, 256, 3)
        return np.repeat(clips[:, 0, 0, 0, :1].astype(np.float32), self.width, axis=1)


class Hearing:
    fingerprint, width, rate = "audio:none:0:1", 128, 16_000

    def __call__(self, waveform: np.ndarray, start_s: float = 0.0) -> Feature:
        starts = start_s + np.arange(0, len(waveform) - 15_600 + 1, 15_360) / self.rate
        return Feature(np.zeros((len(starts), self.width), np.float32), starts, starts + 0.96)


def main() -> None:
    path = Path(sys.argv[1])
    before = memory()[1]
    extractors, nouns = Extractors(Sight(), Hearing(), Movement()), NounExtractor()
    wanted = frozenset({Sight.fingerprint, Hearing.fingerprint, Movement.fingerprint, nouns.fingerprint})
    request = Request(path, wanted, path.with_suffix(".jpg"), Progress())
    (outcome,) = extract_all(iter([request]), extractors, nouns, Effort(ahead_bytes=AHEAD_BYTES))
    if outcome.extraction is None:
        raise outcome.error or RuntimeError("neither an extraction nor an error")
    found = outcome.extraction
    write_staged(found, path.with_suffix(".safetensors"))
    rows = {key.partition(":")[0]: len(feature.values) for key, feature in found.features.items()}
    json.dump({"before": before, "peak": memory()[1], "rows": rows, "s": found.info.duration_s}, sys.stdout)


if __name__ == "__main__":
    main()
