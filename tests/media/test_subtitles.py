"""Subtitles as people have them: sidecars in many encodings and states, and tracks inside the file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.media import probe, read_subtitles
from m2hf_core.media.cues import clean_text, decode_text, parse_cues
from m2hf_core.records import Transcript

WriteVideo = Callable[..., Path]
SRT = "1\n00:00:01,000 --> 00:00:02,500\nA dog barks.\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo cats\nsleep.\n"


@pytest.fixture
def video(tmp_path: Path, write_video: WriteVideo) -> Path:
    return write_video(tmp_path / "film.mp4", [i * 200 for i in range(26)])


def read(path: Path) -> Transcript | None:
    return read_subtitles(path, probe(path))


def test_srt_beside_the_video(video: Path) -> None:
    assert read(video) is None
    video.with_suffix(".srt").write_text(SRT)
    transcript = read(video)
    assert transcript is not None
    assert (transcript.source, transcript.language) == ("sidecar", None)
    assert [(line.text, line.start_s, line.end_s) for line in transcript.lines] == [
        ("A dog barks.", 1.0, 2.5),
        ("Two cats sleep.", 3.0, 4.0),
    ]


def test_which_sidecar(video: Path) -> None:
    def chosen() -> tuple[str, str | None]:
        transcript = read(video)
        assert transcript is not None
        return transcript.lines[0].text, transcript.language

    for name, expected in (
        ("film.en.forced.srt", ("film.en.forced.srt", "en")),
        ("film.de.srt", ("film.de.srt", "de")),
        ("film.english.vtt", ("film.english.vtt", "en")),
        ("film.en.srt", ("film.en.srt", "en")),
        ("film.vtt", ("film.vtt", None)),
        ("film.SRT", ("film.SRT", None)),
        ("film.part2.srt", ("film.SRT", None)),
        ("film2.srt", ("film.SRT", None)),
        ("film.txt", ("film.SRT", None)),
    ):
        (video.parent / name).write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{name}\n")
        assert chosen() == expected


def test_an_empty_sidecar_is_passed_over(video: Path) -> None:
    video.with_suffix(".srt").write_text("nothing here\n")
    (video.parent / "film.fr.srt").write_text(SRT)
    transcript = read(video)
    assert transcript is not None
    assert transcript.language == "fr"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
def test_encodings(encoding: str, video: Path) -> None:
    text = SRT.replace("A dog barks.", "Wo käme er über die Straße? Déjà vu.")
    video.with_suffix(".srt").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    transcript = read(video)
    assert transcript is not None
    assert transcript.lines[0].text == "Wo käme er über die Straße? Déjà vu."


def test_webvtt_with_all_its_furniture() -> None:
    text = """\ufeffWEBVTT - a title

STYLE
::cue { color: red }

NOTE 00:00:00.000 is not a cue

intro
00:01.000 --> 00:02.000 align:start position:10%
<v Roger Bingham>We are in <i>New York</i> City &amp; <00:01.500>far <c.yellow>away</c>

01:00:03.250 --> 01:00:04.000
- Second
"""
    assert [(line.text, line.start_s, line.end_s) for line in parse_cues(text)] == [
        ("We are in New York City & far away", 1.0, 2.0),
        ("- Second", 3603.25, 3604.0),
    ]


def test_half_broken_srt_keeps_its_good_half() -> None:
    text = """1
00:00:01,000 --> 00:00:02,000
first
2
00:00:02,000 -> 00:00:03,000
lost
3
00:00:05,000 --> 00:00:04,000
ends before it begins

4
00:00:06,000 --> 00:00:09,000
{\\an8}<font color="#fff">over</font>lapping
5
00:00:07.5 --> 00:00:08,0
7 samurai
6
00:00:10,000 --> 00:00:11,000


