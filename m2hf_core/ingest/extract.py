"""One video file in, everything that search needs of it out; runs inside a worker process, without a database.

The picture is decoded once: the frame grid of CLIP and the denser grid of the motion extractor are merged, and every
decoded frame goes to whoever asked for it. Memory is bounded: no more than one batch of frames is held.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from m2hf_core.features import AudioExtractor, Extractors, ImageExtractor, MotionExtractor
from m2hf_core.media import iter_audio, probe, read_frames, read_subtitles, save_thumbnail, times_grid
from m2hf_core.progress import Progress
from m2hf_core.records import Feature, MediaInfo, Transcript
from m2hf_core.text import NounExtractor

FRAME_STEP_S = 1.0
BATCH = 8
"""Frames held before the image tower runs: 50 MB of full HD, and a sign of life after each batch on a slow CPU."""
POSTER_SIDE = 480
MOTION_SIDE = 256
"""Frames of a run are held at the size that S3D's own preprocessing begins with, not at the video's."""
EXAMPLE_STEP_S, EXAMPLE_WINDOW_S = 0.96, 0.975
"""An audio example covers 96 spectrogram frames; the last one of them looks 15 ms beyond its 0.96 s."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one pass over a file yields. `features` is keyed by extractor fingerprint."""

    info: MediaInfo
    features: dict[str, Feature]
    transcript: Transcript | None
    nouns: tuple[tuple[str, ...], ...]
    """One noun set per transcript line."""
    noun_mode: str
    noun_version: str
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds per stage."""


def extract(
    path: Path,
    extractors: Extractors,
    nouns: NounExtractor,
    wanted: frozenset[str],
    poster: Path,
    progress: Progress,
) -> Extraction:
    """Extract those of `wanted` (extractor fingerprints) that are awake, and the transcript.

    Raises `UnreadableMedia` for a file that cannot be decoded, `Interrupted` when cancelled.
    """
    clock = _Clock()
    progress.start("probe")
    with clock.stage("probe"):
        info = probe(path)
    clip = extractors.clip if extractors.clip and extractors.clip.fingerprint in wanted else None
    motion = extractors.motion if extractors.motion and extractors.motion.fingerprint in wanted else None
    audio = extractors.audio if extractors.audio and extractors.audio.fingerprint in wanted else None

    progress.start("frames", info.duration_s, "s")
    with clock.stage("frames"):
        features = _extract_frames(info, clip, motion, poster, progress)
    if audio is not None:
        progress.start("audio", info.duration_s, "s")
        with clock.stage("audio"):
            features[audio.fingerprint] = _extract_audio(info, audio, progress)
    progress.start("speech")
    with clock.stage("speech"):
        transcript = read_subtitles(path, info)
        lines = transcript.lines if transcript else ()
        language = transcript.language if transcript else None
        line_nouns = tuple(tuple(sorted(nouns(line.text, language))) for line in lines)
    return Extraction(info, features, transcript, line_nouns, nouns.mode, nouns.version, clock.seconds)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def _extract_frames(
    info: MediaInfo,
    clip: ImageExtractor | None,
    motion: MotionExtractor | None,
    poster: Path,
    progress: Progress,
) -> dict[str, Feature]:
    """Decode once; give each frame to the poster, the image tower and the motion extractor that asked for it."""
    clip_times = times_grid(info, FRAME_STEP_S) if clip else []
    collectors: list[_ImageCollector | _MotionCollector] = []
    if clip:
        collectors.append(_ImageCollector(clip, clip_times, info.duration_s))
    if motion:
        collectors.append(_MotionCollector(motion, info.duration_s))
    poster_s = clip_times[len(clip_times) // 3] if clip_times else 0.3 * info.duration_s
    times = sorted({poster_s}.union(*(collector.times for collector in collectors)))
    for frame in read_frames(info.path, times):
        if frame.asked_s == poster_s:
            save_thumbnail(frame.image, poster, POSTER_SIDE)
        for collector in collectors:
            collector.take(frame.asked_s, frame.image)
        progress.update(frame.asked_s, info.duration_s)
    return {collector.fingerprint: collector.finish() for collector in collectors}


class _ImageCollector:
    """Batches frames for the image tower; row i of its feature covers the i-th cell of the frame grid."""

    def __init__(self, tower: ImageExtractor, times: list[float], duration_s: float) -> None:
        self.fingerprint = tower.fingerprint
        self.times = frozenset(times)
        self._tower, self._duration_s = tower, duration_s
        self._waiting: list[npt.NDArray[np.uint8]] = []
        self._rows: list[npt.NDArray[np.float32]] = []

    def take(self, time_s: float, image: npt.NDArray[np.uint8]) -> None:
        if time_s not in self.times:
            return
        if self._waiting and image.shape != self._waiting[0].shape:
            self._encode()  # a stream may change its size halfway
        self._waiting.append(image)
        if len(self._waiting) >= BATCH:
            self._encode()

    def finish(self) -> Feature:
        self._encode()
        values = np.concatenate(self._rows) if self._rows else np.empty((0, self._tower.width), np.float32)
        return Feature(values, *grid_spans(len(values), FRAME_STEP_S, self._duration_s))

    def _encode(self) -> None:
        if self._waiting:
            self._rows.append(self._tower.encode(np.stack(self._waiting)))
            self._waiting = []


class _MotionCollector:
    """Gathers runs of frames at the motion extractor's rate, one run beginning every `step_s`."""

    def __init__(self, extractor: MotionExtractor, duration_s: float) -> None:
        self.fingerprint = extractor.fingerprint
        self._extractor, self._duration_s = extractor, duration_s
        count = max(1, int(np.ceil(duration_s / extractor.step_s - 1e-6)))
        offsets = np.arange(extractor.frames_per_clip) / extractor.fps
        self._runs: deque[list[float]] = deque()
        for number in range(count):
            run = [round(number * extractor.step_s + float(t), 6) for t in offsets]
            self._runs.append([t for t in run if t < duration_s] or run[:1])
        self.times = frozenset(t for run in self._runs for t in run)
        self._frames: dict[float, npt.NDArray[np.uint8]] = {}
        self._ready: list[npt.NDArray[np.uint8]] = []
        self._rows: list[npt.NDArray[np.float32]] = []

    def take(self, time_s: float, image: npt.NDArray[np.uint8]) -> None:
        if time_s not in self.times:
            return
        small = cv2.resize(image, (MOTION_SIDE, MOTION_SIDE), interpolation=cv2.INTER_AREA)
        self._frames[time_s] = np.asarray(small, np.uint8)
        while self._runs and self._runs[0][-1] <= time_s:
            self._close_run()

    def finish(self) -> Feature:
        while self._runs and any(t in self._frames for t in self._runs[0]):
            self._close_run()
        self._encode()
        values = (
            np.concatenate(self._rows) if self._rows else np.empty((0, self._extractor.width), np.float32)
        )
        return Feature(values, *grid_spans(len(values), self._extractor.step_s, self._duration_s))

    def _close_run(self) -> None:
        run = self._runs.popleft()
        frames = [self._frames[t] for t in run if t in self._frames]
        # A run at the end of the file is short: its last frame is held.
        frames += [frames[-1]] * (self._extractor.frames_per_clip - len(frames))
        self._ready.append(np.stack(frames))
        if len(self._ready) >= max(1, BATCH // self._extractor.frames_per_clip):
            self._encode()
        still_needed = self._runs[0][0] if self._runs else float("inf")
        for t in [t for t in self._frames if t < still_needed]:
            del self._frames[t]

    def _encode(self) -> None:
        if self._ready:
            self._rows.append(self._extractor.encode(np.stack(self._ready)))
            self._ready = []


def _extract_audio(info: MediaInfo, extractor: AudioExtractor, progress: Progress) -> Feature:
    """Run the audio extractor over blocks that overlap just so that no example is lost at a border."""
    parts: list[Feature] = []
    step, window = round(EXAMPLE_STEP_S * extractor.rate), round(EXAMPLE_WINDOW_S * extractor.rate)
    held = np.empty(0, np.float32)
    offset_s = 0.0
    for block in iter_audio(info.path, extractor.rate, block_s=30.0) if info.has_audio else ():
        held = np.concatenate([held, block])
        examples = (len(held) - window) // step + 1 if len(held) >= window else 0
        if examples:
            parts.append(extractor(held[: (examples - 1) * step + window], offset_s))
            held = held[examples * step :]
            offset_s += examples * step / extractor.rate
        progress.update(min(offset_s, info.duration_s), info.duration_s)
    if not parts:
        nothing = np.empty(0, np.float64)
        return Feature(np.empty((0, extractor.width), np.float32), nothing, nothing)
    return Feature(
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.start_s for p in parts]),
        np.concatenate([p.end_s for p in parts]),
    )


def grid_spans(
    count: int, step_s: float, duration_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Starts and ends [count] of consecutive cells of `step_s`, the last one cut at the video's end."""
    starts = np.arange(count, dtype=np.float64) * step_s
    ends = np.maximum(np.minimum(starts + step_s, duration_s), starts)
    if count:
        ends[-1] = max(duration_s, float(starts[-1]))
    return starts, ends
