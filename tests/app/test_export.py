"""Exports are read back by other code than wrote them, and name the exact frame."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.export import Moment, export, read_results
from app.services.export_edit import RATES, write
from m2hf_core.errors import KnownError
from m2hf_core.media.cutting import EditInfo, cut, edit_info

NTSC = Fraction(30000, 1001)


def hit(video: Path, start_s: float, end_s: float, **more: object) -> dict[str, object]:
    return {
        "rank": 1, "video": str(video), "start_s": start_s, "end_s": end_s, "best_s": start_s, "title": video.name,
        "won_by": ["visual"], "likelihood": "likely",
    } | more  # fmt: skip


def document(*hits: dict[str, object], query: str = "a dog") -> str:
    return json.dumps({"query": query, "hits": list(hits)})


def info(path: Path, rate: Fraction, audio: bool = True, timecode: str | None = None) -> EditInfo:
    return EditInfo(path, rate, 600.0, audio, 48000 if audio else 0, 640, 360, timecode)


def render(path: Path, rate: Fraction, seconds: float, audio: bool = True, gop: int = 12) -> Path:
    """Frame n is gray level 2n (mod 250); a keyframe every `gop` frames."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=rate, options={"crf": "10", "x264-params": f"keyint={gop}:scenecut=0"}
        )
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000) if audio else None
        for number in range(round(seconds * rate)):
            level = np.full((48, 64, 3), 2 * number % 250, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(level, "rgb24")))
        container.mux(video.encode(None))
        if sound is not None:
            for block in range(round(seconds * 16000 / 1024)):
                samples = np.zeros((1, 1024), np.float32)
                frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
                frame.sample_rate, frame.pts = 16000, block * 1024
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("media") / "dog & 'cat'.mp4", Fraction(25), 4.0)


moments = st.lists(
    st.tuples(st.integers(0, 14_000), st.integers(1, 900), st.sampled_from(RATES), st.booleans()),
    min_size=1,
    max_size=6,
)


def drawn(
    rows: list[tuple[int, int, Fraction, bool]],
) -> tuple[list[Moment], dict[Path, EditInfo], list[tuple[int, int]]]:
    """Moments at known frames, with times rounded to milliseconds as JSON has them."""
    wanted, infos, chosen = [], {}, []
    for number, (start, length, rate, audio) in enumerate(rows):
        path = Path(f"/v/a {number} é.mp4")
        start = min(start, round(500 * rate) - 1000)
        start = max(start, 0)
        infos[path] = info(path, rate, audio)
        span = (round(float(start / rate), 3), round(float((start + length) / rate), 3))
        wanted.append(Moment(number + 1, path, *span, path.name, {}))
        chosen.append((start, length))
    return wanted, infos, chosen


@given(moments)
def test_opentimelineio_names_the_exact_frames(rows: list[tuple[int, int, Fraction, bool]]) -> None:
    wanted, infos, chosen = drawn(rows)
    texts, _ = write("otio", "a dog", wanted, infos)
    timeline = otio.adapters.read_from_string(texts[""], "otio_json")
    assert timeline.name == "a dog"
    for track in timeline.tracks:
        for item, moment, (start, length) in zip(track, wanted, chosen, strict=True):
            assert item.source_range.duration.value == length
            assert item.source_range.start_time.rate == float(infos[moment.video].rate)
            if isinstance(item, otio.schema.Clip):
                assert item.source_range.start_time.value == start
                assert item.media_reference.target_url == moment.video.as_uri()
            else:
                assert track.kind == "Audio"
                assert not infos[moment.video].has_audio
    kinds = [track.kind for track in timeline.tracks]
    assert kinds == (["Video", "Audio"] if any(i.has_audio for i in infos.values()) else ["Video"])


@given(moments)
def test_edit_lists_are_read_back_by_another_reader(rows: list[tuple[int, int, Fraction, bool]]) -> None:
    wanted, infos, chosen = drawn(rows)
    texts, notes = write("edl", "a dog", wanted, infos)
    assert notes == []
    assert len(texts) == len({i.rate for i in infos.values()}), "one list per frame rate"
    for text in texts.values():
        rate = next(r for r in RATES if text == texts.get(f"{float(r):.3f}".rstrip("0").rstrip(".")))
        own = [(m, c) for m, c in zip(wanted, chosen, strict=True) if infos[m.video].rate == rate]
        if rate > 60:
            continue  # the reader knows no timecode beyond 60
        timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=float(rate))
        tracks = {"Video": [], "Audio": []}
        for track in timeline.tracks:
            tracks[track.kind].extend(item for item in track if isinstance(item, otio.schema.Clip))
        found = [
            (int(i.source_range.start_time.value), int(i.source_range.duration.value))
            for i in tracks["Video"]
        ]
        assert found == [c for _, c in own]
        assert [i.name for i in tracks["Video"]] == [m.title for m, _ in own]
        loud = [c for m, c in own if infos[m.video].has_audio]
        heard = {
            (int(i.source_range.start_time.value), int(i.source_range.duration.value))
            for i in tracks["Audio"]
        }
        assert heard == set(loud)


