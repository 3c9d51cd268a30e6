"""What `probe` says of real files, of files written to be awkward, and of files that are no videos."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import socket
import stat
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media import probe, read_audio, read_frames, times_grid
from m2hf_core.media.container import open_media
from m2hf_core.media.reasons import explain

WriteVideo = Callable[..., Path]
TIMES = [0, 40, 80, 200, 1000, 1033, 1066, 2500, 2533, 4000, 4100, 9000, 9040]
SINE = (np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000) / 2).astype(np.float32)

# What belongs into `detail`: error numbers and the library's own words.
JARGON = re.compile(
    r"errno|ffmpeg|\bav\b|demux|codec|invalid data|moov|\d{4,}|exception|error", re.IGNORECASE
)


def reason(path: Path | str) -> UnreadableMedia:
    with pytest.raises(UnreadableMedia) as caught:
        probe(path)
    return caught.value


def test_real_files_agree_with_their_manifest(shared: Path, media_files: list[Path]) -> None:
    manifest = {entry["file"]: entry for entry in json.loads((shared / "MANIFEST.json").read_text())}
    for path in media_files:
        entry = manifest[str(path.relative_to(shared))]
        info = probe(path)
        assert info.duration_s == pytest.approx(entry["duration_s"], abs=0.1), path.name
        # The manifest counts counterclockwise, and its sizes are as stored.
        assert info.rotation == -entry["rotation"] % 360, path.name
        stored = (entry["width"], entry["height"])
        upright = stored if info.rotation in (0, 180) else stored[::-1]
        assert info.height == upright[1], path.name
        with av.open(str(path)) as container:
            aspect = float(container.streams.video[0].sample_aspect_ratio or 1)
        assert info.width == pytest.approx(upright[0] * aspect, rel=0.01), path.name
        assert info.has_audio == entry["has_audio"], path.name
        assert info.size_bytes == entry["bytes"], path.name


def test_every_broken_file_gets_a_reason_and_a_remedy_without_jargon(shared: Path) -> None:
    paths = sorted((shared / "media" / "broken").iterdir())
    assert len(paths) == 7
    for path in paths:
        error = reason(path)
        assert error.sentence.endswith(".")
        assert error.hint.endswith(".")
        assert not JARGON.search(str(error)), str(error)
        with pytest.raises(UnreadableMedia):
            next(read_frames(path, [0.0]))


def test_cut_off_recordings_are_called_that(shared: Path) -> None:
    broken = shared / "media" / "broken"
    for name in ("WrongFile.mp4", "broken.mp4", "fixture-isom.mp4", "fixture-isomv2.mp4"):
        assert "cut off before it was finished" in reason(broken / name).sentence
    for name in ("fixture-corrupt.mkv", "fixture.ogv"):
        assert "damaged" in reason(broken / name).sentence
    assert reason(broken / "result.webm").sentence == "The file is empty."


def test_sound_files_contain_no_video_even_with_a_cover(
    shared: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    sounds = sorted((shared / "audio").iterdir())
    assert any("attached-pic" in path.name for path in sounds)
    for path in [*sounds, write_video(tmp_path / "only.m4a", audio=[(0, SINE)], audio_codec="aac")]:
        assert reason(path).sentence == "The file contains no video."


def test_texts_pictures_and_programs_are_no_videos(shared: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_text("Dear grandmother, " * 100)
    noise = tmp_path / "noise.mkv"
    noise.write_bytes(np.random.default_rng(1).bytes(20000))
    for path in (text, noise, shared / "models" / "reference" / "dog_image.jpg"):
        assert "not a video" in reason(path).sentence


def test_missing_forbidden_and_odd_files(tmp_path: Path) -> None:
    assert "no longer there" in reason(tmp_path / "gone.mp4").sentence
    assert "not an ordinary file" in reason(tmp_path).sentence
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert "not an ordinary file" in reason(pipe).sentence  # and it does not wait for a writer
    refused = explain(tmp_path, PermissionError(errno.EACCES, "Permission denied"))
    assert "not allowed to read" in refused.sentence
    assert "drive" in explain(tmp_path, OSError(errno.EIO, "Input/output error")).sentence


def test_unreadable_survives_the_way_back_from_a_worker(tmp_path: Path) -> None:
    error = reason(tmp_path / "gone.mp4")
    again = pickle.loads(pickle.dumps(error))
    assert (again.sentence, again.hint, again.detail) == (error.sentence, error.hint, error.detail)


def test_an_unknown_codec_asks_for_another_form(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "odd.mp4", [0, 40])
    data = path.read_bytes()
    assert data.count(b"avc1") >= 1
    path.write_bytes(data.replace(b"avc1", b"zzq1"))
    error = reason(path)
    assert "cannot be decoded here" in error.sentence
    assert "Convert" in error.hint


def test_a_video_without_one_good_picture_says_so(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "hollow.mkv", TIMES, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xd8")  # the first picture; what stands before it is the container's header
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    assert "damaged" in reason(path).sentence


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("live.webm", {"codec": "libvpx-vp9", "mux_options": {"live": "1"}}),
        ("live.mkv", {"mux_options": {"live": "1"}}),
        ("unknown.flv", {"mux_options": {"flvflags": "no_duration_filesize"}}),
        ("stream.ts", {"container": "mpegts"}),
        (
            "stream.mpg",
            {"codec": "mpeg2video", "container": "mpeg", "at_25": True},
        ),
        ("video.h264", {"container": "h264", "at_25": True}),
        ("video.avi", {"codec": "mpeg4", "at_25": True}),
    ],
)
def test_durations_without_a_header(name: str, options: dict[str, object], tmp_path: Path, request) -> None:
    write_video: WriteVideo = request.getfixturevalue("write_video")
    options = dict(options)
    times = [i * 40 for i in range(60)] if options.get("at_25") else TIMES
    if options.pop("at_25", False):
        options["fps"] = 25
    path = write_video(tmp_path / name, times, **options)
    assert probe(path).duration_s == pytest.approx(times[-1] / 1000, abs=0.15)


def test_a_copy_that_was_cut_off_lasts_as_long_as_it_really_does(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    times = [i * 40 for i in range(1000)]
    path = write_video(
        tmp_path / "whole.mp4", times, mux_options={"movflags": "faststart"}, options={"g": "25", "crf": "1"}
    )
    assert probe(path).duration_s == pytest.approx(40.0, abs=0.1)
    data = path.read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(data[: len(data) // 2])
    info = probe(half)
    with av.open(str(half)) as container:
        whole = [p for p in container.demux(video=0) if p.size and not p.is_corrupt and p.pts is not None]
        ends = max(float(packet.pts * packet.time_base) for packet in whole)
    assert 1 < ends < 39
    assert info.duration_s == pytest.approx(ends, abs=0.2)
    frames = list(read_frames(half, times_grid(info)))
    assert len({frame.pts_s for frame in frames}) == len(frames)


@pytest.mark.parametrize("with_sound", [True, False])
def test_a_damaged_frame_rate_makes_no_film_of_years(
    with_sound: bool, tmp_path: Path, write_video: WriteVideo
) -> None:
    """An AVI that says each of its 50 frames is shown for two years; its sound still tells how long it is."""
    tone = np.sin(np.arange(96000) / 20).astype(np.float32) / 2
    sound = {"audio": [(0.0, tone)], "audio_codec": "mp2"} if with_sound else {}
    path = write_video(tmp_path / "a.avi", [i * 40 for i in range(50)], codec="mpeg4", fps=25, **sound)
    data = bytearray(path.read_bytes())
    scale = data.index(b"vids") + 20  # kind, codec, flags, priorities, first frames; then scale and rate
    data[scale : scale + 8] = (62_411_243).to_bytes(4, "little") + (1).to_bytes(4, "little")
    path.write_bytes(data)
    assert probe(path).duration_s == pytest.approx(2.0 if with_sound else 0.04, abs=0.1)


def test_turned_mirrored_and_stretched_pictures(tmp_path: Path, write_video: WriteVideo) -> None:
    for degrees, expected in ((0, 0), (-90, 90), (180, 180), (90, 270)):
        info = probe(write_video(tmp_path / "turned.mp4", [0, 40], rotation=degrees))
        assert info.rotation == expected
        assert (info.width, info.height) == ((128, 96) if expected in (0, 180) else (96, 128))
    wide = probe(write_video(tmp_path / "wide.mp4", [0, 40], aspect=Fraction(2, 1)))
    assert (wide.width, wide.height) == (256, 96)
    turned = probe(write_video(tmp_path / "both.mp4", [0, 40], aspect=Fraction(2, 1), rotation=-90))
    assert (turned.width, turned.height) == (96, 256)
    nearly = probe(write_video(tmp_path / "nearly.mp4", [0, 40], aspect=Fraction(640, 639)))
    assert (nearly.width, nearly.height) == (128, 96)


@pytest.mark.parametrize(
    "name",
    [
        "a%03d.mp4",
        "http:example.mp4",
        "-i.mp4",
        "concat:a|b.mp4",
        "file:x.mp4",
        "a b\n'\".mp4",
        "märz 影.mp4",
        b"\xff\xfe.mp4",
    ],
)
def test_names_are_only_names(
    name: str | bytes, tmp_path: Path, write_video: WriteVideo, monkeypatch
) -> None:
    plain = write_video(tmp_path / "plain.mp4", TIMES, audio=[(0, SINE)], audio_codec="aac")
    odd = tmp_path / (os.fsdecode(name) if isinstance(name, bytes) else name)
    plain.rename(odd)
    assert probe(odd).duration_s > 9
    monkeypatch.chdir(tmp_path)
    relative = Path(odd.name)
    assert len(list(read_frames(relative, [0.0, 5.0]))) == 2
    assert len(read_audio(relative, 16000)) == pytest.approx(16000, abs=1600)


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".mpd", ".ts", ".ffconcat", ".sdp"])
def test_playlists_reach_neither_files_nor_network(
    suffix: str, tmp_path: Path, write_video: WriteVideo
) -> None:
    write_video(tmp_path / "target.ts", TIMES, container="mpegts")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        web = f"http://127.0.0.1:{listener.getsockname()[1]}/x.ts"
        playlists = [
            f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
            for target in (web, "target.ts", str(tmp_path / "target.ts"), f"file:{tmp_path / 'target.ts'}")
        ]
        playlists += [f"ffconcat version 1.0\nfile '{target}'\n" for target in (web, "target.ts")]
        playlists.append(
            f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{web}</BaseURL></Period></MPD>'
        )
        playlists.append(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        )
        playlists.append(f"[playlist]\nFile1={web}\n")
        for text in playlists:
            path = tmp_path / f"list{suffix}"
            path.write_text(text)
            assert "not a video" in reason(path).sentence
        with pytest.raises(TimeoutError):
            listener.accept()


def test_nothing_stays_open(tmp_path: Path, write_video: WriteVideo, shared: Path) -> None:
    path = write_video(tmp_path / "plain.mkv", TIMES, audio=[(0, SINE)])
    before = set(os.listdir("/proc/self/fd"))
    probe(path)
    frames = read_frames(path, [0.0, 1.0, 2.0])
    next(frames)
    frames.close()
    with pytest.raises(UnreadableMedia):
        probe(shared / "media" / "broken" / "fixture-corrupt.mkv")
    with pytest.raises(RuntimeError), open_media(path):
        raise RuntimeError
    assert set(os.listdir("/proc/self/fd")) == before


def test_nothing_is_said_on_the_terminal(shared: Path, media_files: list[Path], capfd) -> None:
    small = [path for path in media_files if path.stat().st_size < 300_000]
    for path in [*small, *sorted((shared / "media" / "broken").iterdir())]:
        try:
            list(read_frames(path, [0.0]))
        except UnreadableMedia:
            continue
    assert capfd.readouterr() == ("", "")


def test_grid_takes_the_middle_of_each_second(tmp_path: Path, write_video: WriteVideo) -> None:
    short = probe(write_video(tmp_path / "short.mp4", [i * 30 for i in range(10)]))
    assert short.duration_s == pytest.approx(0.3, abs=0.05)
    assert times_grid(short) == [pytest.approx(short.duration_s / 2)]
    long = probe(write_video(tmp_path / "long.mp4", [i * 100 for i in range(37)]))
    assert times_grid(long) == pytest.approx([0.5, 1.5, 2.5, 3 + (long.duration_s - 3) / 2])
    assert times_grid(long, 2.0) == pytest.approx([1.0, 2 + (long.duration_s - 2) / 2])
    with pytest.raises(ValueError, match="positive"):
        times_grid(long, 0)
