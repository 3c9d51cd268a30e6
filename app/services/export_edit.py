"""Lists for editing programs: OpenTimelineIO, EDL (CMX 3600) and FCPXML, exact to the frame, with their sound.

OpenTimelineIO writes its own form. Its adapters for the other two do not serve: the one for EDL drops audio tracks and
every second frame rate, the one for FCPXML refuses 23.976, 29.97 and 59.94 and loses a frame to rounding. Both forms
are small, so they are written here with whole frames and exact fractions; tests read them back with other code.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from app.services.export import Format, Moment
from m2hf_core.errors import KnownError
from m2hf_core.media.cutting import EditInfo

RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60", "120")
)
"""What timecode can count in."""
NEAR = Fraction(1, 500)
"""A measured average this close to one of them is meant to be it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A moment in whole frames of its own file."""

    name: str
    path: Path
    rate: Fraction
    start: int
    """First frame, counted from the file's first."""
    frames: int
    first: int
    """The number that the file's timecode gives to its first frame."""
    length: int
    """Of the whole file."""
    has_audio: bool
    size: tuple[int, int]
    audio_rate: int


def write(
    form: Format, title: str, moments: Sequence[Moment], infos: Mapping[Path, EditInfo]
) -> tuple[dict[str, str], list[str]]:
    """Label -> text, and what a person should know. An EDL counts at one rate, so there is one for each."""
    events = [event_of(moment, infos[moment.video]) for moment in moments]
    notes = [
        f"{path.name} runs at {float(infos[path].rate):.3f} frames/s, which no timecode counts in; "
        f"its times are written at {float(rate):.3f}."
        for path, rate in {event.path: event.rate for event in events}.items()
        if abs(infos[path].rate - rate) > NEAR * rate
    ]
    if form == "otio":
        return {"": _otio(title, events)}, notes
    by_rate: dict[Fraction, list[Event]] = defaultdict(list)
    for event in events:
        by_rate[event.rate].append(event)
    if form == "fcpxml":
        return {"": _fcpxml(title, by_rate)}, notes
    return {rate_label(rate): _edl(title, rate, own) for rate, own in by_rate.items()}, notes


def event_of(moment: Moment, info: EditInfo) -> Event:
    rate = counted_rate(info.rate)
    start = round(Fraction(moment.start_s) * rate)
    length = max(round(Fraction(info.duration_s) * rate), start + 1)
    end = min(max(round(Fraction(moment.end_s) * rate), start + 1), length)
    return Event(
        name=_plain(moment.title),
        path=moment.video,
        rate=rate,
        start=start,
        frames=end - start,
        first=_frame_of(info.timecode, rate),
        length=length,
        has_audio=info.has_audio,
        size=(info.width, info.height),
        audio_rate=info.audio_rate,
    )


def counted_rate(measured: Fraction) -> Fraction:
    """What to count in: the rate itself, else one that it divides (25 for 12.5), else the nearest."""

    def miss(known: Fraction, times: int) -> Fraction:
        return abs(known - times * measured) / known

    for times in range(1, 9):
        nearest = min(RATES, key=lambda known: miss(known, times))
        if miss(nearest, times) <= NEAR:
            return nearest
    return min(RATES, key=lambda known: miss(known, 1))