@given(moments)
def test_fcpxml_counts_in_exact_fractions(rows: list[tuple[int, int, Fraction, bool]]) -> None:
    wanted, infos, chosen = drawn(rows)
    texts, _ = write("fcpxml", "a < b & c", wanted, infos)
    root = ET.fromstring(texts[""].split("<!DOCTYPE fcpxml>")[1])
    frames = {e.get("id"): _fraction(e.get("frameDuration")) for e in root.iter("format")}
    sources = {e.get("id"): (e.find("media-rep").get("src"), e.get("hasAudio")) for e in root.iter("asset")}
    assert len({e.get("id") for e in root.find("resources")}) == len(root.find("resources"))
    found = []
    for spine in root.iter("spine"):
        at = Fraction(0)
        for element in spine:
            frame = frames[element.get("format")]
            assert _fraction(element.get("offset")) == at
            at += _fraction(element.get("duration"))
            start, length = (
                _fraction(element.get("start")) / frame,
                _fraction(element.get("duration")) / frame,
            )
            assert start.denominator == length.denominator == 1, "whole frames"
            source, audio = sources[element.get("ref")]
            found.append((source, int(start), int(length), 1 / frame, audio == "1"))
    plain = [
        (m.video.as_uri(), *c, infos[m.video].rate, infos[m.video].has_audio)
        for m, c in zip(wanted, chosen, strict=True)
    ]
    assert sorted(found) == sorted(plain)


def _fraction(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


def test_camera_timecode_and_odd_rates(tmp_path: Path) -> None:
    odd, camera = tmp_path / "odd.mp4", tmp_path / "camera.mov"
    infos = {odd: info(odd, Fraction(25, 2)), camera: info(camera, NTSC, timecode="10:00:00:05")}
    chosen = [Moment(1, odd, 2.0, 3.0, "odd", {}), Moment(2, camera, 1.001, 2.002, "camera", {})]
    texts, notes = write("edl", "q", chosen, infos)
    assert set(texts) == {"25", "29.97"}
    assert "10:00:01:05 10:00:02:05" in texts["29.97"]
    assert len(notes) == 1
    assert "odd.mp4 runs at 12.500" in notes[0]
    assert "written at 25.000" in notes[0]


def test_tables_hold_what_was_found(tmp_path: Path) -> None:
    text = document(hit(tmp_path / "=cmd.mp4", 1.5, 2.25, title="=1+1", words=["x"]), query="-dog")
    rows = list(csv.DictReader(io.StringIO(export(read_results(text), "csv").texts[""])))
    assert rows[0]["title"] == "'=1+1", "a spreadsheet must not run it"
    assert (rows[0]["start_s"], rows[0]["end_s"], rows[0]["won_by"]) == ("1.5", "2.25", "visual")
    (line,) = export(read_results(text), "jsonl").texts[""].splitlines()
    assert json.loads(line)["title"] == "=1+1"
    assert json.loads(line)["query"] == "-dog"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "{}", "null", '{"hits": 3}', '{"hits": []}', '{"query": "a", "hits": []}', "[" * 100_000,
        '{"query": "a", "hits": [3]}', '{"query": "a", "hits": [{"video": 3}]}',
        '{"query": "a", "hits": [{"video": "a", "start_s": 2, "end_s": 1}]}',
        '{"query": "a", "hits": [{"video": "a", "start_s": NaN, "end_s": 1}]}',
        '{"query": "a", "hits": [{"video": "a\\u0000", "start_s": 0, "end_s": 1}]}',
        '{"query": "a", "hits": [{"video": "a", "start_s": "0", "end_s": true}]}',
        '{"video": "a", "start_s": 0, "hits": [{"rank": 1, "text": "a caption"}]}',
    ],
)  # fmt: skip
def test_foreign_files_get_a_sentence(text: str, tmp_path: Path, run) -> None:
    with pytest.raises(KnownError) as told:
        read_results(text)
    assert str(told.value).endswith(".") or "--json" in str(told.value)
    file = tmp_path / "f.json"
    file.write_text(text)
    said = run("export", file, "--format", "csv")
    assert (said.code, said.out) == (1, "")
    assert "Traceback" not in said.err


