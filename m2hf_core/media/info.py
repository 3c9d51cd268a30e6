"""What a file is, before anything is decoded in earnest: `probe`, and the grid of times worth looking at."""

from __future__ import annotations

import os
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from m2hf_core.media import reasons
from m2hf_core.media.container import language_of, open_media, pick_audio, pick_video
from m2hf_core.media.duration import find_duration
from m2hf_core.media.packets import VideoDecoder, read_packets
from m2hf_core.media.picture import pose_of
from m2hf_core.records import MediaInfo, SubtitleTrack

TEXT_SUBTITLES = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})
"""Codecs whose packets are words; the others (DVD, Blu-ray, DVB) are pictures of words."""


def probe(path: Path | str) -> MediaInfo:
    """What `path` holds. Decodes one picture, to be sure that there is one and to see how it is turned.

    Width and height are in square pixels, upright: a 340x256 picture with 1024:765 pixels is 455x256.
    Raises `UnreadableMedia` with a reason and a remedy for everything that is not a playable video.
    """
    path = Path(path)
    with open_media(path) as container:
        video = pick_video(container)
        frame = _first_frame(path, container, video)
        pose = pose_of(frame, video)
        width, height = pose.shown_size(frame.width, frame.height)
        audio = pick_audio(container)
        size_bytes = os.stat(path).st_size
        return MediaInfo(
            path=path,
            size_bytes=size_bytes,
            container=container.format.name,
            duration_s=find_duration(path, container, size_bytes),
            width=width,
            height=height,
            rotation=pose.rotation,
            video_codec=video.codec_context.name,
            frame_rate=float(video.average_rate) if video.average_rate else None,
            has_audio=audio is not None,
            audio_codec=audio.codec_context.name if audio is not None else None,
            audio_rate=(audio.rate or None) if audio is not None else None,
            subtitles=_subtitle_tracks(container),
        )


def times_grid(info: MediaInfo, step_s: float = 1.0) -> list[float]:
    """Times to look at, one per `step_s`: the middle of each step, so that black first frames are not asked for.

    The last step may be cut short; it counts, at its own middle, when at least half of it is there. Even
    the shortest clip gets one time.
    """
    if step_s <= 0:
        raise ValueError(f"step_s must be positive, not {step_s}")
    whole = int(info.duration_s // step_s)
    rest = info.duration_s - whole * step_s
    times = [(i + 0.5) * step_s for i in range(whole)]
    if rest >= step_s / 2 or not times:
        times.append(whole * step_s + rest / 2)
    return times


def _first_frame(path: Path, container: InputContainer, video: VideoStream) -> VideoFrame:
    decoder = VideoDecoder(video, threads=1)
    for packet in read_packets(path, container, video):
        for frame in decoder.decode(packet):
            return frame
    for frame in decoder.decode(None):
        return frame
    raise reasons.nothing_decodes(decoder.last_failure)


def _subtitle_tracks(container: InputContainer) -> tuple[SubtitleTrack, ...]:
    found = []
    for stream in container.streams.subtitles:
        # PyAV types the context as always there; it is None for a codec that this build cannot decode.
        context: object = stream.codec_context
        if context is not None and stream.codec_context.name in TEXT_SUBTITLES:
            found.append(SubtitleTrack(stream.index, stream.codec_context.name, language_of(stream)))
    return tuple(found)
