"""`similar`: from a moment and from a picture, with copies told and not repeated."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.services.library import open_library
from app.services.searching import Searcher, open_searcher
from app.services.similar import find_similar
from m2hf_core.errors import KnownError, UnreadableMedia, UsageError
from m2hf_core.store import clips, files, folders, scorers

Vector = np.ndarray


def no_picture(path: Path) -> Vector:
    raise UnreadableMedia(f"{path.name} is none.")


@pytest.fixture(scope="module")
def searcher(shelf: Path) -> Searcher:
    with open_library(shelf) as library:
        yield open_searcher(library)


@pytest.fixture(scope="module")
def path_of(searcher: Searcher) -> Callable[[str], str]:
    with searcher.library.store.library.reading() as session:
        paths = {Path(row.path).stem: row.path for row in clips.searchable_clips(session)}
    return paths.__getitem__


def names(answer: object) -> list[str]:
    return [hit.video.stem for hit in answer.hits]


def test_other_videos_are_ranked_and_the_own_one_is_left_out(searcher, path_of) -> None:
    answer = find_similar(searcher, path_of("street"), no_picture)
    assert "street" not in names(answer)
    assert set(names(answer)) <= {"sea", "sea again", "kitchen"}
    kitchen = next(hit for hit in answer.hits if hit.video.stem == "kitchen")
    assert kitchen.words == ("bread",)
    assert kitchen.branches["speech"] is not None
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    assert set(answer.abstained) == {"audio", "motion"}


def test_visual_ranks_are_those_of_the_mean_frames(searcher, path_of) -> None:
    answer = find_similar(searcher, path_of("kitchen"), no_picture, k=50)
    gallery = searcher.gallery
    own = next(row for row, clip in enumerate(gallery.clips) if clip.path.stem == "kitchen")
    mean = gallery.frames[own].mean(axis=0)
    query = mean / np.linalg.norm(mean)
    others = [row for row, clip in enumerate(gallery.clips) if clip.path.stem != "kitchen"]
    scores = {gallery.clips[row].clip_id: float(gallery.frames[row].mean(axis=0) @ query) for row in others}
    plain = {clip: 1 + sum(other > score for other in scores.values()) for clip, score in scores.items()}
    for hit in answer.hits:
        assert hit.branches["visual"].rank == plain[hit.clip_id]
        assert hit.branches["visual"].score == pytest.approx(scores[hit.clip_id], abs=2e-3)


def test_a_copy_of_the_source_is_told_and_is_no_hit(searcher, path_of) -> None:
    answer = find_similar(searcher, f"{path_of('sea')}@8", no_picture)
    assert "sea again" not in names(answer)
    (copy,) = answer.copies
    assert copy.video.stem == "sea again"
    assert (copy.start_s, copy.end_s, copy.of_start_s, copy.of_end_s) == pytest.approx((0, 12, 6, 18))
    assert (
        "sea again.mp4 shows the same from 0.0 to 12.0 s as this video from 6.0 to 18.0 s" in answer.notes[0]
    )


def test_copies_stand_under_the_first_of_them(searcher, path_of) -> None:
    answer = find_similar(searcher, path_of("kitchen"), no_picture, k=50)
    shown = [hit for hit in answer.hits if hit.video.stem in ("sea", "sea again")]
    told = [copy for hit in shown for copy in hit.copies]
    assert told
    for hit in shown:
        for copy in hit.copies:
            assert {hit.video.stem, copy.video.stem} == {"sea", "sea again"}
            assert copy.end_s - copy.start_s == pytest.approx(12)
            assert abs(copy.start_s - copy.of_start_s) == pytest.approx(6)
    alone = [hit.clip_id for hit in answer.hits]
    assert len(alone) == len(set(alone))


def test_a_picture_is_compared_by_sight_alone(searcher, path_of, tmp_path: Path) -> None:
    picture = tmp_path / "red @3.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    vector = searcher.tower.encode(["a green circle"]).pooled_vector[0].numpy()
    asked = []

    def encode(path: Path) -> Vector:
        asked.append(path)
        return vector * 7

    answer = find_similar(searcher, str(picture), encode, k=2)
    assert asked == [picture]
    assert names(answer)[0] == "kitchen"
    assert {hit.won_by for hit in answer.hits} == {("visual",)}
    assert answer.abstained["speech"] == "nothing is said in it"
    assert not any("not indexed" in note for note in answer.notes)


def test_a_video_from_elsewhere_is_compared_as_a_picture_and_that_is_told(searcher, tmp_path: Path) -> None:
    elsewhere = tmp_path / "holiday.MP4"
    elsewhere.touch()
    vector = searcher.tower.encode(["a green circle"]).pooled_vector[0].numpy()
    answer = find_similar(searcher, str(elsewhere), lambda _: vector, k=2)
    assert "holiday.MP4 is not indexed, so only its first picture is compared." in answer.notes


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("/nowhere.mp4", KnownError, "There is no file"),
        ("/nowhere.mp4@3", KnownError, "There is no file"),
        ("{tmp}", KnownError, "is a folder"),
        ("{tmp}/text.png", KnownError, "neither a video of this library nor a picture"),
        ("{sea}@24.5", UsageError, "no moment"),
        ("a\0b", KnownError, ""),
        ("", KnownError, ""),
        ("y" * 5000, KnownError, ""),
    ],
)
def test_bad_targets_get_a_sentence(
    searcher, path_of, tmp_path, target: str, error: type, words: str
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(error) as told:
        find_similar(searcher, target.format(tmp=tmp_path, sea=path_of("sea")), no_picture)
    assert words in str(told.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_not_waited_for(searcher, tmp_path: Path) -> None:
    """Nobody writes to it, so whoever reads it waits for minutes; nor does /dev/zero ever end."""
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(KnownError, match="neither a video of this library nor a picture"):
            find_similar(searcher, str(path), lambda path: pytest.fail("it was opened"))


def test_offline_and_deleted_sources(shelf: Path, path_of, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    with open_library(data, mode="write") as library:
        with library.store.library.writing() as session:
            known = files.known_paths(session, folders.list_folders(session)[0].folder_id)
            files.mark_paths(session, [row.path_id for row in known.values()], "offline")
            files.mark_paths(session, [known[path_of("street")].path_id], "gone")
        opened = open_searcher(library)
        assert find_similar(opened, path_of("sea"), no_picture).hits, "an offline video is a good source"
        with pytest.raises(KnownError, match="deleted or moved"):
            find_similar(opened, path_of("street"), no_picture)


def test_the_scorer_that_really_answered_is_named(shelf: Path, path_of, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    with open_library(data, mode="write") as library:
        with library.store.library.writing() as session:
            scorers.register(session, "lost", "demo", "trained:lost", "scorers/lost.safetensors", {})
            scorers.activate(session, "lost")
        answer = find_similar(open_searcher(library), path_of("sea"), no_picture)
    assert (answer.scorer_id, answer.scorer_state) == ("untrained", "untrained")
    assert any("The trained scorer is not used" in note for note in answer.notes)


def test_the_command_prints_the_form_of_search(run, shelf: Path, path_of, tmp_path: Path) -> None:
    said = run("similar", f"{path_of('sea')}@2", "-k", "2", "--data-dir", shelf, "--json")
    answer = said.json
    assert {"query", "fusion", "hits", "abstained", "blind_spots", "copies", "notes"} <= set(answer)
    assert {"rank", "video", "start_s", "end_s", "won_by", "branches", "without"} <= set(answer["hits"][0])
    found = tmp_path / "found.json"
    found.write_text(said.out)
    assert len(run("export", found, "--format", "jsonl").out.splitlines()) == len(answer["hits"])
    lines = run("similar", path_of("kitchen"), "--data-dir", shelf).out
    assert "the same in sea" in lines
    assert json.dumps("Traceback") not in lines