@given(st.text(max_size=200))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(KnownError):
        read_results(text)


def test_real_files_are_probed_and_missing_ones_left_out(clip: Path, tmp_path: Path, run) -> None:
    found = tmp_path / "found.json"
    found.write_text(document(hit(clip, 1.0, 2.0), hit(tmp_path / "gone.mp4", 0.0, 1.0)))
    answer = run("export", found, "--format", "edl", "--json").json
    assert "00:00:01:00 00:00:02:00" in answer["text"]["25"]
    assert "AA/V" in answer["text"]["25"]
    assert len(answer["notes"]) == 1
    assert "gone.mp4" in answer["notes"][0]
    target = tmp_path / "out" / "dog.fcpxml"
    assert run("export", found, "--format", "fcpxml", "--output", target).out.strip() == str(target)
    assert "gone.mp4" not in target.read_text()
    assert run("export", found, "--format", "fcpxml", "--output", target).code == 1, "never over a file"
    found.write_text(document(hit(tmp_path / "gone.mp4", 0.0, 1.0)))
    assert run("export", found, "--format", "otio").code == 1
    assert run("export", tmp_path / "nothing.json", "--format", "otio").code == 1
    assert run("export", tmp_path, "--format", "otio").code == 1
    assert run("export", clip, "--format", "otio").code == 1
    assert run("export", found, "--format", "clips").code == 2


def levels(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [round(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


def test_copied_clips_begin_at_a_keyframe_and_lose_nothing(clip: Path, tmp_path: Path) -> None:
    whole = levels(clip)
    made = cut(clip, 1.0, 2.0, tmp_path / "copy.mp4")
    assert made.start_s == pytest.approx(24 / 25, abs=1e-6), "the keyframe before the 25th frame is the 24th"
    assert made.end_s == pytest.approx(2.0, abs=0.25)
    found = levels(made.path)
    assert found == whole[24 : 24 + len(found)]
    assert len(found) >= 26
    assert edit_info(made.path).has_audio
    with pytest.raises(KnownError, match="there already"):
        cut(clip, 1.0, 2.0, made.path)


def test_exact_clips_begin_at_the_frame(clip: Path, tmp_path: Path) -> None:
    made = cut(clip, 1.0, 2.0, tmp_path / "exact.mp4", exact=True)
    found = levels(made.path)
    assert len(found) == 25
    assert np.abs(np.asarray(found) - levels(clip)[25:50]).max() <= 2
    assert (made.start_s, made.end_s) == pytest.approx((1.0, 2.0))
    assert edit_info(made.path).has_audio


@pytest.mark.parametrize(
    ("name", "copied"),
    [("av1_video.mkv", True), ("fixture-mjpeg.mov", True), ("fixture.flv", True), ("sample.3gp", False)],
)
def test_real_containers_can_be_cut(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, copied: bool
) -> None:
    def in_this_process(function: object, *args: object, **_: object) -> object:
        return function(*args)

    monkeypatch.setattr("app.services.export.run_apart", in_this_process)
    results = read_results(document(hit(shared / "media" / "formats" / name, 0.0, 0.5)))
    for exact in (False, True):
        written = export(results, "clips", folder=tmp_path / str(exact), exact=exact)
        (made,) = written.cuts
        assert levels(made.path)
        assert made.exact == (exact or not copied)
        assert bool(written.notes) == (made.exact and not exact), "encoding anew unasked is told"


def test_clips_are_cut_in_a_process_of_their_own(clip: Path, tmp_path: Path, run) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    found = tmp_path / "found.json"
    found.write_text(document(hit(clip, 1.0, 2.0), hit(broken, 0.0, 1.0, rank=2)))
    answer = run("export", found, "--format", "clips", "--output", tmp_path / "out", "--exact", "--json").json
    (made,) = answer["clips"]
    assert Path(made["path"]).name == "001 dog & 'cat' 1.0-2.0.mp4"
    assert (made["start_s"], made["exact"]) == (1.0, True)
    assert "broken.mp4" in answer["notes"][0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [Path(made["path"]).name]
