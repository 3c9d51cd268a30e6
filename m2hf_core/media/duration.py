"""How long a file really lasts: the header's claim, checked at the end of the file, else counted from packets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from m2hf_core.media.container import MICROSECOND, open_media, pick_audio, pick_video, zero_of
from m2hf_core.media.packets import read_packets

# A claim this far from what stands at the end is wrong: sound may end a little after or before the picture.
_TOLERANCE_S = Fraction(1)
_TOLERANCE_SHARE = Fraction(1, 100)
# Not even a still picture with silence is stored in fewer bytes per second for longer than a minute.
_LEAST_BYTES_PER_S = 50
# One packet claiming to lie this far behind the last is a damaged timestamp, not a pause.
_WILD_JUMP_S = Fraction(24 * 3600)
_FALLBACK_FRAME_S = Fraction(1, 25)


def find_duration(path: Path, container: InputContainer, size_bytes: int) -> float:
    """Seconds from the timeline's zero to the end of the longer of picture and sound.

    Cheap for a sound file (a seek to its last seconds); reads every packet, without decoding, when the
    header has no length (live WebM, raw MPEG) or one that the end of the file contradicts (cut-off copies).
    Moves the container's position.
    """
    claimed = _claimed_end(container)
    if claimed is not None and _believable(claimed, container, size_bytes):
        last = _end_near(path, container, claimed)
        if (
            last is not None
            and last > 0
            and abs(last - claimed) <= max(_TOLERANCE_S, claimed * _TOLERANCE_SHARE)
        ):
            # What was found is the truth: Matroska claims its end from 0, not from where its tracks begin.
            return float(last)
    with open_media(path) as afresh:
        counted = _last_end(read_packets(path, afresh, *_tracks(afresh)), zero_of(afresh))
        if counted is None or counted <= 0:
            rate = pick_video(afresh).average_rate
            counted = 1 / rate if rate and 1 / rate < _WILD_JUMP_S else _FALLBACK_FRAME_S
    return float(counted)


def _tracks(container: InputContainer) -> tuple[Stream, ...]:
    audio = pick_audio(container)
    video: VideoStream = pick_video(container)
    return (video,) if audio is None else (video, audio)


def _claimed_end(container: InputContainer) -> Fraction | None:
    """The longest of the tracks' own lengths, else the container's, in seconds from zero."""
    zero = zero_of(container)
    ends = [
        (stream.start_time + stream.duration) * stream.time_base - zero
        for stream in _tracks(container)
        if stream.duration is not None and stream.start_time is not None and stream.time_base is not None
    ]
    if ends and pick_video(container).duration is not None:
        return max(ends)
    return None if container.duration is None else container.duration * MICROSECOND


def _believable(claimed: Fraction, container: InputContainer, size_bytes: int) -> bool:
    # No start time means no timestamps at all: the length was guessed from the bit rate.
    if claimed <= 0 or container.start_time is None:
        return False
    return claimed <= 60 or size_bytes / float(claimed) >= _LEAST_BYTES_PER_S


def _end_near(path: Path, container: InputContainer, claimed: Fraction) -> Fraction | None:
    """The end of the last packet at or after the last keyframe before `claimed`; None where seeking fails."""
    zero = zero_of(container)
    video = pick_video(container)
    assert video.time_base is not None
    try:
        container.seek(int((claimed + zero) / video.time_base), stream=video)
    except (av.FFmpegError, OSError):
        return None
    return _last_end(read_packets(path, container, *_tracks(container)), zero)


def _last_end(packets: Iterator[Packet[Stream]], zero: Fraction) -> Fraction | None:
    last: Fraction | None = None
    unstamped = Fraction(0)
    for packet in packets:
        length = (packet.duration or 0) * packet.time_base
        if length >= _WILD_JUMP_S:
            continue  # nor is it a frame that is shown for days: the rate is damaged
        if packet.pts is None:
            unstamped += length
            continue
        if packet.is_discard:
            continue
        end = packet.pts * packet.time_base + length - zero
        if end < (last or 0) + _WILD_JUMP_S and (last is None or last < end):
            last = end
    return last if last is not None or not unstamped else unstamped