00:00:12,000 --> 00:00:13,000
without a number
8
xx:00:14,000 --> 00:00:15,000
"""
    lines = parse_cues(text)
    assert [(line.text, line.start_s, line.end_s) for line in lines][1:] == [
        ("overlapping", 6.0, 9.0),
        ("7 samurai", 7.5, 8.0),
        ("without a number 8 xx:00:14,000 --> 00:00:15,000", 12.0, 13.0),
    ]
    assert lines[0].text.startswith("first")


def test_styling_is_stripped_and_comparisons_stay() -> None:
    assert clean_text(r"{\pos(1,2)}<b>Hello</b>\Nworld &lt;3") == "Hello world <3"
    assert clean_text("if a < b and c > d") == "if a < b and c > d"


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_failing(data: bytes) -> None:
    for line in parse_cues(decode_text(data)):
        assert line.text
        assert line.end_s > line.start_s


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**7),
            st.integers(1, 10**5),
            st.from_regex(r"[a-z][a-z ]{0,20}[a-z]", fullmatch=True),
        ),
        max_size=6,
    )
)
def test_what_is_written_is_read(cues: list[tuple[int, int, str]]) -> None:
    def stamp(ms: int) -> str:
        return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    text = "\n".join(
        f"{i}\n{stamp(start)} --> {stamp(start + length)}\n{words}\n"
        for i, (start, length, words) in enumerate(cues, 1)
    )
    read_back = [
        (round(line.start_s * 1000), round(line.end_s * 1000), line.text) for line in parse_cues(text)
    ]
    expected = [(start, start + length, " ".join(words.split())) for start, length, words in cues]
    assert sorted(read_back) == sorted(expected)
    assert [line.start_s for line in parse_cues(text)] == sorted(line.start_s for line in parse_cues(text))


def _with_tracks(
    path: Path, source: Path, tracks: list[tuple[str, str | None, list[tuple[int, int, str]]]]
) -> Path:
    """Copy `source` and add text tracks of (codec, language, cues in ms)."""
    with av.open(str(source)) as read_from, av.open(str(path), "w") as output:
        video = read_from.streams.video[0]
        copied = output.add_stream_from_template(video)
        added = []
        for codec, language, cues in tracks:
            stream = output.add_stream(codec)
            stream.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.time_base = Fraction(1, 1000)
            if language:
                stream.metadata["language"] = language
            added.append((stream, cues))
        for packet in read_from.demux(video):
            if packet.dts is not None:
                packet.stream = copied
                output.mux(packet)
        for stream, cues in added:
            for start, end, text in cues:
                data = text.encode()
                if stream.codec_context.name == "mov_text":
                    data = len(data).to_bytes(2, "big") + data
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = start
                packet.duration = end - start
                output.mux(packet)
    return path


@pytest.mark.parametrize(("name", "codec"), [("e.mkv", "subrip"), ("e.mp4", "mov_text"), ("f.mkv", "webvtt")])
def test_embedded_tracks(name: str, codec: str, tmp_path: Path, video: Path) -> None:
    try:
        path = _with_tracks(
            tmp_path / name,
            video,
            [
                (codec, "ger", [(1000, 2000, "Ein Hund bellt."), (2500, 3000, "Ende")]),
                (codec, "eng", [(1000, 2000, "A <i>dog</i> barks."), (2500, 3000, "End")]),
            ],
        )
    except (av.FFmpegError, ValueError, NotImplementedError, AttributeError) as error:
        pytest.skip(f"this build cannot write such a track: {error}")
    info = probe(path)
    assert [track.language for track in info.subtitles] == ["ger", "eng"]
    assert {track.codec for track in info.subtitles} <= {codec, "srt"}
    transcript = read_subtitles(path, info)
    assert transcript is not None
    assert transcript.source == "embedded"
    assert transcript.language in ("eng", "ger")
    assert [(line.start_s, line.end_s) for line in transcript.lines] == [(1.0, 2.0), (2.5, 3.0)]
    words = {"eng": ["A dog barks.", "End"], "ger": ["Ein Hund bellt.", "Ende"]}
    assert [line.text for line in transcript.lines] == words[transcript.language or ""]
    path.with_suffix(".srt").write_text(SRT)
    again = read_subtitles(path, info)
    assert again is not None
    assert again.source == "sidecar"
