"""Sound on the pictures' timeline: onsets, gaps, pitch and loudness of tones written for the purpose."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media import iter_audio, probe, read_audio

WriteVideo = Callable[..., Path]
RATE = 16000
TIMES = [i * 100 for i in range(60)]


def tone(seconds: float, hertz: float = 440.0, level: float = 0.5, rate: int = 48000) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def sounding(samples: np.ndarray, rate: int = RATE) -> list[tuple[float, float]]:
    """(start, end) in seconds of the stretches that are not silent."""
    level = np.convolve(np.abs(samples), np.ones(80) / 80, "same") > 0.1
    edges = np.flatnonzero(np.diff(np.concatenate([[0], level.astype(int), [0]])))
    return [(start / rate, end / rate) for start, end in edges.reshape(-1, 2)]


def pitch(samples: np.ndarray, rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mkv", "pcm_s16le", None),
        ("b.mp4", "aac", None),
        ("c.ts", "mp2", "mpegts"),
        ("d.mkv", "flac", None),
    ],
)
def test_late_sound_and_gaps_become_silence(
    name: str, codec: str, container: str | None, tmp_path: Path, write_video: WriteVideo
) -> None:
    pieces = [(1.5, tone(1.0)), (4.0, tone(1.0, 880.0))]
    path = write_video(tmp_path / name, TIMES, audio=pieces, audio_codec=codec, container=container)
    samples = read_audio(path, RATE)
    assert samples.dtype == np.float32
    (start, end), (again, last) = sounding(samples)
    assert (start, end, again, last) == pytest.approx((1.5, 2.5, 4.0, 5.0), abs=0.06)
    assert pitch(samples[int(1.7 * RATE) : int(2.3 * RATE)]) == pytest.approx(440, abs=3)
    assert pitch(samples[int(4.2 * RATE) : int(4.8 * RATE)]) == pytest.approx(880, abs=3)


def test_the_onset_is_exact_to_a_fraction_of_a_millisecond(tmp_path: Path, write_video: WriteVideo) -> None:
    """Resampling must not shift: 48 kHz to 16 kHz, a click at 1.25 s."""
    samples = np.zeros(96000, np.float32)
    samples[60000:60012] = 0.9
    path = write_video(tmp_path / "click.mkv", TIMES, audio=[(0.0, samples)])
    found = read_audio(path, RATE)
    assert np.argmax(np.abs(found)) / RATE == pytest.approx(1.25, abs=0.0003)
    assert len(found) == pytest.approx(2 * RATE, abs=16)


def test_sound_before_the_picture_begins_the_timeline(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "early.mkv", [time + 2000 for time in TIMES], audio=[(0.5, tone(1.0))])
    samples = read_audio(path, RATE)
    assert sounding(samples)[0] == pytest.approx((0.0, 1.0), abs=0.01)
    assert probe(path).duration_s == pytest.approx(2.0 + 6.0 - 0.5, abs=0.11)


def test_channels_are_averaged(tmp_path: Path, write_video: WriteVideo) -> None:
    left, right = tone(1.0, 440.0, 0.6), tone(1.0, 1000.0, 0.2)
    path = write_video(tmp_path / "two.mkv", TIMES, audio=[(0.0, np.stack([left, right]))], layout="stereo")
    samples = read_audio(path, 48000)
    assert np.abs(samples[:48000] - (left + right) / 2).max() < 1e-3
    six = np.zeros((6, 48000), np.float32)
    six[3] = tone(1.0, 100.0, 0.6)  # the bass channel, which a usual downmix drops
    path = write_video(tmp_path / "six.mkv", TIMES, audio=[(0.0, six)], layout="5.1")
    assert np.abs(read_audio(path, 48000)[:48000] - six[3] / 6).max() < 1e-3


@pytest.mark.parametrize("codec", ["aac", "flac", "pcm_s16le", "libopus"])
def test_eight_channels(codec: str, tmp_path: Path, write_video: WriteVideo) -> None:
    """As many planes as fit into a frame's own table; the library's reading of them runs past its end."""
    eight = np.stack([tone(1.0, 400.0, 0.8)] * 8)
    if codec == "flac":  # pcm and flac are packed; planar is what this is about
        eight[4:] = 0
    path = write_video(tmp_path / "eight.mkv", TIMES, audio=[(0.0, eight)], layout="7.1", audio_codec=codec)
    samples = read_audio(path, 48000)
    expected = 0.4 if codec == "flac" else 0.8
    assert float(np.abs(samples[10000:40000]).max()) == pytest.approx(
        expected, rel=0.15
    )  # aac cuts the bass channel
    assert pitch(samples[10000:40000], 48000) == pytest.approx(400, abs=4)


def test_resampled_tone_keeps_its_pitch_and_level(
    shared: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    for rate in (8000, 16000, 22050, 44100):
        path = write_video(tmp_path / "tone.mkv", TIMES, audio=[(0.0, tone(2.0, 997.0))])
        samples = read_audio(path, rate)
        middle = samples[rate // 2 : 3 * rate // 2]
        assert pitch(middle, rate) == pytest.approx(997, abs=2)
        assert float(np.sqrt(np.mean(middle**2))) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    sine = read_audio(shared / "audio" / "sine_mono_s16.wav", RATE)
    assert len(sine) == 4 * RATE


def test_real_sound_against_decoding_by_hand(shared: Path) -> None:
    """At the file's own rate nothing is resampled, so every sample must be there, in its place."""
    for name in (
        "clips/test-sample2.mp4",
        "formats/portrait.MOV",
        "clips/realshort.mp4",
        "formats/sample.3gp",
    ):
        path = shared / "media" / name
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert container.start_time is not None
            frames = list(container.decode(stream))
            first = frames[0].pts * stream.time_base - container.start_time / 1_000_000
            by_hand = np.concatenate([frame.to_ndarray().astype(np.float64).mean(axis=0) for frame in frames])
            if frames[0].format.name.startswith("s16"):
                by_hand /= 32768
            rate = stream.rate
        samples = read_audio(path, rate)
        lead = round(float(first) * rate)
        assert abs(lead) <= 5000
        assert len(samples) == len(by_hand) + lead, name
        body = samples[max(lead, 0) :]
        assert np.abs(body - by_hand[max(-lead, 0) :]).max() < 1e-5, name
        assert not samples[: max(lead, 0)].any()


