"""Reading packets and decoding them without stopping at the first damaged one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from m2hf_core.media import reasons

S = TypeVar("S", bound=Stream)

# A demuxer that fails this often is not going to find the next good packet.
_DEMUX_FAILURES = 32

# 16K. A header that claims more would cost gigabytes per picture; such packets fail to decode instead.
_LARGEST_PICTURE = 1 << 27

# Where a picture that nothing refers to is marked so reliably that leaving it out changes no other picture.
# Not HEVC: its "non-reference" pictures may still be referred to from a higher temporal layer.
_SKIPPABLE = frozenset({"h264", "mpeg4", "mpeg2video"})

# FFmpeg's own VP8 and VP9 decoders ignore the transparency that WebM carries beside the picture; libvpx reads it.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def read_packets(path: Path, container: InputContainer, *streams: S) -> Iterator[Packet[S]]:
    """The packets that carry data, from the present position to the end.

    A damaged stretch is stepped over where the demuxer can, else it ends the file there. Raises
    `UnreadableMedia` when the drive fails, because then the file may be perfectly good.
    """
    for _ in range(_DEMUX_FAILURES):
        try:
            for packet in container.demux(*streams):
                if packet.size > 0:
                    yield cast("Packet[S]", packet)
        except av.FFmpegError:
            continue
        except IndexError:
            # The end, reached with more tracks than at the beginning (damaged transport streams announce
            # new ones on the way): PyAV stumbles over them after the last packet.
            return
        except OSError as error:
            raise reasons.explain(path, error) from error
        return


class VideoDecoder:
    """One video track's decoder: bad packets are counted and skipped, threads are bounded."""

    def __init__(self, stream: VideoStream, threads: int) -> None:
        self._context = stream.codec_context
        name = self._context.name
        if stream.metadata.get("alpha_mode") == "1" and _ALPHA_DECODERS.get(name) in av.codecs_available:
            self._context = cast(VideoCodecContext, av.CodecContext.create(_ALPHA_DECODERS[name], "r"))
        self._context.options = {"max_pixels": str(_LARGEST_PICTURE)}
        self._context.thread_count = threads
        self._context.thread_type = "AUTO"
        self.can_skip = name in _SKIPPABLE
        self.failures = 0
        self.last_failure = ""

    def decode(
        self, packet: Packet[VideoStream] | None, *, skip_unreferenced: bool = False
    ) -> list[VideoFrame]:
        """Frames in the order of showing; None drains what the decoder still holds.

        With `skip_unreferenced` the packet may yield nothing if no other picture depends on it.
        """
        if self.can_skip:
            self._context.skip_frame = "NONREF" if skip_unreferenced else "DEFAULT"
        try:
            return self._context.decode(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            self.failures += 1
            self.last_failure = f"{type(error).__name__}: {error}"
            return []

    def flush(self) -> None:
        """Forget everything fed so far, before packets from another place."""
        self._context.flush_buffers()
