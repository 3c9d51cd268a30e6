"""Pictures at asked times, by the container's timestamps: which frame was on the screen at t?

Never frame number over frame rate: phones, screen recorders and streams change their rate as they go.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from m2hf_core.media import reasons
from m2hf_core.media.container import MICROSECOND, open_media, pick_video, zero_of
from m2hf_core.media.packets import VideoDecoder
from m2hf_core.media.picture import Image, Painter
from m2hf_core.media.stream_picker import StreamPicker
from m2hf_core.media.window_picker import TimestampsUnclear, WindowPicker

THREADS = min(4, os.cpu_count() or 1)
"""Decoder threads unless told otherwise; frame threads gain little beyond four and hold a picture each."""

Strategy = Literal["auto", "stream", "skip", "seek"]

# Containers that store whole pictures per packet, each with its own trustworthy timestamp.
_EXACT_PACKETS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The picture shown at `asked_s`, which appeared at `pts_s`; both count from the timeline's zero.

    `image` is uint8 [H, W, 3] RGB; frames for several times within one picture share the same array.
    """

    asked_s: float
    pts_s: float
    image: Image


class Picker(Protocol):
    """Finds the decoded frame for one time after another; times never go back."""

    def frame_at(self, tick: int) -> VideoFrame | None:
        """The last frame at or before `tick`, the first frame if all come later, None if nothing decodes."""

    def tick_of(self, frame: VideoFrame) -> int:
        """When that frame appeared, in the stream's time base."""


def read_frames(
    path: Path | str,
    times_s: Sequence[float],
    *,
    max_side: int | None = None,
    threads: int = THREADS,
    strategy: Strategy = "auto",
) -> Iterator[Frame]:
    """The frame shown at each of `times_s` (seconds from the timeline's zero, ascending), one by one.

    That is the last frame with a timestamp at or before the time (to the microsecond), or the first frame
    for a time before it. `max_side` bounds the longer side in pixels. Damaged packets are skipped: the
    last good frame stands in for what cannot be decoded. All strategies give the same frames: "stream"
    decodes everything, "skip" only what the asked frames depend on, "seek" moreover jumps over what lies
    between; "auto" takes the fastest that the container allows.

    Raises `UnreadableMedia` when the file cannot be opened or nothing in it decodes, `ValueError` for
    times that are not ascending.
    """
    if any(later < earlier for earlier, later in pairwise(times_s)):
        raise ValueError("asked times must ascend")
    if not all(math.isfinite(time) for time in times_s):
        raise ValueError("asked times must be finite")
    return _read(Path(path), times_s, max_side, threads, strategy)


def _read(
    path: Path, times_s: Sequence[float], max_side: int | None, threads: int, strategy: Strategy
) -> Iterator[Frame]:
    answered = 0
    with open_media(path) as container:
        video = pick_video(container)
        base, zero = video.time_base, zero_of(container)
        assert base is not None
        ticks = [math.floor((Fraction(time) + zero + MICROSECOND) / base) for time in times_s]
        decoder = VideoDecoder(video, threads)
        painter = Painter(video, max_side)
        last: tuple[int, Image] | None = None
        try:
            picker = _picker(path, container, video, decoder, ticks, strategy)
            for time, tick in zip(times_s, ticks, strict=True):
                found = picker.frame_at(tick)
                if found is None:
                    raise reasons.nothing_decodes(decoder.last_failure)
                shown_at = picker.tick_of(found)
                if last is None or last[0] != shown_at:
                    last = (shown_at, painter.paint(found))
                yield Frame(time, float(shown_at * base - zero), last[1])
                answered += 1
            return
        except TimestampsUnclear:
            pass  # the rest is read below, the slow and sure way
    yield from _read(path, times_s[answered:], max_side, threads, "stream")


def _picker(
    path: Path,
    container: InputContainer,
    video: VideoStream,
    decoder: VideoDecoder,
    ticks: Sequence[int],
    strategy: Strategy,
) -> Picker:
    if strategy == "stream":
        return StreamPicker(path, container, video, decoder, seeks=False)
    if container.format.name in _EXACT_PACKETS:
        return WindowPicker(path, container, video, decoder, ticks, seeks=strategy != "skip")
    return StreamPicker(path, container, video, decoder, seeks=strategy != "skip")
