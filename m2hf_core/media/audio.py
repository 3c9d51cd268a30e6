"""Sound as one channel on the pictures' timeline: sample i is heard at i / rate seconds after the zero."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from m2hf_core.media.container import MICROSECOND, open_media, pick_audio, zero_of
from m2hf_core.media.packets import read_packets

Samples = npt.NDArray[np.float32]

# Containers round timestamps to milliseconds and packets to frames; only what lies beyond is a gap.
_JITTER_S = Fraction(1, 20)
# A timestamp this far behind the file's end is damaged; believing it would mean hours of silence.
_BEYOND_END_S = 60
_LONGEST_GUESS_S = 3600
# PyAV finds a frame's planes by looking for a null pointer, which eight of them leave no room for: reading
# such a frame directly crashes the process, so it is first packed into one plane.
_UNSAFE_PLANES = 8
# Samples are joined to about a second before they are resampled: less work per packet.
_JOIN_S = 1


def read_audio(path: Path | str, rate: int) -> Samples:
    """float32 [n] in -1..1, mono at `rate` Hz, from the timeline's zero; empty without a sound track.

    230 MB per hour at 16 kHz: for long files use `iter_audio`. Raises `UnreadableMedia`.
    """
    blocks = list(iter_audio(path, rate, 60.0))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def iter_audio(path: Path | str, rate: int, block_s: float) -> Iterator[Samples]:
    """The same samples in consecutive blocks of `block_s` seconds, the last one shorter; bounded memory.

    Channels are averaged. Silence stands before a track that starts late, in gaps between timestamps and
    for packets that do not decode; what lies before the zero, or overlaps, is cut.
    """
    size = round(block_s * rate)
    if rate <= 0 or size <= 0:
        raise ValueError(f"rate and block_s must be positive, not {rate} and {block_s}")
    return _in_blocks(_resampled(Path(path), rate), size)


def _in_blocks(chunks: Iterator[Samples], size: int) -> Iterator[Samples]:
    held: list[Samples] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk)
        if count >= size:
            joined = np.concatenate(held)
            whole = count - count % size
            yield from (joined[i : i + size] for i in range(0, whole, size))
            held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)


def _resampled(path: Path, rate: int) -> Iterator[Samples]:
    resampler: AudioResampler | None = None
    source_rate = 0
    for chunk_rate, chunk in _joined(_timeline(path)):
        if chunk_rate == rate:
            yield chunk
            continue
        if resampler is None or chunk_rate != source_rate:
            if resampler is not None:
                yield from _mono(resampler.resample(None))
            resampler, source_rate = AudioResampler(format="fltp", layout="mono", rate=rate), chunk_rate
        frame = AudioFrame.from_ndarray(chunk[None, :], format="fltp", layout="mono")
        frame.sample_rate = chunk_rate
        yield from _mono(resampler.resample(frame))
    if resampler is not None:
        yield from _mono(resampler.resample(None))


def _joined(pieces: Iterator[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    held: list[Samples] = []
    held_rate = count = 0
    for rate, piece in pieces:
        if held and (rate != held_rate or count >= _JOIN_S * held_rate):
            yield held_rate, np.concatenate(held)
            held, count = [], 0
        held.append(piece)
        held_rate, count = rate, count + len(piece)
    if held:
        yield held_rate, np.concatenate(held)


def _timeline(path: Path) -> Iterator[tuple[int, Samples]]:
    """(source rate, samples) without gap or overlap from the zero on."""
    with open_media(path) as container:
        stream = pick_audio(container)
        if stream is None:
            return
        zero, limit = zero_of(container), _believable_end(container)
        at, mixer = Fraction(0), _Mixer()
        for frame in _decoded(path, container, stream):
            rate, samples = frame.sample_rate, mixer.mix(frame)
            begins = _begin(frame, stream, zero, at, limit)
            silence = round((begins - at) * rate)
            while silence > 0:
                piece = min(silence, rate)
                yield rate, np.zeros(piece, np.float32)
                silence, at = silence - piece, at + Fraction(piece, rate)
            samples = samples[-silence:] if silence < 0 else samples
            if len(samples):
                yield rate, samples
                at += Fraction(len(samples), rate)


def _begin(frame: AudioFrame, stream: AudioStream, zero: Fraction, at: Fraction, limit: Fraction) -> Fraction:
    """Where the frame belongs, in seconds; `at` (no gap) where its timestamp is missing, near enough or absurd."""
    base = frame.time_base or stream.time_base
    if frame.pts is None or base is None:
        return at
    begins = frame.pts * base - zero
    near = at > 0 and abs(begins - at) <= _JITTER_S
    return at if near or begins > limit else begins


def _believable_end(container: InputContainer) -> Fraction:
    if container.duration is None or container.duration <= 0:
        return Fraction(_LONGEST_GUESS_S)
    return container.duration * MICROSECOND + _BEYOND_END_S


def _decoded(path: Path, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    packet: Packet[AudioStream]
    for packet in read_packets(path, container, stream):
        yield from _decode(stream, packet)
    yield from _decode(stream, None)


def _decode(stream: AudioStream, packet: Packet[AudioStream] | None) -> list[AudioFrame]:
    try:
        return stream.codec_context.decode(packet)
    except (av.FFmpegError, OSError, ValueError):
        # The packet's time passes as silence: the next frame's timestamp leaves a gap.
        return []


class _Mixer:
    """Averages the channels of decoded frames."""

    def __init__(self) -> None:
        self._packer: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None

    def mix(self, frame: AudioFrame) -> Samples:
        """float32 [n]; empty for a frame that cannot be converted."""
        if not frame.format.is_planar or frame.layout.nb_channels < _UNSAFE_PLANES:
            return _average(frame)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._packer is None or shape != self._shape:
            self._packer, self._shape = AudioResampler(format="flt"), shape
        try:
            packed = self._packer.resample(frame)
        except (av.FFmpegError, ValueError):
            self._packer = None
            return np.zeros(0, np.float32)
        return np.concatenate([np.zeros(0, np.float32), *map(_average, packed)])


def _average(frame: AudioFrame) -> Samples:
    """float32 [n]: the mean over channels, full scale 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mixed = values.mean(axis=0, dtype=np.float64)
    if values.dtype == np.uint8:
        mixed = (mixed - 128.0) / 128.0
    elif values.dtype.kind == "i":
        mixed = mixed / 2.0 ** (8 * values.dtype.itemsize - 1)
    return cast(Samples, mixed.astype(np.float32))


def _mono(frames: list[AudioFrame]) -> Iterator[Samples]:
    for frame in frames:
        if frame.samples:
            yield cast(Samples, frame.to_ndarray()[0])