def rate_label(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def timecode(frame: int, rate: Fraction) -> str:
    """Non-drop hh:mm:ss:ff, which counts every frame: 29.97 is counted as 30 to the second."""
    nominal = round(rate)
    seconds, frames = divmod(frame, nominal)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _frame_of(code: str | None, rate: Fraction) -> int:
    """The frame number of a camera's timecode, 0 where there is none or one with dropped numbers."""
    parts = (code or "").split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return 0
    hours, minutes, seconds, frames = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * round(rate) + frames


def _plain(text: str) -> str:
    """One line of printable text."""
    return "".join(char if char.isprintable() else " " for char in text).strip() or "clip"


def _uri(path: Path) -> str:
    return path.as_uri() if path.is_absolute() else Path("/", path).as_uri()


def _edl(title: str, rate: Fraction, events: Sequence[Event]) -> str:
    lines = [f"TITLE: {_plain(title)[:70]}", "FCM: NON-DROP FRAME", ""]
    at = round(rate) * 3600  # programmes begin at one hour
    for number, event in enumerate(events, 1):
        begin = event.first + event.start
        codes = (begin, begin + event.frames, at, at + event.frames)
        channels = "AA/V" if event.has_audio else "V"
        lines.append(
            f"{number:03d}  AX       {channels:<5} C        {' '.join(timecode(c, rate) for c in codes)}"
        )
        lines.append(f"* FROM CLIP NAME: {event.name}")
        lines.append(f"* SOURCE FILE: {_plain(str(event.path))}")
        at += event.frames
    return "\n".join(lines) + "\n"


def _fcpxml(title: str, by_rate: Mapping[Fraction, Sequence[Event]]) -> str:
    """FCPXML 1.9: each file an asset, each rate a project, each moment an asset clip, which carries its sound."""
    root = ET.Element("fcpxml", version="1.9")
    resources = ET.SubElement(root, "resources")
    library_event = ET.SubElement(ET.SubElement(root, "library"), "event", name=_plain(title))
    for rate, events in by_rate.items():
        frame = 1 / rate
        sizes = dict.fromkeys(event.size for event in events)
        formats = {size: f"r{len(resources) + place}" for place, size in enumerate(sizes, 1)}
        for (width, height), name in formats.items():
            ET.SubElement(
                resources, "format", id=name, frameDuration=_time(frame), width=str(width), height=str(height)
            )
        assets: dict[Path, str] = {}
        for event in events:
            if event.path not in assets:
                assets[event.path] = f"r{len(resources) + 1}"
                _asset(resources, assets[event.path], event, formats[event.size], frame)
        total = sum(event.frames for event in events)
        project = ET.SubElement(library_event, "project", name=f"{_plain(title)} {rate_label(rate)}")
        sequence = ET.SubElement(
            project,
            "sequence",
            format=formats[events[0].size],
            duration=_time(total * frame),
            tcStart="0s",
            tcFormat="NDF",
        )
        spine, at = ET.SubElement(sequence, "spine"), 0
        for event in events:
            clip = ET.SubElement(
                spine,
                "asset-clip",
                ref=assets[event.path],
                name=event.name,
                offset=_time(at * frame),
                start=_time((event.first + event.start) * frame),
                duration=_time(event.frames * frame),
                format=formats[event.size],
            )
            if event.has_audio:
                clip.set("audioRole", "dialogue")
            at += event.frames
    ET.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
        + ET.tostring(root, encoding="unicode")
        + "\n"
    )


def _asset(resources: ET.Element, name: str, event: Event, form: str, frame: Fraction) -> None:
    sound = {"hasAudio": "1", "audioSources": "1", "audioChannels": "2", "audioRate": str(event.audio_rate)}
    asset = ET.SubElement(
        resources,
        "asset",
        id=name,
        name=_plain(event.path.name),
        start=_time(event.first * frame),
        duration=_time(event.length * frame),
        hasVideo="1",
        format=form,
    )
    if event.has_audio:
        asset.attrib |= sound
    ET.SubElement(asset, "media-rep", kind="original-media", src=_uri(event.path))


def _time(seconds: Fraction) -> str:
    """`101/25s`: FCPXML counts in exact fractions."""
    return (
        f"{seconds.numerator}/{seconds.denominator}s" if seconds.denominator != 1 else f"{seconds.numerator}s"
    )


def _otio(title: str, events: Sequence[Event]) -> str:
    """A video track and, where a file has sound, the same stretch of it in an audio track."""
    try:
        import opentimelineio as otio
    except ImportError as error:
        raise KnownError(
            "OpenTimelineIO is not installed.", "Install it: pip install 'm2hf-app[export]'", str(error)
        ) from error
    schema, ot = otio.schema, otio.opentime
    timeline = schema.Timeline(_plain(title))
    seen = schema.Track("V1", kind=schema.TrackKind.Video)
    heard = schema.Track("A1", kind=schema.TrackKind.Audio)
    for event in events:
        rate = float(event.rate)

        def span(start: int, frames: int, rate: float = rate) -> object:
            return ot.TimeRange(ot.RationalTime(start, rate), ot.RationalTime(frames, rate))

        for track in (seen, heard):
            if track is heard and not event.has_audio:
                track.append(schema.Gap(source_range=span(0, event.frames)))
                continue
            media = schema.ExternalReference(_uri(event.path), span(event.first, event.length))
            track.append(schema.Clip(event.name, media, span(event.first + event.start, event.frames)))
    timeline.tracks.append(seen)
    if any(event.has_audio for event in events):
        timeline.tracks.append(heard)
    text: str = timeline.to_json_string(indent=1)
    return text + "\n"
