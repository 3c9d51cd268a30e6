"""Which decoded frame goes to whom: the frame grid, the motion extractor's runs, the poster.

Each names the times it wants; the frames of all times come by once, in order, and each keeps what is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from m2hf_core.features import ImageExtractor, MotionExtractor
from m2hf_core.ingest.flat import is_flat
from m2hf_core.ingest.video import FRAME_STEP_S, Video
from m2hf_core.media import save_thumbnail, times_grid

POSTER_SIDE = 480
MOTION_SIDE = 256
"""Frames of a run are held at the size that S3D's own preprocessing begins with, not at the video's."""

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One cell of the frame grid: prepared for the image tower, and whole for the reader of text."""

    video: Video
    cell: int
    prepared: npt.NDArray[np.float32] | None
    image: Image | None

    @property
    def size(self) -> int:
        return sum(part.nbytes for part in (self.prepared, self.image) if part is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """The frames of one run, uint8 [t, 256, 256, 3]."""

    video: Video
    number: int
    frames: Image

    @property
    def size(self) -> int:
        return self.frames.nbytes


class Cells:
    """One frame per second; flat ones are passed over."""

    def __init__(self, video: Video, tower: ImageExtractor | None, reads_text: bool) -> None:
        self._video, self._tower, self._reads_text = video, tower, reads_text
        self.times = times_grid(video.known, FRAME_STEP_S) if tower is not None or reads_text else []

    def take(self, asked_s: float, image: Image) -> Iterator[Seen]:
        cell = self._video.cells
        if cell == len(self.times) or self.times[cell] != asked_s:
            return
        self._video.cells += 1
        if is_flat(image):
            return
        with self._video.timed("prepare"):
            prepared = self._tower.prepare(image) if self._tower is not None else None
        yield Seen(self._video, cell, prepared, image if self._reads_text else None)


class Runs:
    """Short runs of frames at the motion extractor's rate, one run beginning every `step_s`."""

    def __init__(self, video: Video, extractor: MotionExtractor) -> None:
        self._video, self._length = video, extractor.frames_per_clip
        self._step_s, self._duration_s = extractor.step_s, video.known.duration_s
        self._offsets = np.arange(extractor.frames_per_clip) / extractor.fps
        self._count = max(1, int(np.ceil(self._duration_s / self._step_s - 1e-6)))
        self._next = 0
        self._run = self._times_of(0)
        # As one array: a list of lists would take 80 MB for ten hours.
        every = np.round(np.arange(self._count)[:, None] * self._step_s + self._offsets, 6)
        within = np.unique(every[every < self._duration_s])
        self.times: list[float] = within.tolist() or [0.0]
        self._wanted = 0
        self._frames: dict[float, Image] = {}

    def take(self, asked_s: float, image: Image) -> Iterator[Moved]:
        if self._wanted == len(self.times) or self.times[self._wanted] != asked_s:
            return
        self._wanted += 1
        small = cv2.resize(image, (MOTION_SIDE, MOTION_SIDE), interpolation=cv2.INTER_AREA)
        self._frames[asked_s] = np.asarray(small, np.uint8)
        while self._next < self._count and self._run[-1] <= asked_s:
            yield self._close()

    def rest(self) -> Iterator[Moved]:
        """The run that the end of the file has cut short."""
        while self._next < self._count and any(t in self._frames for t in self._run):
            yield self._close()

    def _times_of(self, number: int) -> list[float]:
        run: list[float] = np.round(number * self._step_s + self._offsets, 6).tolist()
        return [t for t in run if t < self._duration_s] or run[:1]

    def _close(self) -> Moved:
        frames = [self._frames[t] for t in self._run if t in self._frames]
        # A run at the end of the file is short: its last frame is held.
        frames += [frames[-1]] * (self._length - len(frames))
        moved = Moved(self._video, self._next, np.stack(frames))
        self._next += 1
        self._run = self._times_of(self._next)
        for t in [t for t in self._frames if t < self._run[0]]:
            del self._frames[t]
        return moved


class Poster:
    """The picture that stands for the video: from its first third on, and no flat one where there is another."""

    def __init__(self, video: Video) -> None:
        self._target = video.request.poster
        grid = [] if self._target.is_file() else times_grid(video.known, FRAME_STEP_S)
        self.times = sorted({grid[len(grid) * part // 6] for part in (2, 3, 4)}) if grid else []
        self._flat: Image | None = None
        self._saved = not grid

    def take(self, asked_s: float, image: Image) -> None:
        if self._saved or asked_s < self.times[0]:
            return
        if is_flat(image):
            self._flat = image
        else:
            self._save(image)

    def rest(self) -> None:
        if not self._saved and self._flat is not None:
            self._save(self._flat)

    def _save(self, image: Image) -> None:
        save_thumbnail(image, self._target, POSTER_SIDE)
        self._saved, self._flat = True, None