def test_blocks_are_the_whole_cut_up(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "late.mkv", TIMES, audio=[(1.5, tone(1.0)), (4.0, tone(1.2))])
    whole = read_audio(path, RATE)
    for block_s in (0.1, 0.96, 60.0):
        blocks = list(iter_audio(path, RATE, block_s))
        assert {len(block) for block in blocks[:-1]} <= {round(block_s * RATE)}
        assert 0 < len(blocks[-1]) <= round(block_s * RATE)
        assert np.array_equal(np.concatenate(blocks), whole)
    for rate, block_s in ((0, 1.0), (RATE, 0.0)):
        with pytest.raises(ValueError, match="positive"):
            iter_audio(path, rate, block_s)


def test_no_sound_track_gives_no_samples(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "mute.mp4", TIMES)
    assert read_audio(path, RATE).shape == (0,)
    assert list(iter_audio(path, RATE, 1.0)) == []
    with pytest.raises(UnreadableMedia):
        read_audio(tmp_path / "gone.mp4", RATE)


def test_damaged_packets_pass_as_silence(tmp_path: Path, write_video: WriteVideo) -> None:
    noisy = (np.random.default_rng(2).standard_normal(96000 * 2) * 0.2).clip(-0.9, 0.9).astype(np.float32)
    mux = {"cluster_time_limit": "500"}  # where Matroska finds its way again
    path = write_video(tmp_path / "noisy.mkv", audio=[(0.0, noisy)], audio_codec="flac", mux_options=mux)
    whole = read_audio(path, 48000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    damaged = read_audio(path, 48000)
    assert len(damaged) == pytest.approx(len(whole), abs=5000)
    assert np.array_equal(damaged[:48000], whole[:48000])
    assert np.array_equal(damaged[3 * 48000 : 3 * 48000 + 40000], whole[3 * 48000 : 3 * 48000 + 40000])


def test_a_wild_timestamp_does_not_become_hours_of_silence(tmp_path: Path, write_video: WriteVideo) -> None:
    pieces = [(0.0, tone(1.0)), (90000.0, tone(1.0, 880.0))]
    path = write_video(tmp_path / "wild.mkv", TIMES, audio=pieces, mux_options={"live": "1"})
    samples = read_audio(path, RATE)
    assert len(samples) / RATE == pytest.approx(2.0, abs=0.1)
    assert pitch(samples[int(1.2 * RATE) : int(1.8 * RATE)]) == pytest.approx(880, abs=3)


def test_all_real_files_sound_as_long_as_they_last(media_files: list[Path], shared: Path) -> None:
    for path in (path for path in media_files if path.stat().st_size < 400_000):
        info, samples = probe(path), read_audio(path, RATE)
        assert bool(len(samples)) == info.has_audio, path.name
        if info.has_audio:
            assert len(samples) / RATE == pytest.approx(info.duration_s, abs=0.35), path.name
            assert np.isfinite(samples).all()


def test_an_early_end_closes_the_file(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "sound.mkv", TIMES, audio=[(0.0, tone(5.0))])
    before = set(os.listdir("/proc/self/fd"))
    blocks = iter_audio(path, RATE, 0.1)
    next(blocks)
    blocks.close()
    del blocks
    assert set(os.listdir("/proc/self/fd")) == before
