"""Cuts a stretch out of a video file, by copying what is encoded where that is enough, else by encoding anew.

Copied packets can only begin at a keyframe: the cut then starts at the last keyframe at or before the wanted start,
up to a few seconds early, and loses no quality. An exact cut decodes from that keyframe and encodes from the wanted
frame on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from m2hf_core.errors import KnownError
from m2hf_core.media.picture import Painter, Pose, pose_of

SLACK_S = 1e-4
"""Times in documents are rounded to milliseconds, keyframes are not."""
UPRIGHT = Pose(aspect=1.0, transposed=False, flip_x=False, flip_y=False)
EXACT_QUALITY = {"crf": "18", "preset": "veryfast"}


@dataclass(frozen=True, slots=True)
class EditInfo:
    """What an editing program's list must know of a file."""

    path: Path
    rate: Fraction
    """Average frames per second."""
    duration_s: float
    has_audio: bool
    audio_rate: int
    width: int
    height: int
    timecode: str | None
    """Of the first frame, where the camera has written one."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that was written, and what of the source it really holds."""

    path: Path
    start_s: float
    end_s: float
    exact: bool


def edit_info(path: Path) -> EditInfo:
    """Raises `KnownError` for a file that is no video."""
    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            audio = container.streams.audio[0] if container.streams.audio else None
            rate = video.average_rate or video.guessed_rate or Fraction(25)
            duration = container.duration / av.time_base if container.duration else 0.0
            timecode = video.metadata.get("timecode") or container.metadata.get("timecode")
            return EditInfo(
                path,
                Fraction(rate),
                float(duration),
                audio is not None,
                audio.rate if audio is not None else 0,
                video.width,
                video.height,
                timecode,
            )
    except (FFmpegError, OSError, IndexError) as error:
        raise _unreadable(path, error) from error


def edit_infos(paths: list[Path]) -> dict[Path, EditInfo | KnownError]:
    """All of them; a file that cannot be read is told, and the others go on."""
    found: dict[Path, EditInfo | KnownError] = {}
    for path in paths:
        try:
            found[path] = edit_info(path)
        except KnownError as error:
            found[path] = error
    return found


