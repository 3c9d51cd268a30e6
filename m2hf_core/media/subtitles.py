"""What was said, where somebody has already written it down: a file beside the video, or a track inside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from m2hf_core.media import reasons
from m2hf_core.media.container import language_of, open_media, zero_of
from m2hf_core.media.cues import clean_text, decode_text, parse_cues
from m2hf_core.media.packets import read_packets
from m2hf_core.records import Line, MediaInfo, Transcript

_SUFFIXES = (".srt", ".vtt")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
_FLAGS = frozenset({"forced", "sdh", "cc", "default", "full"})
_NAMES = {"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "chinese": "zh"}
_ENGLISH = frozenset({"en", "eng"})
# A film's subtitles are about 100 kB; what is this large is something else with that ending.
_LARGEST_BYTES = 32 << 20


def read_subtitles(path: Path | str, info: MediaInfo) -> Transcript | None:
    """The transcript of `path`: a sidecar file first, then an embedded text track, else None.

    Sidecars share the video's stem, with or without a language (`film.srt`, `film.en.srt`, `film.vtt`); the
    plain one comes first, then English. Of embedded tracks the default one comes first, then English. A
    source without a single readable line is passed over. Raises `UnreadableMedia` if the video is gone.
    """
    path = Path(path)
    for sidecar, language in _sidecars(path):
        lines = tuple(parse_cues(decode_text(sidecar.read_bytes())))
        if lines:
            return Transcript("sidecar", language, lines)
    if not info.subtitles:
        return None
    with open_media(path) as container:
        for stream in _tracks(container, info):
            lines = tuple(_embedded(path, container, stream))
            if lines:
                return Transcript("embedded", language_of(stream), lines)
    return None


def _sidecars(path: Path) -> list[tuple[Path, str | None]]:
    """(file, language) of the subtitle files that belong to this video, the preferred one first."""
    found = []
    try:
        beside = sorted(path.parent.iterdir())
    except OSError as error:
        raise reasons.explain(path, error) from error
    for file in beside:
        if file.suffix.lower() not in _SUFFIXES or not (file.stem + ".").startswith(path.stem + "."):
            continue
        marks = [mark.lower() for mark in file.stem[len(path.stem) :].split(".") if mark]
        languages = [_NAMES.get(mark, mark) for mark in marks if mark not in _FLAGS]
        # `film.part2.srt` belongs to `film.part2.mp4`, not to `film.mp4`.
        if len(languages) > 1 or not all(_LANGUAGE.fullmatch(language) for language in languages):
            continue
        if not file.is_file() or file.stat().st_size > _LARGEST_BYTES:
            continue
        language = languages[0] if languages else None
        order = (
            "forced" in marks,
            language is not None,
            language not in _ENGLISH,
            file.suffix.lower() != ".srt",
        )
        found.append((order, file, language))
    return [(file, language) for _, file, language in sorted(found, key=lambda entry: entry[:2])]


def _tracks(container: InputContainer, info: MediaInfo) -> list[SubtitleStream]:
    wanted = {track.index for track in info.subtitles}
    tracks = [stream for stream in container.streams.subtitles if stream.index in wanted]
    return sorted(
        tracks,
        key=lambda stream: (
            bool(stream.disposition & Disposition.forced),
            not stream.disposition & Disposition.default,
            language_of(stream) not in _ENGLISH,
            stream.index,
        ),
    )


def _embedded(path: Path, container: InputContainer, stream: SubtitleStream) -> list[Line]:
    zero = zero_of(container)
    container.seek(0)
    lines = []
    for packet in read_packets(path, container, stream):
        if packet.pts is None or not packet.duration:
            continue
        start = packet.pts * packet.time_base - zero
        end = start + Fraction(packet.duration) * packet.time_base
        text = clean_text(" ".join(_texts(packet)))
        if text and end > start and end > 0:
            lines.append(Line(text, max(0.0, float(start)), float(end)))
    return sorted(lines, key=lambda line: (line.start_s, line.end_s))


def _texts(packet: Packet[SubtitleStream]) -> Iterator[str]:
    try:
        rectangles = packet.decode()
    except (av.FFmpegError, ValueError):
        return  # one damaged cue; the others still count
    for rectangle in rectangles:
        if isinstance(rectangle, AssSubtitle):
            yield rectangle.dialogue.decode("utf-8", errors="replace")
