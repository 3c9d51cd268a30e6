"""Which picture is on the screen at t: against numbered pictures, and against decoding everything by hand."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media import frames as frames_module
from m2hf_core.media import probe, read_frames, times_grid

WriteVideo = Callable[..., Path]
NumberOf = Callable[[np.ndarray], int]
STRATEGIES = ("stream", "skip", "seek", "auto")
SINE = (np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000) / 2).astype(np.float32)

# Uneven on purpose: bursts, pauses, a jump of 30 s.
TIMES = [
    0,
    40,
    80,
    200,
    1000,
    1033,
    1066,
    2500,
    2533,
    2600,
    4000,
    4100,
    4200,
    4300,
    9000,
    9040,
    39000,
    39500,
    39520,
]
X264 = {"options": {"g": "4", "bf": "3", "b-adapt": "0"}}
KINDS: dict[str, dict[str, object]] = {
    "b-frames.mp4": X264,
    "b-frames.mkv": X264,
    "one-keyframe.mp4": {"options": {"g": "1000", "bf": "3", "b-adapt": "0"}},
    "b-pyramid.mkv": {
        "options": {"g": "8", "bf": "4", "b-adapt": "0", "x264-params": "b-pyramid=normal:open-gop=1"}
    },
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"g": "5", "x265-params": "log-level=none:pools=1:frame-threads=1"},
    },
    "stream.ts": {"container": "mpegts", **X264},
    "video.flv": X264,
    "fragments.mp4": {"mux_options": {"movflags": "frag_keyframe+empty_moov"}, **X264},
    "late-start.mp4": {"shift": 5000, **X264},
    "late-start.mkv": {"shift": 5000, **X264},
    "late-start.ts": {"shift": 5000, "container": "mpegts", **X264},
    "live.webm": {"codec": "libvpx-vp9", "mux_options": {"live": "1"}, "options": {"g": "5"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "5", "auto-alt-ref": "1", "lag-in-frames": "5"}},
    "ten-bit.mp4": {"pix_fmt": "yuv420p10le", **X264},
    "stills.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    written = {}
    for name, kind in KINDS.items():
        options = dict(kind)
        shift = options.pop("shift", 0)
        written[name] = write_video(folder / name, [time + shift for time in TIMES], **options)
    return written


def expected_number(time_s: float, times_ms: Sequence[int] = TIMES) -> int:
    return max(0, bisect_right(times_ms, time_s * 1000 + 0.5) - 1)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=8)
@given(
    times=st.lists(st.integers(-1000, 42000).map(lambda ms: ms / 1000), min_size=1, max_size=8).map(sorted),
    own=st.lists(st.sampled_from(TIMES).map(lambda ms: ms / 1000), max_size=5).map(sorted),
)
def test_the_frame_on_the_screen(
    name: str, times: list[float], own: list[float], videos: dict[str, Path], number_of: NumberOf
) -> None:
    asked = sorted([*times, *own])
    for strategy in STRATEGIES:
        frames = list(read_frames(videos[name], asked, strategy=strategy))
        assert [frame.asked_s for frame in frames] == asked
        # Half a millisecond: Matroska and FLV round to milliseconds, and a tick of them is our truth.
        assert [number_of(frame.image) for frame in frames] == [expected_number(time) for time in asked], (
            strategy
        )
        shown = [TIMES[expected_number(time)] / 1000 for time in asked]
        assert [frame.pts_s for frame in frames] == pytest.approx(shown, abs=0.001)


def test_a_frames_own_time_finds_that_frame(videos: dict[str, Path]) -> None:
    for path in videos.values():
        own = sorted({frame.pts_s for frame in read_frames(path, [time / 1000 for time in TIMES])})
        assert len(own) == len(TIMES)
        assert [frame.pts_s for frame in read_frames(path, own)] == own


def test_times_within_one_picture_share_its_array(videos: dict[str, Path]) -> None:
    first, second = read_frames(videos["b-frames.mp4"], [5.0, 6.0])
    assert first.image is second.image


def test_asked_times_must_ascend_and_be_finite(videos: dict[str, Path]) -> None:
    path = videos["b-frames.mp4"]
    for times in ([1.0, 0.5], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match="asked times must"):
            read_frames(path, times)
    assert list(read_frames(path, [])) == []


def test_sound_before_the_picture_moves_the_zero(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    for name in ("early.mkv", "early.mp4", "early.ts"):
        container = "mpegts" if name.endswith("ts") else None
        path = write_video(
            tmp_path / name,
            [time + 3000 for time in TIMES],
            container=container,
            audio=[(1.0, SINE)],
            audio_codec="mp2" if container else "aac",
            **X264,
        )
        frames = list(read_frames(path, [0.0, 2.3, 3.03]))
        assert [number_of(frame.image) for frame in frames] == [0, 3, 4]
        assert [frame.pts_s for frame in frames] == pytest.approx(
            [2.0, 2.2, 3.0], abs=0.08
        )  # aac and mp2 lead in


def test_one_picture_and_the_shortest_clips(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    one = write_video(tmp_path / "one.mp4", [0])
    for strategy in STRATEGIES:
        assert [number_of(frame.image) for frame in read_frames(one, [0.0, 7.0], strategy=strategy)] == [0, 0]
    short = write_video(tmp_path / "short.webm", [i * 30 for i in range(10)], codec="libvpx-vp9")
    grid = times_grid(probe(short))
    assert [number_of(frame.image) for frame in read_frames(short, grid)] == [4]


def _decode_by_hand(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(seconds after the container's start, RGB as stored) of every frame, with plain PyAV.

    On one thread: FFmpeg's VP8 decoder with slice threads, PyAV's default, gives other pixels once in a thousand times
    on a busy machine (measured; with frame threads, which we use, never in 1,950).
    """
    with av.open(str(path)) as container:
        start = Fraction(container.start_time or 0, 1_000_000)
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        assert stream.time_base is not None
        return [
            (frame.pts * stream.time_base - start, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
            if frame.pts is not None
        ]


def _check_against_hand(path: Path, step_s: float) -> None:
    by_hand = _decode_by_hand(path)
    starts = [time for time, _ in by_hand]
    asked = times_grid(probe(path), step_s)
    frames = list(read_frames(path, asked))
    for time, frame in zip(asked, frames, strict=True):
        expected = max(0, bisect_right(starts, Fraction(time) + Fraction(1, 1_000_000)) - 1)
        assert frame.pts_s == pytest.approx(float(starts[expected])), path.name
        stored = by_hand[expected][1]
        if frame.image.shape == stored.shape and probe(path).rotation == 0:
            assert np.array_equal(frame.image, stored), path.name


def test_small_real_files_against_decoding_by_hand(media_files: list[Path]) -> None:
    small = [path for path in media_files if path.stat().st_size < 100_000 and path.name != "test.avi"]
    assert len(small) >= 8
    for path in small:
        _check_against_hand(path, 0.25)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_real_files_against_decoding_by_hand(media_files: list[Path]) -> None:
    for path in media_files:
        if path.name != "test.avi":  # its timestamps run backwards; see the test of the clock
            _check_against_hand(path, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step_s", [0.13, 1.0, 3.7])
def test_all_strategies_agree_on_all_real_files(step_s: float, media_files: list[Path]) -> None:
    for path in media_files:
        grid = times_grid(probe(path), step_s)
        answers = [
            [
                (frame.pts_s, frame.image.tobytes())
                for frame in read_frames(path, grid, max_side=96, strategy=strategy)
            ]
            for strategy in STRATEGIES
        ]
        assert answers[1:] == answers[:1] * 3, path.name


def test_strategies_agree_on_small_real_files(media_files: list[Path]) -> None:
    for path in (path for path in media_files if path.stat().st_size < 100_000):
        grid = times_grid(probe(path), 0.4)
        answers = [
            [(f.pts_s, f.image.tobytes()) for f in read_frames(path, grid, strategy=s)] for s in STRATEGIES
        ]
        assert answers[1:] == answers[:1] * 3, path.name


def test_old_444_streams_survive_a_jump(shared: Path) -> None:
    """x264's version stands in the first packet only, and the decoder needs it for its older 4:4:4 streams."""
    path = shared / "media" / "clips" / "cockatoo.mp4"
    jumped = next(read_frames(path, [12.6], strategy="seek", max_side=64))
    streamed = next(read_frames(path, [12.6], strategy="stream", max_side=64))
    assert np.array_equal(jumped.image, streamed.image)


def test_backward_timestamps_still_give_every_picture_in_order(shared: Path) -> None:
    path = shared / "media" / "clips" / "test.avi"
    starts = [time for time, _ in _decode_by_hand(path)]
    assert starts != sorted(starts)  # the file is as odd as the test needs it
    frames = list(read_frames(path, [i / 25 for i in range(164)]))
    assert [frame.pts_s for frame in frames] == sorted(frame.pts_s for frame in frames)
    assert all(frame.pts_s <= frame.asked_s + 0.041 for frame in frames)
    assert len({frame.image.tobytes() for frame in frames}) > 150


def test_frames_without_any_timestamp(tmp_path: Path, write_video: WriteVideo, number_of: NumberOf) -> None:
    path = write_video(
        tmp_path / "raw.h264", [i * 40 for i in range(50)], container="h264", options={"bf": "0"}, fps=25
    )
    info = probe(path)
    assert info.duration_s == pytest.approx(2.0)
    numbers = [number_of(frame.image) for frame in read_frames(path, times_grid(info, 0.2))]
    assert numbers == [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]


@pytest.mark.parametrize(("name", "codec"), [("damaged.mkv", "libx264"), ("damaged.mp4", "mpeg4")])
def test_a_damaged_stretch_loses_only_itself(
    name: str, codec: str, tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    # Matroska finds its way again at the next cluster; people's files have one every few seconds, too.
    mux = {"cluster_time_limit": "1000"} if name.endswith("mkv") else {}
    times = [i * 40 for i in range(200)]
    path = write_video(tmp_path / name, times, codec=codec, options={"g": "10"}, mux_options=mux)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.default_rng(3).bytes(600)
    path.write_bytes(data)
    for strategy in STRATEGIES:
        asked = [0.0, 1.0, 2.0, 6.5, 7.0, 7.8]
        numbers = [number_of(frame.image) for frame in read_frames(path, asked, strategy=strategy)]
        assert numbers == [0, 25, 50, 162, 175, 195], strategy


def test_a_cut_off_tail_keeps_what_is_there(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    for container in ("matroska", "mpegts"):
        path = write_video(
            tmp_path / f"cut.{container}", [i * 40 for i in range(200)], container=container, **X264
        )
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        frames = list(read_frames(path, [1.0, 2.0, 7.9]))
        assert [number_of(frame.image) for frame in frames[:2]] == [25, 50]
        assert 50 < number_of(frames[2].image) < 199


def test_a_file_that_vanishes_while_it_is_read(
    videos: dict[str, Path], tmp_path: Path, number_of: NumberOf
) -> None:
    path = tmp_path / "going.mkv"
    path.write_bytes(videos["b-frames.mkv"].read_bytes())
    frames = read_frames(path, [0.0, 39.6])
    next(frames)
    path.unlink()
    assert number_of(next(frames).image) == len(TIMES) - 1  # the open file stays readable
    with pytest.raises(UnreadableMedia, match="no longer there"):
        next(read_frames(path, [0.0]))


def test_a_failing_drive_is_not_called_a_damaged_file(videos: dict[str, Path], monkeypatch) -> None:
    frames = read_frames(videos["one-keyframe.mp4"], [0.0, 39.0], strategy="stream")
    next(frames)
    with pytest.raises(UnreadableMedia, match="drive"):
        _read_all_with_failing_drive(videos["b-frames.mkv"], monkeypatch)
    frames.close()


def _read_all_with_failing_drive(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.read, iter(range(10**6))

    def failing(descriptor: int, count: int) -> bytes:
        if next(calls) > 0:
            raise OSError(5, "Input/output error")
        return real(descriptor, min(count, 2000))

    with monkeypatch.context() as patch:
        patch.setattr("m2hf_core.media.container.os.read", failing)
        list(read_frames(path, [0.0, 39.0]))


def test_a_false_keyframe_falls_back_to_decoding_in_order(
    tmp_path: Path, write_video: WriteVideo, number_of: NumberOf
) -> None:
    """Some muxers mark every packet as a keyframe; starting at such a one gives no picture or a wrong one."""
    path = write_video(tmp_path / "all-sync.mp4", TIMES, options={"g": "1000", "bf": "0"})
    data = path.read_bytes()
    assert data.count(b"stss") == 1
    path.write_bytes(data.replace(b"stss", b"free"))
    for strategy in STRATEGIES:
        numbers = [
            number_of(frame.image) for frame in read_frames(path, [2.55, 9.01, 39.6], strategy=strategy)
        ]
        assert numbers == [8, 14, 18], strategy


def test_pending_packets_are_bounded(videos: dict[str, Path], number_of: NumberOf, monkeypatch) -> None:
    monkeypatch.setattr("m2hf_core.media.window_picker._PENDING_BYTES", 1500)
    numbers = [
        number_of(frame.image) for frame in read_frames(videos["one-keyframe.mp4"], [0.05, 4.05, 39.6])
    ]
    assert numbers == [1, 10, 18]


def test_threads_change_nothing(videos: dict[str, Path]) -> None:
    assert frames_module.THREADS >= 1
    asked = [0.5, 2.55, 9.0]
    for name in ("b-frames.mp4", "vp8.webm"):
        answers = [
            [f.image.tobytes() for f in read_frames(videos[name], asked, threads=n)] for n in (1, 2, 4)
        ]
        assert answers[1:] == answers[:1] * 2