def cut(source: Path, start_s: float, end_s: float, target: Path, exact: bool = False) -> Cut:
    """Write [start_s, end_s) of `source` to `target`; never over a file that is there. Raises `KnownError`."""
    if target.exists():
        raise KnownError(f"{target} is there already.", "Choose another folder, or move it away.")
    aside = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        with av.open(str(source)) as reader, av.open(str(aside), "w") as writer:
            first_s, last_s = (_encode if exact else _copy)(reader, writer, start_s, end_s)
        if last_s <= first_s:
            raise KnownError(f"{source.name} has no picture between {start_s:.1f} and {end_s:.1f} s.")
        os.replace(aside, target)
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise KnownError(
            f"{source.name} could not be cut at {start_s:.1f} s.",
            "Check that the file is there and that the folder can be written; with --exact it is encoded anew.",
            repr(error),
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return Cut(target, first_s, last_s, exact)


def _copy(reader: Any, writer: Any, start_s: float, end_s: float) -> tuple[float, float]:
    """Packets from the last keyframe at or before the start, as they are."""
    video = reader.streams.video[0]
    audio = reader.streams.audio[0] if reader.streams.audio else None
    origin_s = (reader.start_time or 0) / av.time_base
    outputs = {
        stream.index: writer.add_stream_from_template(stream, opaque=True)
        for stream in (video, audio)
        if stream
    }
    reader.seek(int((start_s + origin_s + SLACK_S) * av.time_base), backward=True)
    first_s: float | None = None
    last_s = held_s = 0.0
    waiting: list[Any] = []
    for packet in reader.demux([stream for stream in (video, audio) if stream]):
        if packet.pts is None or packet.dts is None:
            continue
        at_s = float(packet.pts * packet.time_base) - origin_s
        if packet.stream is video:
            if first_s is None:
                if not packet.is_keyframe:
                    continue
                first_s = at_s
                _write(
                    writer,
                    outputs,
                    [p for p in waiting if _seconds(p) - origin_s >= first_s],
                    first_s + origin_s,
                )
            if at_s < first_s:
                continue  # frames that lean on the keyframe before
            held_s = max(held_s, at_s)
            if float(packet.dts * packet.time_base) - origin_s >= end_s - SLACK_S and at_s >= held_s:
                break  # what comes later in the file but is shown before a frame that is held still belongs
            last_s = max(last_s, at_s + float((packet.duration or 0) * packet.time_base))
        elif first_s is None:
            waiting.append(packet)
            continue
        elif not first_s <= at_s < end_s:
            continue
        _write(writer, outputs, [packet], first_s + origin_s)
    return (0.0, 0.0) if first_s is None else (first_s, last_s)


def _write(writer: Any, outputs: dict[int, Any], packets: list[Any], origin_s: float) -> None:
    for packet in packets:
        shift = round(origin_s / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = outputs[packet.stream.index]
        writer.mux(packet)


def _seconds(packet: Any) -> float:
    return float(packet.pts * packet.time_base)


def _encode(reader: Any, writer: Any, start_s: float, end_s: float) -> tuple[float, float]:
    """Frames whose time lies in [start_s, end_s), encoded as H.264, and the sound of the same time as AAC."""
    video = reader.streams.video[0]
    audio = reader.streams.audio[0] if reader.streams.audio else None
    video.thread_type = "AUTO"
    origin_s = (reader.start_time or 0) / av.time_base
    sample = next(reader.decode(video), None)
    if sample is None:
        return 0.0, 0.0
    pose, painter = pose_of(sample, video), Painter(video)
    width, height = pose.shown_size(sample.width, sample.height)
    made = writer.add_stream("libx264", rate=video.average_rate or 25, options=EXACT_QUALITY)
    made.width, made.height = max(2, width - width % 2), max(2, height - height % 2)
    made.pix_fmt, made.time_base = "yuv420p", video.time_base
    sound = writer.add_stream("aac", rate=audio.rate) if audio else None
    reader.seek(int((start_s + origin_s + SLACK_S) * av.time_base), backward=True)
    first_s: float | None = None
    last_s = 0.0
    samples: int | None = None
    early: list[Any] = []  # sound that is read before the first picture, which says where zero is
    last_pts: int | None = None
    over = {True: False} if audio is None else {True: False, False: False}  # is video -> its end was reached
    for frame in reader.decode([stream for stream in (video, audio) if stream]):
        if frame.pts is None:
            continue
        at_s = float(frame.pts * frame.time_base) - origin_s
        is_video = isinstance(frame, av.VideoFrame)
        if at_s >= end_s - SLACK_S:
            over[is_video] = True
            if all(over.values()):
                break
            continue
        if at_s < start_s - SLACK_S:
            continue
        if is_video:
            first_s = at_s if first_s is None else first_s
            pts = frame.pts - round((first_s + origin_s) / frame.time_base)
            if last_pts is not None and pts <= last_pts:
                continue  # some files show two frames at one time, or go back
            last_pts, last_s = pts, at_s + float(1 / (video.average_rate or 25))
            # Turned here, since what is encoded anew carries no word about turning.
            upright = pose == UPRIGHT
            shown = frame if upright else av.VideoFrame.from_ndarray(painter.paint(frame), format="rgb24")
            image = shown.reformat(made.width, made.height, "yuv420p")
            image.pts, image.time_base = pts, frame.time_base
            writer.mux(made.encode(image))
        else:
            early.append((at_s, frame))
        if first_s is not None and sound is not None:
            for heard_s, heard in early:
                if samples is None:
                    samples = max(0, round((heard_s - first_s) * heard.sample_rate))
                heard.pts, heard.time_base = samples, Fraction(1, heard.sample_rate)
                samples += heard.samples
                writer.mux(sound.encode(heard))
            early.clear()
    writer.mux(made.encode(None))
    if sound is not None:
        writer.mux(sound.encode(None))
    return (0.0, 0.0) if first_s is None else (first_s, last_s)


def _unreadable(path: Path, error: Exception) -> KnownError:
    if not path.exists():
        return KnownError(
            f"{path} is not there now.", "Connect its drive, or index the folder again.", repr(error)
        )
    return KnownError(f"{path.name} cannot be read as a video.", "Leave it out.", repr(error))
