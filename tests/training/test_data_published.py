"""Published annotations: real files give the published counts, and a wrong folder is told what was looked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from m2hf_core.errors import KnownError
from m2hf_core.training.data.annotations import Annotations, find_videos, paragraph
from m2hf_core.training.data.manifest import read_manifest
from m2hf_core.training.data.published import (
    read_activitynet,
    read_didemo,
    read_lsmdc,
    read_msrvtt,
    read_msvd,
)


def test_msrvtt_has_its_published_counts(shared: Path) -> None:
    full = read_msrvtt(shared / "text/msrvtt", "full")
    assert full.captions() == 200_000
    assert {split: len(clips) for split, clips in full.splits.items()} == {
        "train": 6513,
        "val": 497,
        "test": 2990,
    }
    for split, train in (("9k", 9000), ("7k", 7010)):
        found = read_msrvtt(shared / "text/msrvtt", split)  # type: ignore[arg-type]
        assert {name: len(clips) for name, clips in found.splits.items()} == {"train": train, "test": 1000}
        assert all(len(clip.captions) == 20 for clip in found.splits["train"])
        assert all(len(clip.captions) == 1 for clip in found.splits["test"])
        trained = {clip.clip_id for clip in found.splits["train"]}
        assert trained.isdisjoint(clip.clip_id for clip in found.splits["test"])
    # Checked by hand in the files themselves.
    assert found.splits["test"][0].captions == ("a person is connecting something to system",)
    seventh = next(clip for clip in full.splits["test"] if clip.clip_id == "video7960")
    assert seventh.captions[0] == "a band performing in a small club"


def test_msvd_has_its_published_counts(shared: Path) -> None:
    found = read_msvd(shared / "text/msvd")
    assert found.captions() == 80_827
    assert {split: len(clips) for split, clips in found.splits.items()} == {"train": 1300, "test": 670}
    assert len({clip.clip_id for clips in found.splits.values() for clip in clips}) == 1970


def test_activitynet_is_one_paragraph_per_video(shared: Path) -> None:
    found = read_activitynet(shared / "text/activitynet")
    lines = {
        name: (shared / "text/activitynet" / f"{name}.csv").read_text().splitlines()[1:]
        for name in ("train", "val_1")
    }
    for split, name in (("train", "train"), ("test", "val_1")):
        videos = {line.split("\t")[0] for line in lines[name]}
        assert {clip.clip_id for clip in found.splits[split]} == videos
        assert all(len(clip.captions) == 1 for clip in found.splits[split])
    assert (
        found.splits["train"][0]
        .captions[0]
        .startswith(
            "A young woman is seen standing in a room and leads into her dancing. The girl dances around"
        )
    )


def test_activitynet_reads_the_first_releases_json(tmp_path: Path) -> None:
    entry = {"duration": 9.0, "timestamps": [[0, 3], [2, 9]], "sentences": ["A man runs.", " He falls"]}
    for name in ("train", "val_1"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"v_1": entry}))
    assert read_activitynet(tmp_path).splits["test"][0].captions == ("A man runs. He falls.",)


def test_didemo_joins_the_descriptions_of_a_video(tmp_path: Path) -> None:
    entries = [
        {"video": "a@N1_2.mov", "description": "a dog runs", "times": [[0, 0]], "annotation_id": 1},
        {"video": "b@N1_3.mp4", "description": "rain", "times": [[1, 1]], "annotation_id": 2},
        {"video": "a@N1_2.mov", "description": "it sits down.", "times": [[2, 2]], "annotation_id": 3},
    ]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}_data.json").write_text(json.dumps(entries))
    clips = read_didemo(tmp_path).splits["val"]
    assert [(clip.video, clip.captions) for clip in clips] == [
        ("a@N1_2", ("a dog runs. it sits down.",)),
        ("b@N1_3", ("rain.",)),
    ]


def test_lsmdc_is_read_without_a_header(tmp_path: Path) -> None:
    line = '1004_Juno_00.00.32.996-00.00.37.793\t00:1\t00:2\t00:1\t00:2\tShe "waits" by a chair, alone.'
    for name in (
        "LSMDC16_annos_training.csv",
        "LSMDC16_annos_val.csv",
        "LSMDC16_challenge_1000_publictect.csv",
    ):
        (tmp_path / name).write_text(line + "\n")
    clip = read_lsmdc(tmp_path).splits["test"][0]
    assert clip.video == "1004_Juno_00.00.32.996-00.00.37.793"
    assert clip.captions == ('She "waits" by a chair, alone.',)
    (tmp_path / "LSMDC16_annos_val.csv").write_text("only\tthree\tfields\n")
    with pytest.raises(KnownError, match=r"Line 1 of .*LSMDC16_annos_val.csv has 3 fields"):
        read_lsmdc(tmp_path)


@pytest.mark.parametrize(
    ("read", "names"),
    [
        (lambda folder: read_msrvtt(folder, "9k"), "MSRVTT_data.json"),
        (read_msvd, "captions_msvd.json or AllVideoDescriptions.txt"),
        (read_lsmdc, "LSMDC16_annos_training.csv"),
        (read_didemo, "train_data.json"),
        (read_activitynet, "train.json or train.csv"),
    ],
)
def test_a_wrong_folder_is_told_what_was_looked_for(
    read: Callable[[Path], Annotations], names: str, tmp_path: Path
) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"")
    with pytest.raises(KnownError) as told:
        read(tmp_path)
    assert names in str(told.value)
    assert "The folder holds: holiday.mp4" in str(told.value)
    with pytest.raises(KnownError, match="There is no folder"):
        read(tmp_path / "nowhere")


def test_a_damaged_annotation_is_a_sentence(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "text/msvd", tmp_path / "msvd", copy_function=shutil.copyfile)
    whole = (tmp_path / "msvd/captions_msvd.json").read_text()
    (tmp_path / "msvd/captions_msvd.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(KnownError, match="cannot be read as JSON"):
        read_msvd(tmp_path / "msvd")
    (tmp_path / "msvd/captions_msvd.json").write_text("[1, 2]")
    with pytest.raises(KnownError, match="another form than published"):
        read_msvd(tmp_path / "msvd")


def test_msvd_as_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "raw-captions.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(KnownError, match="a pickle, which is never opened"):
        read_msvd(tmp_path)


def test_a_manifest_gathers_lines_of_one_clip(tmp_path: Path) -> None:
    rows = [
        {"video": "a.mp4", "caption": "a dog"},
        {"video": "a.mp4", "captions": ["it runs", "  "]},
        {"video": "a.mp4", "caption": "later", "start": 3, "end": 7.5},
        {"video": "b.mp4", "caption": "rain", "split": "test"},
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = read_manifest(tmp_path / "mine.jsonl")
    assert [clip.captions for clip in found.splits["train"]] == [("a dog", "it runs"), ("later",)]
    assert (found.splits["train"][1].start_s, found.splits["train"][1].end_s) == (3.0, 7.5)
    assert found.splits["test"][0].video == "b.mp4"
    (tmp_path / "mine.csv").write_text('video,caption,start,end\na.mp4,"one, two",,\na.mp4,three,1,2\n')
    assert [c.captions for c in read_manifest(tmp_path / "mine.csv").splits["train"]] == [
        ("one, two",),
        ("three",),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "Line 1 of .* is not JSON"),
        ('{"caption": "x"}', "names no `video`"),
        ('{"video": "a.mp4"}', "has no caption"),
        ('{"video": "a.mp4", "caption": "x", "split": "dev"}', "names the split 'dev'"),
        ('{"video": "a.mp4", "caption": "x", "start": 4, "end": 2}', "lasts from 4"),
        ('{"video": "a.mp4", "caption": "x", "start": "soon", "end": 2}', "'soon' as `start`"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(line)
    with pytest.raises(KnownError, match=complaint):
        read_manifest(tmp_path / "mine.jsonl")


def test_captions_without_videos_are_listed(tmp_path: Path) -> None:
    (tmp_path / "all" / "deep").mkdir(parents=True)
    (tmp_path / "all" / "deep" / "a.AVI").write_bytes(b"")
    (tmp_path / "all" / "v.1_2.webm").write_bytes(b"")
    (tmp_path / "all" / "b.txt").write_bytes(b"")
    rows = [{"video": name, "caption": "x"} for name in ("a", "b", "v.1_2", "all/v.1_2.webm")]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    clips = read_manifest(tmp_path / "mine.jsonl").splits["train"]
    found, missing = find_videos(tmp_path, clips)
    assert missing == ["b"]
    assert {name: path.name for name, path in found.items()} == {
        "a": "a.AVI",
        "v.1_2": "v.1_2.webm",
        "all/v.1_2.webm": "v.1_2.webm",
    }


def test_paragraphs_end_every_sentence_once() -> None:
    assert paragraph([" A man runs. ", "", "who falls", "Why?"]) == "A man runs. who falls. Why?"
