"""Every command of the main job on a small real library: what it prints, and that its JSON has the promised form."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cli.main import build_parser
from app.services.library import open_library
from app.services.searching import open_searcher
from m2hf_core.records import FUSIONS, Fusion

Run = Callable[..., object]


def test_speech_finds_the_moment_and_says_so(run, indexed) -> None:
    data, videos = indexed
    answer = run("search", "a captain and his engine", "--data-dir", data, "--json", "--explain").json
    first = answer["hits"][0]
    assert first["video"] == str(videos / "harbour_morning.mp4")
    assert first["won_by"] == ["speech"]
    assert first["branches"]["speech"] == {"rank": 1, "score": pytest.approx(2 / 6, abs=1e-4), "best_s": 1.0}
    assert first["branches"]["visual"] is None
    assert first["words"] == ["captain", "engine"]
    assert first["without"] == {"speech": "beyond 3"}
    assert {entry["word"] for entry in first["alignment"]} == {"captain", "engine"}
    assert len(answer["hits"]) == 1, "a clip that no lane ranks is no hit"
    assert set(answer) == {
        "query", "fusion", "preset", "scorer", "took_ms", "encode_ms", "gallery", "hits", "abstained", "blind_spots",
        "nouns",
    }  # fmt: skip
    assert answer["scorer"] == {"id": "untrained", "state": "untrained"}
    assert answer["nouns"] == "content-words", "the fallback is named"
    assert answer["gallery"] == {"videos": 3, "clips": 3}
    assert "models prepare" in answer["abstained"]["visual"]
    assert "trained scorer" in answer["abstained"]["audio"]
    assert answer["blind_spots"] == ["could not be read: 1 file (m2hf-app failures)"]


def test_file_names_are_a_labelled_lane(run, indexed) -> None:
    data, videos = indexed
    hit = run("search", "morning at the harbour", "--data-dir", data, "--json").json["hits"][0]
    assert hit["video"] == str(videos / "harbour_morning.mp4")
    assert hit["won_by"] == ["name"]
    assert hit["branches"]["name"] == {"rank": 1, "score": 1.0}


def test_branches_can_be_chosen(run, indexed) -> None:
    data, _ = indexed
    assert run("search", "bread", "--branches", "visual", "--data-dir", data, "--json").json["hits"] == []
    assert len(run("search", "bread", "--branches", "speech", "--data-dir", data, "--json").json["hits"]) == 1
    for fusion in ("mmbf", "rrf", "mean-rank"):
        answer = run("search", "bread", "--fusion", fusion, "--data-dir", data, "--json").json
        assert answer["fusion"] == fusion
        assert Path(answer["hits"][0]["video"]).stem == "kitchen"


def test_human_output_says_why(run, indexed) -> None:
    data, _ = indexed
    said = run("search", "grandmother's walnuts", "--data-dir", data)
    assert said.code == 0
    assert "kitchen.mp4" in said.out
    assert "found by speech (grandmother, walnut)" in said.out
    assert "blind spot: could not be read: 1 file" in said.out


def test_status_counts_what_is_there(run, indexed) -> None:
    data, _ = indexed
    status = run("status", "--data-dir", data, "--json").json
    assert status["videos"] == {"ready": 3, "queued": 0, "running": 0, "failed": 1, "offline": 0}
    assert status["coverage"] == {"clip": 0, "vggish": 0, "s3d": 0, "speech": 3}
    assert status["clips"] == 3
    assert status["seconds"]["done"] == pytest.approx(12.0, abs=0.5)
    assert status["seconds"]["left"] == 0
    assert set(status["asleep"]) == {"clip", "vggish", "s3d", "speech"}
    assert "3 videos searchable" in run("status", "--data-dir", data).out


def test_failures_name_stage_reason_and_hint(run, indexed) -> None:
    data, videos = indexed
    (failure,) = run("failures", "--data-dir", data, "--json").json
    assert failure["path"] == str(videos / "broken.mp4")
    assert failure["stage"] == "probe"
    assert failure["reason"].endswith(".")
    assert failure["hint"]
    assert (failure["attempts"], failure["quarantined"]) == (1, True)


def test_captions_come_from_the_bank_and_from_what_is_said(run, indexed, tmp_path) -> None:
    data, videos = indexed
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    bank = tmp_path / "bank.txt"
    bank.write_text("an engine and a gull\nsnow on a mountain\n\nan engine and a gull\n")
    assert run("caption", "import", bank, "--data-dir", copy, "--json").json == {"added": 2}
    assert run("caption", "add", "bread with honey", "--data-dir", copy, "--json").json["new"] is True
    assert [c["text"] for c in run("caption", "list", "--data-dir", copy, "--json").json] == [
        "an engine and a gull", "snow on a mountain", "bread with honey"
    ]  # fmt: skip
    answer = run("captions", f"{videos / 'harbour_morning.mp4'}@2", "--data-dir", copy, "--json").json
    texts = [hit["text"] for hit in answer["hits"]]
    assert texts[0] == "an engine and a gull"
    assert answer["hits"][0]["branches"]["speech"]["rank"] == 1
    assert answer["hits"][0]["source"] == "bank.txt"
    assert "snow on a mountain" not in texts
    assert answer["said"] == ["The captain repaired an engine. A gull stole his sandwich."], (
        "what is said here is told, not found"
    )
    assert not set(texts) & set(answer["said"])


def test_renamed_unplugged_returned_and_forgotten(run, indexed, tmp_path) -> None:
    _, videos = indexed
    copy, away = tmp_path / "data", tmp_path / "videos"
    shutil.copytree(videos, away)
    assert run("index", away, "--data-dir", copy, "--json").json["ready"] == 3
    for suffix in (".mp4", ".srt"):
        (away / f"quiet{suffix}").rename(away / f"silence{suffix}")
    report = run("index", "--data-dir", copy, "--json").json
    assert (report["found"], report["ready"], report["failed"]) == (4, 0, 0), "a rename extracts nothing"
    renamed = run("search", "silence", "--data-dir", copy, "--json").json["hits"]
    assert [hit["title"] for hit in renamed] == ["silence.mp4"]
    away.rename(tmp_path / "unplugged")
    said = run("index", "--data-dir", copy, "--json")
    assert said.code == 0
    assert "offline" in said.err
    status = run("status", "--data-dir", copy, "--json").json
    assert status["videos"]["offline"] == 4
    hit = run("search", "bread", "--data-dir", copy, "--json").json
    assert len(hit["hits"]) == 1, "an offline video stays searchable"
    assert any("offline" in spot for spot in hit["blind_spots"])
    (tmp_path / "unplugged").rename(away)
    assert run("index", "--data-dir", copy, "--json").json["ready"] == 0
    assert run("status", "--data-dir", copy, "--json").json["videos"]["offline"] == 0
    assert run("forget", away / "kitchen.mp4", "--data-dir", copy, "--json").json == {"videos": 1}
    assert run("search", "bread", "--data-dir", copy, "--json").json["hits"] == []


def test_unwatching_a_folder_keeps_what_was_extracted(run, indexed, tmp_path) -> None:
    data, videos = indexed
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    run("caption", "add", "the best bread", "--video", videos / "kitchen.mp4", "--data-dir", copy)
    assert run("library", "remove", videos, "--data-dir", copy, "--json").json == []
    assert len(run("search", "bread", "--data-dir", copy, "--json").json["hits"]) == 1
    assert len(run("caption", "list", "--data-dir", copy, "--json").json) == 1
    assert run("index", "--data-dir", copy).code == 1, "nothing is watched any more"


def test_retry_queues_failures_again(run, indexed, tmp_path) -> None:
    data, _ = indexed
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    assert "1 queued again" in run("failures", "--retry", "--data-dir", copy).out
    assert run("failures", "--data-dir", copy, "--json").json == []
    assert run("status", "--data-dir", copy, "--json").json["videos"]["queued"] == 1


def test_watched_folders_are_kept(run, tmp_path, indexed) -> None:
    _, videos = indexed
    data = tmp_path / "data"
    (added,) = run("library", "add", videos, "--data-dir", data, "--json").json
    assert (added["path"], added["state"]) == (str(videos), "online")
    assert run("library", "remove", videos, "--data-dir", data, "--json").json == []


def test_models_and_settings(run, tmp_path) -> None:
    presets = {preset["id"]: preset for preset in run("models", "list", "--json").json}
    assert {"demo", "fast", "balanced", "best", "paper-b16", "paper-l14"} <= set(presets)
    assert presets["demo"]["state"] == "complete"
    assert presets["fast"]["state"] == "not here"
    findings = run("models", "verify", "--json").json
    assert findings
    assert {finding["state"] for finding in findings} == {"ok"}, (
        "only the shipped demo models are here, and genuine"
    )
    data = tmp_path / "data"
    assert run("settings", "set", "fusion", "rrf", "--data-dir", data, "--json").json["value"] == "rrf"
    assert run("settings", "get", "fusion", "--data-dir", data).out.strip() == "rrf"


def test_doctor_finds_a_sound_library(run, indexed) -> None:
    data, _ = indexed
    findings = run("doctor", "--data-dir", data, "--json").json
    assert all(set(finding) == {"check", "ok", "found", "remedy"} for finding in findings)
    by_check = {finding["check"]: finding for finding in findings}
    assert by_check["library"]["ok"]
    assert by_check["weights"]["remedy"] == "m2hf-app models prepare fast"


def test_help_is_complete() -> None:
    parser = build_parser()
    text = parser.format_help()
    for command in ("demo", "index", "search", "captions", "status", "failures", "models", "doctor"):
        assert command in text


def test_search_speaks_its_query_language(run, indexed) -> None:
    data, _ = indexed

    def found(query: str, *options: str):
        return run("search", "--data-dir", data, "--json", *options, "--", query).json

    def names(query: str) -> list[str]:
        return [Path(hit["video"]).stem for hit in found(query)["hits"]]

    plain = found("harbour bread")
    assert {Path(hit["video"]).stem for hit in plain["hits"]} == {"harbour_morning", "kitchen"}
    assert "notes" not in plain
    assert names("harbour bread -engine") == ["kitchen", "harbour_morning"]
    assert names("harbour bread -walnuts") == ["harbour_morning", "kitchen"]
    exact = found('"stole his"')
    assert [hit["branches"]["speech"] for hit in exact["hits"]] == [{"rank": 1, "score": 1.0, "best_s": 1.0}]
    assert names('"his stole"') == []
    part = found("speech:bread harbour")
    assert {Path(hit["video"]).stem: hit["won_by"] for hit in part["hits"]} == {
        "harbour_morning": ["name"],
        "kitchen": ["speech"],
    }
    assert "trained scorer" in found("audio:barking")["abstained"]["audio"]
    assert names("quiet has:speech longer:1h") == []
    assert names("quiet type:mp4 in:videos after:2020 shorter:1h longer:1s") == ["quiet"]
    odd = found("bread type:foo -motion:fast")
    assert odd["gallery"] == {"videos": 3, "clips": 3}
    assert odd["notes"] == [
        "character 16: “fast” pushes nothing down: no trained scorer: sound and movement need one.",
        "No video is of type “foo”.",
    ]
    assert found("bread > engine")["hits"] == [], "they are in different videos"
    assert found("-bread")["notes"] == [
        "Minus and filters only sort and narrow: write what to look for beside them."
    ]


def test_any_text_gets_an_answer(indexed) -> None:
    data, _ = indexed
    pieces = st.sampled_from(
        [
            "bread",
            "-engine",
            '"stole his"',
            '"',
            "> ",
            "in:videos",
            "before:2",
            "speech:",
            "has:",
            "type:mp4,",
            "-",
        ]
    )
    texts = st.one_of(st.text(), st.lists(pieces, max_size=8).map(" ".join))
    with open_library(data) as library:
        searcher = open_searcher(library)

        @settings(max_examples=60)
        @given(text=texts.filter(str.strip), fusion=st.sampled_from(FUSIONS))
        def check(text: str, fusion: Fusion) -> None:
            answer = searcher.search(text, fusion=fusion)
            assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
            assert all(note.endswith(".") for note in answer.notes)

        check()
