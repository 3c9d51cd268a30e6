"""Writes synthetic clips as real video files: H.264, AAC and a text subtitle track in MP4.

Names hold the clip's number and nothing else, so that the lane that searches file names learns nothing. Each file
carries a digest of its labels, by which a resumed run tells its own files from those of another seed.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet
from av.video.reformatter import ColorRange, Colorspace

from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.records import Transcript
from m2hf_core.synthetic.picture import distinct_frames
from m2hf_core.synthetic.sound import Samples, sound
from m2hf_core.synthetic.specs import DURATION_S, FRAME_RATE, FRAME_SIZE, ClipSpec
from m2hf_core.synthetic.speech import transcript

SOUND_RATE = 16_000
"""What VGGish listens at; no class has anything above 8 kHz that matters."""

_FORMAT = 1
"""Raised whenever the same labels are drawn, sounded or encoded differently, so that old files are replaced."""
_AAC_FRAME = 1024
_CUE_TICK = Fraction(1, 1000)
_LOOKAHEAD = 4
"""Clips handed to each worker in advance: enough to keep it busy, few enough to stop soon."""
_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, "
    b"MarginR, MarginV, Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)
"""FFmpeg's text encoders take their styles from a script header, and refuse to open without one."""


def clip_name(spec: ClipSpec) -> str:
    """The clip's file name: neutral, and the same for every run."""
    return f"clip_{spec.index:05d}.mp4"


def render_file(spec: ClipSpec, path: Path) -> None:
    """Write one clip: 4 s, 24 frames/s, 224 x 224; written aside and renamed, so `path` is whole or absent.

    KnownError if the folder cannot be written to.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        _write(spec, aside)
        aside.replace(path)
    except OSError as problem:
        aside.unlink(missing_ok=True)
        raise KnownError(
            f"The clip {path.name} cannot be written.",
            "Check that its folder exists, may be written to and has space left.",
            str(problem),
        ) from problem


def render_library(
    specs: Sequence[ClipSpec], folder: Path, workers: int = 2, progress: Progress | None = None
) -> list[Path]:
    """Write every clip into `folder`, the ones already there excepted; their paths in the order of `specs`.

    Raises `Interrupted` when `progress` is cancelled; what is finished stays, and the next call goes on from there.
    More than one worker means processes that import the caller's main module: guard it with `__main__`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / clip_name(spec) for spec in specs]
    if len(set(paths)) < len(paths):
        raise ValueError("two clips of one library have the same number")
    missing = [(spec, path) for spec, path in zip(specs, paths, strict=True) if not _holds(path, spec)]
    progress = progress or Progress()
    progress.start("render", total=len(missing), unit="clips")
    if workers <= 1 or len(missing) <= 1:
        for spec, path in missing:
            progress.check()
            render_file(spec, path)
            progress.advance()
    else:
        _render_in_processes(missing, min(workers, len(missing)), progress)
    return paths


def _render_in_processes(missing: Sequence[tuple[ClipSpec, Path]], workers: int, progress: Progress) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        waiting: set[Future[None]] = set()
        try:
            for spec, path in missing:
                while len(waiting) >= workers * _LOOKAHEAD:
                    waiting = _collect(waiting, progress)
                waiting.add(pool.submit(render_file, spec, path))
            while waiting:
                waiting = _collect(waiting, progress)
        finally:
            for future in waiting:
                future.cancel()


def _collect(waiting: set[Future[None]], progress: Progress) -> set[Future[None]]:
    """Wait for at least one clip; raises what its worker raised, or `Interrupted`."""
    done, still = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
    progress.check()
    for future in done:
        future.result()
        progress.advance()
    return still


def _digest(spec: ClipSpec) -> str:
    """Names a clip without telling anything of it."""
    return hashlib.sha256(f"{_FORMAT} {spec}".encode()).hexdigest()[:32]


def _holds(path: Path, spec: ClipSpec) -> bool:
    """Whether this very clip is already there; a file of another seed or of another program is not."""
    if not path.exists():
        return False
    try:
        with av.open(path) as container:
            return container.metadata.get("comment") == _digest(spec)
    except av.FFmpegError:
        return False


def _write(spec: ClipSpec, path: Path) -> None:
    samples, said = sound(spec, SOUND_RATE), transcript(spec)
    with av.open(path, "w", format="mp4") as container:
        container.metadata["comment"] = _digest(spec)
        video = container.add_stream("libx264", rate=FRAME_RATE)
        video.width = video.height = FRAME_SIZE
        video.pix_fmt = "yuv420p"
        # The pool already uses every core; a single thread also keeps the bytes reproducible.
        video.options = {"preset": "ultrafast", "qp": "24", "threads": "1"}
        video.codec_context.colorspace = Colorspace.SMPTE170M
        video.codec_context.color_range = ColorRange.MPEG
        audio = None
        if samples is not None:
            audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
            audio.options = {"aac_coder": "fast", "b": "48000"}
        if said is not None:
            subtitles = container.add_stream("mov_text")
            subtitles.codec_context.subtitle_header = _ASS_HEADER
            subtitles.metadata["language"] = "eng"
            container.start_encoding()
            _write_cues(container, subtitles, said)
        if audio is not None and samples is not None:
            _write_sound(container, audio, samples)
        times = np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE
        drawn, which = distinct_frames(spec, times)
        pictures = [cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420) for picture in drawn]
        for number, shown in enumerate(which):
            frame = av.VideoFrame.from_numpy_buffer(pictures[shown], format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def _write_sound(container: OutputContainer, stream: av.AudioStream, samples: Samples) -> None:
    for start in range(0, len(samples), _AAC_FRAME):
        frame = av.AudioFrame.from_ndarray(
            samples[None, start : start + _AAC_FRAME], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_cues(container: OutputContainer, stream: SubtitleStream, said: Transcript) -> None:
    """A text track shows each sample until the next one, so an empty one follows every cue."""
    shown_until = 0
    for line in said.lines:
        start, end = round(line.start_s * 1000), round(line.end_s * 1000)
        if start > shown_until:
            container.mux(_cue(stream, b"\0\0", shown_until, start))
        text = SubtitleSet.create(
            f"0,0,Default,,0,0,0,,{line.text}".encode(), start=0, end=end - start, pts=start
        )
        container.mux(_cue(stream, bytes(stream.codec_context.encode_subtitle(text)), start, end))
        shown_until = end
    container.mux(_cue(stream, b"\0\0", shown_until, round(DURATION_S * 1000)))


def _cue(stream: SubtitleStream, payload: bytes, start_ms: int, end_ms: int) -> av.Packet[Stream]:
    packet = av.Packet(payload)
    packet.stream, packet.time_base = stream, _CUE_TICK
    packet.pts = packet.dts = start_ms
    packet.duration = end_ms - start_ms
    return packet
