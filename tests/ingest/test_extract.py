"""One pass over a file gives every extractor exactly what it would have got alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from m2hf_core.features import Extractors
from m2hf_core.ingest.extract import extract
from m2hf_core.ingest.staging import read_staged, write_staged
from m2hf_core.ingest.video import Extraction, Request
from m2hf_core.media import probe, read_audio, read_frames, times_grid
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file
from m2hf_core.text import NounExtractor


class MeanColour:
    fingerprint, width = "clip:mean:0:1", 3

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image.mean(axis=(0, 1)).astype(np.float32)[:, None, None] / 255

    def encode_prepared(self, prepared: np.ndarray) -> np.ndarray:
        return prepared[:, :, 0, 0]

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self.encode_prepared(np.stack([self.prepare(image) for image in images]))


class Loudness:
    """One row per 0.96 s, like VGGish: looks at 15,600 samples, moves on by 15,360."""

    fingerprint, width, rate = "audio:loud:0:1", 2, 16_000

    def __call__(self, waveform: np.ndarray, start_s: float = 0.0) -> Feature:
        starts = range(0, len(waveform) - 15_600 + 1, 15_360)
        rows = [[np.abs(waveform[s : s + 15_600]).mean(), waveform[s]] for s in starts]
        at = np.asarray([start_s + s / self.rate for s in starts])
        return Feature(np.asarray(rows, np.float32).reshape(-1, 2), at, at + 0.96)


class FrameSums:
    fingerprint, width, fps, frames_per_clip, step_s = "motion:sums:0:1", 16, 15.0, 16, 1.0

    def encode(self, clips: np.ndarray) -> np.ndarray:
        assert clips.shape[1:] == (16, 256, 256, 3)
        return clips.mean(axis=(2, 3, 4)).astype(np.float32)


NOUNS = NounExtractor()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    spec = next(s for s in draw_specs("train", 50, 3) if s.sound == "siren" and s.nouns)
    render_file(spec, path)
    return path


def run(video: Path, tmp_path: Path, **chosen: object) -> Extraction:
    extractors = Extractors(chosen.get("clip"), chosen.get("audio"), chosen.get("motion"))
    wanted = frozenset({NOUNS.fingerprint, *(e.fingerprint for e in chosen.values())})
    return extract(Request(video, wanted, tmp_path / "poster.jpg", Progress()), extractors, NOUNS)


def test_together_equals_alone(video: Path, tmp_path: Path) -> None:
    together = run(video, tmp_path, clip=MeanColour(), audio=Loudness(), motion=FrameSums())
    info = probe(video)
    frames = np.stack([frame.image for frame in read_frames(video, times_grid(info, 1.0))])
    visual = together.features[MeanColour.fingerprint]
    np.testing.assert_allclose(visual.values, MeanColour().encode(frames), atol=1e-3)
    np.testing.assert_allclose(visual.start_s, [0, 1, 2, 3])
    assert visual.end_s[-1] == pytest.approx(info.duration_s)
    alone = Loudness()(read_audio(video, 16_000))
    heard = together.features[Loudness.fingerprint]
    np.testing.assert_allclose(heard.values, alone.values, atol=1e-3)
    np.testing.assert_allclose(heard.start_s, alone.start_s)
    moving = together.features[FrameSums.fingerprint]
    only = run(video, tmp_path, motion=FrameSums()).features[FrameSums.fingerprint]
    np.testing.assert_array_equal(moving.values, only.values)
    assert moving.values.shape == (4, 16)
    # The fourth run begins at 3 s and the clip ends at 4 s: its last frame is held.
    assert moving.values[3, 15] == moving.values[3, 14]
    assert (tmp_path / "poster.jpg").is_file()
    (heard,) = together.heard
    assert heard.transcript.source in together.asked
    assert len(heard.nouns) == len(heard.transcript.lines)
    assert any(heard.nouns)
    work = {"probe", "decode_video", "prepare", "decode_audio", "subtitles", "nouns"}
    networks = {"network_clip", "network_motion", "network_audio"}
    assert set(together.seconds) == work | networks | {"waited_for_decoding", "waited_for_networks"}


def test_runs_match_frames_read_one_by_one(video: Path, tmp_path: Path) -> None:
    import cv2

    moving = run(video, tmp_path, motion=FrameSums()).features[FrameSums.fingerprint]
    times = [round(1.0 + k / 15.0, 6) for k in range(16)]
    expected = [
        cv2.resize(frame.image, (256, 256), interpolation=cv2.INTER_AREA).mean()
        for frame in read_frames(video, times)
    ]
    np.testing.assert_allclose(moving.values[1], expected, rtol=1e-3)


def test_sound_is_the_same_in_blocks_and_at_once(
    monkeypatch: pytest.MonkeyPatch, video: Path, tmp_path: Path
) -> None:
    """Blocks of any size: no example is lost or doubled at a border."""
    from m2hf_core.ingest import reader as module

    real = module.iter_audio
    monkeypatch.setattr(module, "iter_audio", lambda path, rate, block_s: real(path, rate, 0.37))
    heard = run(video, tmp_path, audio=Loudness()).features[Loudness.fingerprint]
    alone = Loudness()(read_audio(video, 16_000))
    np.testing.assert_allclose(heard.values, alone.values, atol=1e-3)
    np.testing.assert_allclose(heard.start_s, alone.start_s)


def test_nothing_wanted_still_gives_poster_and_words(video: Path, tmp_path: Path) -> None:
    bare = run(video, tmp_path)
    assert bare.features == {}
    assert bare.heard
    assert (tmp_path / "poster.jpg").is_file()


def test_a_clip_without_sound_gives_an_empty_feature(tmp_path: Path) -> None:
    spec = next(s for s in draw_specs("train", 50, 3) if s.sound == "none")
    path = tmp_path / "mute.mp4"
    render_file(spec, path)
    heard = run(path, tmp_path, audio=Loudness()).features[Loudness.fingerprint]
    assert heard.values.shape == (0, 2)


def test_staging_returns_what_was_put_in(video: Path, tmp_path: Path) -> None:
    made = run(video, tmp_path, clip=MeanColour(), audio=Loudness())
    target = tmp_path / "staging" / "1.safetensors"
    write_staged(made, target)
    back = read_staged(target)
    assert (back.info, back.heard, back.asked) == (made.info, made.heard, made.asked)
    for key, feature in made.features.items():
        np.testing.assert_allclose(back.features[key].values, feature.values, rtol=2e-3)
        np.testing.assert_array_equal(back.features[key].start_s, feature.start_s)
    assert [file.name for file in target.parent.iterdir()] == ["1.safetensors"]
    target.write_bytes(target.read_bytes()[:-10])
    with pytest.raises(ValueError, match="not a finished extraction"):
        read_staged(target)
