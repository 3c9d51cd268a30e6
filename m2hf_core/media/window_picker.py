"""The fast way to a frame: look ahead in the packets, then decode only what the asked frame depends on.

Packets tell, before anything is decoded, which picture will be on the screen at t. So whole stretches
between keyframes are skipped, pictures that no other refers to are not decoded, and long gaps are jumped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from m2hf_core.media.packets import VideoDecoder, read_packets

# H.264 and HEVC hold back at most 16 pictures: once 17 packets lie after t, no later one can lie before it.
_DEEPEST_REORDER = 17
# Bound of the look-ahead for files with a keyframe only at their start; beyond it packets are decoded unasked.
_PENDING_BYTES = 64 << 20
# Reading past packets costs less than a seek until about here (measured, see the README).
_WORTH_A_JUMP_S = 1


class TimestampsUnclear(Exception):  # noqa: N818 - a change of plan, not a failure
    """The packets do not tell which picture is shown when; the frames have to be decoded in order."""


class WindowPicker:
    """For containers with whole pictures per packet and a timestamp on each (MP4, MOV, Matroska, WebM)."""

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        video: VideoStream,
        decoder: VideoDecoder,
        asked: Sequence[int],
        *,
        seeks: bool,
    ) -> None:
        assert video.time_base is not None
        self._path, self._container, self._video, self._decoder = path, container, video, decoder
        self._asked = asked
        self._jump_ticks = int(_WORTH_A_JUMP_S / video.time_base) if seeks else None
        # MP4 stores decoding times; Matroska's are guesses, so there only the reorder bound counts.
        self._trust_dts = container.format.name.startswith("mov")
        self._packets = read_packets(path, container, video)
        self._pending: deque[Packet[VideoStream]] = deque()
        self._pending_bytes = 0
        self._fed: set[int] = set()
        self._ahead: deque[VideoFrame] = deque()
        self._shown: VideoFrame | None = None
        self._read_to: int | None = None
        self._keyframe: int | None = None
        self._ended = self._drained = False
        if seeks:
            self._load_index()
        # Always decode the first packet: some encoders put what the decoder must know only there (parameter
        # sets; x264's version, without which its older 4:4:4 streams come out as garbage).
        self._feed()

    def frame_at(self, tick: int) -> VideoFrame | None:
        self._jump(tick)
        self._look_ahead(tick)
        target = max((pts for pts in self._candidates() if pts <= tick), default=None)
        while not self._settled(tick, target) and self._feed():
            pass
        if self._shown is None and self._ahead:
            return self._ahead[0]
        if (
            target is not None
            and self._shown is not None
            and _pts(self._shown) < target
            and self._keyframe is not None
        ):
            # The asked picture never came out, and we began in the middle: maybe that was no true keyframe.
            raise TimestampsUnclear
        return self._shown

    def tick_of(self, frame: VideoFrame) -> int:
        return _pts(frame)

    def _candidates(self) -> Iterator[int]:
        """Timestamps of pictures that are known and not yet shown, and of the one shown now."""
        yield from (_pts(packet) for packet in self._pending if not packet.is_discard)
        yield from self._fed
        if self._shown is not None:
            yield _pts(self._shown)

    def _settled(self, tick: int, target: int | None) -> bool:
        while self._ahead and _pts(self._ahead[0]) <= tick:
            self._shown = self._ahead.popleft()
            self._fed = {pts for pts in self._fed if pts > _pts(self._shown)}
        if self._ahead:  # the first frame after t is out, so nothing before t is still to come
            return True
        return self._shown is not None and target is not None and _pts(self._shown) >= target

    def _look_ahead(self, tick: int) -> None:
        """Read packets until every picture at or before `tick` is known; drop what it cannot depend on."""
        after = sum(_pts(packet) > tick for packet in self._pending)
        while after < _DEEPEST_REORDER:
            packet = self._read()
            if packet is None:
                return
            pts = _pts(packet)
            after += pts > tick
            if packet.is_keyframe and not packet.is_discard and pts <= tick and self._pending:
                self._start_at(packet)
            else:
                self._append(packet)
            if self._trust_dts and packet.dts is not None and packet.dts > tick:
                return
            if self._pending_bytes > _PENDING_BYTES:
                self._feed()
                self._settled(tick, None)

    def _read(self) -> Packet[VideoStream] | None:
        packet = None if self._ended else next(self._packets, None)
        if packet is None:
            self._ended = True
            return None
        if packet.pts is None:
            raise TimestampsUnclear
        self._read_to = packet.pts if packet.dts is None else packet.dts
        return packet

    def _append(self, packet: Packet[VideoStream]) -> None:
        self._pending.append(packet)
        self._pending_bytes += packet.size

    def _start_at(self, packet: Packet[VideoStream]) -> None:
        """Forget everything before this keyframe."""
        self._pending.clear()
        self._pending_bytes = 0
        self._fed.clear()
        self._ahead.clear()
        self._decoder.flush()
        self._keyframe = packet.pts
        self._append(packet)

    def _feed(self) -> bool:
        """Decode one more packet; False when the file is exhausted."""
        if not self._pending:
            packet = self._read()
            if packet is not None:
                self._append(packet)
        if self._pending:
            packet = self._pending.popleft()
            self._pending_bytes -= packet.size
            skip = self._decoder.can_skip and self._is_unasked(packet)
            if not skip and not packet.is_discard:
                self._fed.add(_pts(packet))
            self._take(self._decoder.decode(packet, skip_unreferenced=skip))
            return True
        if self._drained:
            return False
        self._drained = True
        self._take(self._decoder.decode(None))
        return True

    def _take(self, frames: list[VideoFrame]) -> None:
        for frame in frames:
            if _pts(frame) == self._keyframe and not frame.key_frame:
                raise TimestampsUnclear
            self._ahead.append(frame)

    def _is_unasked(self, packet: Packet[VideoStream]) -> bool:
        """Whether it is certain that this picture is on the screen at none of the asked times."""
        if self._shown is None and not self._ahead:
            return False  # the first picture serves all times before it
        pts = _pts(packet)
        i = bisect_left(self._asked, pts)
        if i == len(self._asked):
            return True
        return any(pts < other <= self._asked[i] for other in self._candidates())

    def _load_index(self) -> None:
        """Matroska reads its table of keyframes only at the first seek."""
        try:
            self._container.seek(self._video.start_time or 0, stream=self._video)
        except (av.FFmpegError, OSError):
            self._jump_ticks = None
        self._packets = read_packets(self._path, self._container, self._video)

    def _jump(self, tick: int) -> None:
        """Continue at the last keyframe at or before `tick`, if that lies well ahead."""
        if self._jump_ticks is None or self._ended:
            return
        index = self._video.index_entries
        here = self._read_to if self._read_to is not None else self._video.start_time or 0
        at, jumped = tick, False
        while True:
            entry = index.search_timestamp(at)
            if entry < 0:
                if jumped:
                    raise TimestampsUnclear
                return
            landing = index[entry].timestamp
            if not jumped and landing <= here + self._jump_ticks:
                return
            first = self._seek(landing)
            if first is not None and _pts(first) <= tick:
                self._start_at(first)
                return
            # The index counts decoding times: this keyframe is shown only after t.
            at, jumped = landing - 1, True

    def _seek(self, tick: int) -> Packet[VideoStream] | None:
        """The first keyframe packet from `tick` on."""
        try:
            self._container.seek(tick, stream=self._video)
        except (av.FFmpegError, OSError) as error:
            raise TimestampsUnclear from error
        self._packets = read_packets(self._path, self._container, self._video)
        self._ended = False
        while (packet := self._read()) is not None:
            if packet.is_keyframe:
                return packet
        return None


def _pts(item: Packet[VideoStream] | VideoFrame) -> int:
    if item.pts is None:
        raise TimestampsUnclear
    return item.pts
