"""`captions`: the bank from all its sources, over a library that needs no worker."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from app.services.captions import CaptionSearch
from app.services.everyday import everyday_captions
from app.services.library import open_library
from app.services.searching import open_searcher
from m2hf_core.model.checkpoint import ScorerInfo, save_scorer
from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.records import CaptionAnswer
from m2hf_core.store import captions as bank
from m2hf_core.store import files, folders, scorers
from m2hf_core.store.captions import NewCaption


@pytest.fixture
def own(shelf: Path, tmp_path: Path) -> Path:
    """A copy of the shelf with three captions of the owner."""
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    with open_library(data, mode="write") as library, library.store.library.writing() as session:
        texts = ["a red square", "a green circle", "a captain on a ship"]
        bank.add_captions(session, (NewCaption(text, "own") for text in texts))
    return data


def test_the_shipped_captions_are_many_and_varied() -> None:
    texts = everyday_captions()
    assert len(texts) >= 1000
    assert len({text.lower() for text in texts}) == len(texts)
    assert all(text == " ".join(text.split()) and text[-1] == "." and text[0].isupper() for text in texts)
    assert all(4 <= len(text.split()) <= 20 for text in texts)
    starts = [" ".join(text.split()[:3]).lower() for text in texts]
    assert max(starts.count(start) for start in set(starts)) <= len(texts) // 100, "no template"
    words = {word.strip(".,:").lower() for text in texts for word in text.split()}
    assert len(words) > 3000


def test_the_shipped_captions_are_our_own(shared: Path) -> None:
    import json
    import zipfile

    known: set[str] = set()
    for name in ("test_videodatainfo.json.zip", "train_val_annotation.zip"):
        with zipfile.ZipFile(shared / "text" / "msrvtt" / name) as archive:
            member = next(m for m in archive.namelist() if m.endswith(".json") and "MACOSX" not in m)
            sentences = json.loads(archive.read(member))["sentences"]
            known |= {row["caption"].strip(" .").lower() for row in sentences}
    assert len(known) > 100_000
    assert not known & {text.strip(" .").lower() for text in everyday_captions()}


def test_every_source_is_compared_and_named(own) -> None:
    with open_library(own) as library:
        answer = CaptionSearch(open_searcher(library)).nearest(str(_path(own, "sea")), k=2000)
    by_text = {hit.text: hit for hit in answer.hits}
    assert by_text["a red square"].branches["visual"].rank == 1
    assert by_text["a red square"].won_by == ("visual",)
    assert by_text["a captain on a ship"].branches["speech"] is not None
    assert {hit.source for hit in answer.hits} == {"own", "everyday", "said in kitchen", "said in street"}
    assert answer.said == ("The captain waves at the lighthouse.",)
    assert answer.said[0] not in by_text
    assert answer.bank == len(everyday_captions()) + 3 + 3
    assert set(answer.abstained) == {"audio", "motion"}


def first_by(branch: str, answer: CaptionAnswer) -> str:
    """The text that a branch ranks first."""
    return next(hit.text for hit in answer.hits if hit.branches[branch] and hit.branches[branch].rank == 1)


def _path(data: Path, name: str) -> Path:
    """As the library knows it: the copy still names the files of the shelf."""
    with open_library(data) as library, library.store.library.reading() as session:
        from m2hf_core.store import clips

        return next(Path(row.path) for row in clips.searchable_clips(session) if Path(row.path).stem == name)


def test_json_and_lines_have_the_promised_form(run, own) -> None:
    target = f"{_path(own, 'sea')}@15"
    answer = run("captions", target, "-k", "3", "--data-dir", own, "--json").json
    assert {"video", "start_s", "end_s", "hits"} <= set(answer)
    assert (answer["start_s"], answer["end_s"]) == (12.0, 24.0)
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert {"rank", "text", "source", "won_by", "branches"} == set(answer["hits"][0])
    assert answer["hits"][0]["branches"]["visual"]["rank"] == 1
    lines = run("captions", target, "-k", "1", "--data-dir", own).out.splitlines()
    assert lines[0].startswith("sea.mp4   0:12.0 to 0:24.0")
    assert lines[1].startswith("  1  ")


def test_the_second_time_nothing_is_encoded(own, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_library(own) as library:
        searcher = open_searcher(library)
        first = CaptionSearch(searcher).nearest(str(_path(own, "kitchen")))
        monkeypatch.setattr(type(searcher.tower), "encode", None)
        again = CaptionSearch(searcher).nearest(str(_path(own, "kitchen")))
        assert first.hits == again.hits
        assert first_by("visual", again) == "a green circle"


def test_a_new_caption_is_found_by_a_search_that_stays_open(own) -> None:
    with open_library(own, mode="write") as library:
        search = CaptionSearch(open_searcher(library))
        before = search.nearest(str(_path(own, "street")))
        with library.store.library.writing() as session:
            bank.add_captions(session, [NewCaption("a blue triangle", "own")])
        after = search.nearest(str(_path(own, "street")))
    assert first_by("visual", before) != "a blue triangle"
    assert first_by("visual", after) == "a blue triangle"


def street_of(session, own: Path) -> tuple[int, int, int]:
    """(video, path, folder) ids of one video."""
    (folder,) = folders.list_folders(session)
    known = files.known_paths(session, folder.folder_id)[str(_path(own, "street"))]
    return known.video_id, known.path_id, folder.folder_id


def test_a_deleted_video_says_nothing_about_others_until_it_is_back(own) -> None:
    """Its sentences and its own captions; those of a drive that is away stay, as its videos stay in searches."""
    said, tied = "A captain buys bread in the street.", "a street at noon"
    with open_library(own, mode="write") as library:
        search = CaptionSearch(open_searcher(library))
        with library.store.library.writing() as session:
            street, path_id, folder = street_of(session, own)
            bank.add_captions(session, [NewCaption(tied, "own", street)])

        def texts(state: str) -> set[str]:
            with library.store.library.writing() as session:
                files.mark_paths(session, [path_id], state)
            return {hit.text for hit in search.nearest(str(_path(own, "kitchen")), k=10_000).hits}

        there = texts("present")
        assert {said, tied, "a captain on a ship"} <= there
        assert texts("gone") == there - {said, tied}
        assert texts("offline") == there
        with library.store.library.writing() as session:
            assert files.gone_videos(session) == frozenset()
            files.mark_paths(session, [path_id], "gone")
            assert files.gone_videos(session) == {street}
            files.put_path(session, folder, str(own / "street moved.mp4"), 1000, 10**18, "street")
            assert files.gone_videos(session) == frozenset(), "it lies elsewhere"


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("{sea}@24", 2, "has no moment at 24 s"),
        ("{sea}@-1", 2, "has no moment"),
        ("{sea}@nan", 2, "has no moment"),
        ("{sea}@inf", 2, "has no moment"),
        ("/nowhere/at/all.mp4", 1, "There is no file"),
        ("", 1, "is a folder"),
        ("{folder}", 1, "is a folder"),
        ("@@@", 1, "There is no file"),
        ("x" * 5000, 1, ""),
        ("a\0b", 1, ""),
    ],
)
def test_bad_targets_get_a_sentence(run, own, target: str, code: int, words: str) -> None:
    said = run("captions", target.format(sea=_path(own, "sea"), folder=own), "--data-dir", own, "--json")
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_trained_scorer_answers_with_its_own_branches(run, own) -> None:
    torch.manual_seed(1)
    with open_library(own, mode="write") as library:
        searcher = open_searcher(library)
        config = M2HFConfig(width=searcher.tower.width, audio_width=4, motion_width=4, tokens="all", rho=0.5)
        scorer = build_scorer(config).eval()
        made = ScorerInfo(config, searcher.tower.fingerprint, "trained:t", "1")
        info = save_scorer(library.paths.data / "scorers" / "t.safetensors", scorer, made)
        with library.store.library.writing() as session:
            scorers.register(session, info.scorer_id, "demo", info.state, "scorers/t.safetensors", {})
            scorers.activate(session, info.scorer_id)
        searcher = searcher.reloaded()
        answer = CaptionSearch(searcher).nearest(str(_path(own, "sea")), k=1)
        again = CaptionSearch(searcher).nearest(str(_path(own, "sea")), k=1)
    assert answer == again
    hit = answer.hits[0]
    assert set(answer.abstained) == {"audio", "motion"}
    assert "no sound that was extracted" in answer.abstained["audio"]
    assert np.isfinite(
        hit.branches["visual"].score if hit.branches["visual"] else hit.branches["speech"].score
    )


def test_a_scorer_that_cannot_be_read_is_done_without(own) -> None:
    """As in a search, whose notes tell it."""
    with open_library(own, mode="write") as library:
        with library.store.library.writing() as session:
            scorers.register(session, "lost", "demo", "trained:lost", "scorers/lost.safetensors", {})
            scorers.activate(session, "lost")
        answer = CaptionSearch(open_searcher(library)).nearest(str(_path(own, "kitchen")))
    assert first_by("visual", answer) == "a green circle"
    assert "no trained scorer" in answer.abstained["audio"]
    assert any("trained scorer is not used" in note for note in answer.notes)


def test_lines_that_are_too_many_are_told(run, own, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.captions.MOST_LINES", 1)
    target = _path(own, "sea")
    said = run("captions", target, "-k", "1", "--data-dir", own)
    assert (
        "note: Of what is said in the library only the newest 1 of 3 spoken lines are compared." in said.out
    )
    notes = run("captions", target, "-k", "1", "--data-dir", own, "--json").json["notes"]
    assert f"note: {notes[0]}" in said.out
    with open_library(own, mode="write") as library, library.store.library.writing() as session:
        files.mark_paths(session, [street_of(session, own)[1]], "gone")
    notes = run("captions", target, "-k", "1", "--data-dir", own, "--json").json["notes"]
    assert "the newest 1 of 2 spoken lines" in notes[0], "lines of deleted videos are not in the library"
