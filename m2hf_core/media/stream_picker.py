"""The sure way to a frame: decode everything in order and trust only the order of showing.

For containers whose packets are not whole pictures with their own timestamps (transport and program
streams, AVI, Ogg, raw video), and as the reference for the faster way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from m2hf_core.media.packets import VideoDecoder, read_packets

# Every picture of these carries its own timestamp, so decoding may start in the middle.
_SEEKABLE = frozenset({"mpegts", "flv"})
# Jump only over gaps that take longer to decode than to find a place in.
_WORTH_A_JUMP_S = 20
# How far before the asked time to land at first; doubled until a keyframe comes before it.
_FIRST_MARGIN_S = 5


class Clock:
    """Timestamps of frames in the order of showing, repaired: missing and backward ones are estimated.

    Pictures come out of the decoder in the right order even where the container's timestamps are not
    (AVI stores none, and what is guessed for it goes back and forth). Follows whichever of presentation
    and decoding timestamps has gone wrong less often, and never runs backwards.
    """

    def __init__(self) -> None:
        self._pts: int | None = None
        self._dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0
        self._last: int | None = None
        self._step = 1

    def read(self, frame: VideoFrame) -> int:
        """The frame's time in ticks, at or after the former frame's."""
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += self._dts is not None and dts <= self._dts
            self._dts = dts
        if pts is not None:
            self._faulty_pts += self._pts is not None and pts <= self._pts
            self._pts = pts
        time = pts if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts) else dts
        if time is None:
            time = 0 if self._last is None else self._last + self._step
        if self._last is not None:
            time = max(time, self._last)
        self._step = frame.duration or self._step
        self._last = time
        return time


class StreamPicker:
    """Decodes from the start (or, after a long gap in some containers, from the keyframe before the time)."""

    def __init__(
        self, path: Path, container: InputContainer, video: VideoStream, decoder: VideoDecoder, *, seeks: bool
    ) -> None:
        assert video.time_base is not None
        self._path, self._container, self._video, self._decoder = path, container, video, decoder
        self._second = 1 / video.time_base
        self._seeks = seeks and container.format.name in _SEEKABLE
        self._frames = self._decode()
        self._shown: tuple[int, VideoFrame] | None = None
        self._next = next(self._frames, None)

    def frame_at(self, tick: int) -> VideoFrame | None:
        if self._seeks and self._next is not None and tick - self._next[0] > _WORTH_A_JUMP_S * self._second:
            self._jump(tick)
        while self._next is not None and self._next[0] <= tick:
            self._shown, self._next = self._next, next(self._frames, None)
        if self._shown is None:
            self._shown, self._next = self._next, next(self._frames, None)
        return None if self._shown is None else self._shown[1]

    def tick_of(self, frame: VideoFrame) -> int:
        assert self._shown is not None
        assert self._shown[1] is frame
        return self._shown[0]

    def _decode(self) -> Iterator[tuple[int, VideoFrame]]:
        clock = Clock()
        for packet in read_packets(self._path, self._container, self._video):
            for frame in self._decoder.decode(packet):
                yield clock.read(frame), frame
        for frame in self._decoder.decode(None):
            yield clock.read(frame), frame

    def _jump(self, tick: int) -> None:
        """Continue at a keyframe at or before `tick`; back to the former place if none is found after it."""
        assert self._next is not None
        here, margin = self._next[0], _FIRST_MARGIN_S
        while (landing := tick - int(margin * self._second)) > here:
            if not self._seek(landing):
                break
            found = next((timed for timed in self._frames if timed[1].key_frame), None)
            if found is not None and here < found[0] <= tick:
                self._next = found
                return
            margin *= 2
        # Nothing between here and there: read on from the start, which always works.
        self._seek(self._video.start_time or 0)
        self._next = next(self._frames, None)

    def _seek(self, tick: int) -> bool:
        try:
            self._container.seek(tick, stream=self._video)
        except (av.FFmpegError, OSError):
            return False
        self._decoder.flush()
        self._frames = self._decode()
        return True
