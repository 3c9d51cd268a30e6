"""Opening a media file as what it is, untrusted input: from an open file object, with a list of allowed formats.

FFmpeg never sees a path. It cannot mistake one for an address or a pattern, and what a file's content asks
it to open (a playlist's parts, a referenced track) is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from m2hf_core.media import reasons

# Containers that hold their media themselves. Playlists (hls, dash, concat), capture devices, picture
# sequences and generators stay out: they read other files, the network or the screen.
_FORMATS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,av1,obu,ivf,mjpeg,flv,live_flv,ogg,asf,rm,mxf,gxf,dv,nut,"
    "wtv,yuv4mpegpipe,vc1,h261,h263,swf,gif,apng,"
    "mp3,wav,flac,aac,aiff,amr,ac3,eac3,w64,caf,ape,wv,tta,au"
)
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}

_STILL = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
)

MICROSECOND = Fraction(1, 1_000_000)


class _NamelessFile:
    """What FFmpeg gets: bytes without a name, so that no file name can steer it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._at = 0

    def read(self, count: int) -> bytes:
        data = os.read(self._descriptor, count)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = os.lseek(self._descriptor, base + offset, os.SEEK_SET)
        return self._at

    def tell(self) -> int:
        return self._at


@contextmanager
def open_media(path: Path | str) -> Iterator[InputContainer]:
    """The opened container; closed, with its file, on leaving.

    Raises `UnreadableMedia` for everything that is wrong with the file itself.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise reasons.no_file(path)
        if status.st_size == 0:
            raise reasons.empty()
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise reasons.explain(path, error) from error
    with file:
        try:
            container = av.open(
                _NamelessFile(file.fileno()), mode="r", options=_OPTIONS, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise reasons.explain(path, error) from error
        with container:
            yield container


def zero_of(container: InputContainer) -> Fraction:
    """Where the timeline begins, in the container's own clock, in seconds.

    All times of this package count from here: the earliest start among the file's tracks, which is what
    players show as 0:00. Files without any timestamps begin at zero.
    """
    return Fraction(0) if container.start_time is None else container.start_time * MICROSECOND


def pick_video(container: InputContainer) -> VideoStream:
    """The video track that a player would show: the default one, else the first; never a cover picture.

    Raises `UnreadableMedia` when there is none or it has no decoder.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not moving:
        raise reasons.no_video(container.format.name)
    moving.sort(key=lambda stream: not stream.disposition & Disposition.default)
    decodable = [stream for stream in moving if _has_decoder(stream)]
    if not decodable:
        raise reasons.no_decoder(container.format.name)
    return decodable[0]


def pick_audio(container: InputContainer) -> av.AudioStream | None:
    """The default sound track that can be decoded, else the first, else None."""
    streams = [stream for stream in container.streams.audio if _has_decoder(stream)]
    streams.sort(key=lambda stream: not stream.disposition & Disposition.default)
    return streams[0] if streams else None


def _has_decoder(stream: Stream) -> bool:
    # PyAV types the context as always there; it is None for a codec that this build cannot decode.
    context: object = stream.codec_context
    return context is not None


def language_of(stream: Stream) -> str | None:
    """The ISO 639 code in the track's metadata; None where it says nothing ("und")."""
    language = (stream.language or "").strip().lower()
    return language if language not in ("", "und", "unk", "zxx") else None
