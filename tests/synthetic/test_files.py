"""Rendered clips are ordinary video files, and a library of them can be stopped and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.errors import Interrupted, KnownError
from m2hf_core.progress import Progress
from m2hf_core.synthetic import ClipSpec, frames, sound, transcript
from m2hf_core.synthetic.files import clip_name, render_file, render_library


class StopAfter(Progress):
    """Cancels itself as soon as so many clips are done."""

    def __init__(self, clips: int) -> None:
        super().__init__()
        self._left = clips

    def advance(self, amount: float = 1.0) -> None:
        self._left -= 1
        if self._left == 0:
            self.cancel()
        super().advance(amount)


@pytest.fixture(scope="module")
def speaking(train_specs: list[ClipSpec]) -> ClipSpec:
    """A clip of two sentences with a sound that is easy to recognise."""
    spec = next(spec for spec in train_specs if len(getattr(transcript(spec), "lines", ())) == 2)
    return replace(spec, sound="beeps", motion="left", background="stripes")


@pytest.fixture(scope="module")
def written(speaking: ClipSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    render_file(speaking, path)
    return path


def test_the_video_stream(written: Path, speaking: ClipSpec) -> None:
    with av.open(written) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (224, 224, 24)
        assert container.duration == pytest.approx(4_000_000, abs=50_000)
        decoded = list(container.decode(stream))
    assert [frame.time for frame in decoded] == pytest.approx(list(np.arange(96) / 24), abs=1e-4)
    drawn = frames(speaking, np.arange(96) / 24)
    for number in (0, 17, 50, 95):
        seen = decoded[number].to_ndarray(format="rgb24").astype(int)
        assert np.abs(seen - drawn[number]).mean() < 5


def test_the_audio_stream(written: Path, speaking: ClipSpec) -> None:
    with av.open(written) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        rate = stream.rate
        decoded = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    made = sound(speaking, rate)
    assert made is not None
    assert abs(len(decoded) / rate - 4.0) < 0.1
    # The encoder starts with silence of its own; the best of a few shifts undoes it.
    length = len(made) - 4096
    likeness = max(
        np.corrcoef(made[:length], decoded[shift : shift + length])[0, 1] for shift in range(0, 2100, 4)
    )
    assert likeness > 0.9


def test_the_subtitle_track_holds_text_and_times(written: Path, speaking: ClipSpec) -> None:
    said = transcript(speaking)
    assert said is not None
    with av.open(written) as container:
        stream = container.streams.subtitles[0]
        assert stream.codec_context.name == "mov_text"
        assert stream.metadata["language"] == "eng"
        shown = []
        for packet in container.demux(stream):
            for cue in stream.decode(packet) if packet.size else []:
                start = float(packet.pts * packet.time_base)
                text = cue.ass.decode().split(",", 8)[-1]
                shown.append((text, start, start + float(packet.duration * packet.time_base)))
    assert [text for text, _, _ in shown] == [line.text for line in said.lines]
    for (_, start, end), line in zip(shown, said.lines, strict=True):
        assert (start, end) == pytest.approx((line.start_s, line.end_s), abs=0.002)


def test_silence_no_track_and_nothing_said(train_specs: list[ClipSpec], tmp_path: Path) -> None:
    mute = next(spec for spec in train_specs if not spec.nouns)
    render_file(replace(mute, sound="silence"), tmp_path / "silence.mp4")
    render_file(replace(mute, sound="none"), tmp_path / "none.mp4")
    with av.open(tmp_path / "silence.mp4") as container:
        assert not container.streams.subtitles
        assert all(np.abs(frame.to_ndarray()).max() < 1e-4 for frame in container.decode(audio=0))
    with av.open(tmp_path / "none.mp4") as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 96


def test_a_library_is_rendered_once_and_by_neutral_names(test_specs: list[ClipSpec], tmp_path: Path) -> None:
    progress = Progress()
    paths = render_library(test_specs[:5], tmp_path / "clips", workers=2, progress=progress)
    assert [path.name for path in paths] == [f"clip_{number:05d}.mp4" for number in range(5)]
    assert sorted((tmp_path / "clips").iterdir()) == sorted(paths)
    assert progress.snapshot().done == progress.snapshot().total == 5
    before = {path: path.stat().st_mtime_ns for path in paths}
    paths[2].unlink()
    assert render_library(test_specs[:5], tmp_path / "clips", workers=1, progress=progress) == paths
    assert progress.snapshot().done == 1
    assert {path for path in paths if path.stat().st_mtime_ns == before[path]} == set(paths) - {paths[2]}


def test_files_of_another_seed_or_broken_ones_are_replaced(
    test_specs: list[ClipSpec], tmp_path: Path
) -> None:
    other = replace(test_specs[0], nuisance=test_specs[0].nuisance + 1)
    (path,) = render_library([other], tmp_path, workers=1)
    held = path.read_bytes()
    render_library(test_specs[:1], tmp_path, workers=1)
    assert path.read_bytes() != held
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    render_library(test_specs[:1], tmp_path, workers=1)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cancelled_library_keeps_whole_files_and_goes_on(
    test_specs: list[ClipSpec], tmp_path: Path, workers: int
) -> None:
    wanted = test_specs[:16]
    with pytest.raises(Interrupted):
        render_library(wanted, tmp_path, workers, StopAfter(2))
    there = sorted(tmp_path.iterdir())
    assert 2 <= len(there) < len(wanted)
    assert all(path.suffix == ".mp4" for path in there)
    for path in there:
        with av.open(path) as container:
            assert sum(1 for _ in container.decode(video=0)) == 96
    progress = Progress()
    assert len(render_library(wanted[:10], tmp_path, 1, progress)) == 10
    assert progress.snapshot().total <= 8


def test_file_names_and_tags_say_nothing_of_the_content(written: Path, speaking: ClipSpec) -> None:
    assert clip_name(replace(speaking, index=17)) == "clip_00017.mp4"
    with av.open(written) as container:
        tags = " ".join(container.metadata.values()) + " ".join(
            value for stream in container.streams for value in stream.metadata.values()
        )
    for label in (speaking.shape, speaking.colour, speaking.motion, speaking.sound, *speaking.nouns):
        assert label not in tags.lower()


def test_a_folder_that_is_not_there_is_a_sentence(speaking: ClipSpec, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="cannot be written"):
        render_file(speaking, tmp_path / "missing" / "clip.mp4")


def test_two_clips_of_one_number_are_refused(speaking: ClipSpec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same number"):
        render_library([speaking, speaking], tmp_path)
