"""Segments follow the store: clips added, deleted, derived anew; damage, another scorer, a folder that is read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m2hf_core.config.paths import Paths
from m2hf_core.errors import Interrupted
from m2hf_core.index import Segment, SegmentFolder
from m2hf_core.model.m2hf import M2HF
from m2hf_core.progress import Progress
from m2hf_core.records import Feature
from m2hf_core.search import refresh as module
from m2hf_core.search.derive import RawClip, derive
from m2hf_core.search.load import Kept, load_gallery
from m2hf_core.search.refresh import Refreshed, refresh
from m2hf_core.search.scorer import open_scorer, segment_folder, untrained
from m2hf_core.store import Store, clips, features, files, folders, open_store
from m2hf_core.store.lock import FileLock

EXTRACTORS = {"clip": "clip@1", "vggish": "vggish@1", "s3d": "s3d@1"}
WIDTHS = {"clip": 8, "vggish": 3, "s3d": 5}
BRANCHES = ("visual", "audio", "motion")
Derive = Callable[[Sequence[RawClip]], Mapping[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Paths(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def make(scorer: M2HF) -> Derive:
    return lambda own: derive(scorer, BRANCHES, own, (3, 5), None)


def put(store: Store, number: int, seed: int, *, sound: bool = True, offset: float = 0.0) -> None:
    """A video of two clips; the same seed gives the same features."""
    rng = np.random.default_rng(seed)
    with store.library.writing() as session:
        folder = folders.add_folder(session, "/v")
        video = files.put_path(session, folder, f"/v/{number}.mp4", 1, 1, f"print{number}")
        clips.replace_clips(session, video, [(0.0, 5.0 + offset), (5.0 + offset, 10.0)])
    with store.features.writing() as session:
        for kind, name in EXTRACTORS.items():
            n = 10 if kind != "vggish" or sound else 0
            rows = Feature(
                rng.normal(size=(n, WIDTHS[kind])).astype(np.float32), np.arange(float(n)), np.arange(n) + 1.0
            )
            features.put(session, f"print{number}", name, rows)


def drop(store: Store, number: int) -> None:
    with store.library.writing() as session:
        folder = folders.add_folder(session, "/v")
        known = files.known_paths(session, folder)
        files.mark_paths(session, [known[f"/v/{number}.mp4"].path_id], "gone")


def kept(segments: Sequence[Segment]) -> dict[int, list[float]]:
    """Clip -> its numbers, from whichever segment holds it."""
    found = {}
    for segment in segments:
        for place in np.flatnonzero(segment.alive).tolist():
            own = [segment.arrays[f"pooled.{branch}"][place] for branch in BRANCHES]
            found[int(segment.ids[place])] = np.concatenate(own).tolist()
    return found


def built_anew(store: Store, make: Derive, folder: Path) -> dict[int, list[float]]:
    return kept(refresh(store, SegmentFolder(folder, "key"), EXTRACTORS, make).segments)


def test_adding_deleting_and_extracting_anew(store: Store, make: Derive, tmp_path: Path) -> None:
    folder, derived = SegmentFolder(tmp_path / "index", "key"), []

    def counting(own: Sequence[RawClip]) -> Mapping[str, Any]:
        derived.append(len(own))
        return make(own)

    def again() -> Refreshed:
        derived.clear()
        found = refresh(store, folder, EXTRACTORS, counting)
        assert found.notes == []
        assert kept(found.segments) == built_anew(
            store, make, tmp_path / f"anew{len(list(tmp_path.iterdir()))}"
        )
        return found

    for number in range(3):
        put(store, number, number)
    first = kept(again().segments)
    assert (len(first), derived) == (6, [6])
    again()
    assert derived == [], "nothing has changed"
    put(store, 7, 7)
    again()
    assert derived == [2]
    drop(store, 7)
    assert kept(again().segments) == first, "adding then deleting restores what was"
    assert derived == []
    put(store, 1, 100)
    again()
    assert derived == [2], "other features of the same video"
    put(store, 2, 2, offset=1.0)
    again()
    assert derived == [2], "other clips of the same features"


def test_clips_without_frames_are_looked_at_once(
    store: Store, make: Derive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    one = features.get

    def reading(session: Any, fingerprint: str, extractor: str) -> Feature | None:
        read.append(fingerprint)
        return one(session, fingerprint, extractor)

    monkeypatch.setattr(features, "get", reading)
    put(store, 1, 1)
    put(store, 2, 2)
    with store.library.writing() as session:
        folder = folders.add_folder(session, "/v")
        video = files.put_path(session, folder, "/v/1.mp4", 1, 1, "print1")
        clips.replace_clips(session, video, [(0.0, 10.0), (10.0, 15.0)])  # frames end at 10 s: a flat stretch
    index = SegmentFolder(tmp_path / "index", "key")
    truth = kept(refresh(store, index, EXTRACTORS, make).segments)
    assert len(truth) == 3
    assert set(read) == {"print1", "print2"}
    read.clear()
    assert kept(refresh(store, index, EXTRACTORS, make).segments) == truth
    assert read == []
    put(store, 1, 100)
    assert len(kept(refresh(store, index, EXTRACTORS, make).segments)) == 4, "its clips are other ones now"
    assert set(read) == {"print1"}
    assert index.vacant() == frozenset()


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(4)))
def test_the_order_of_arrival_does_not_matter(
    order: list[int], make: Derive, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("order")
    with open_store(Paths(base / "data")) as store:
        for number in range(4):  # ids are the store's; what arrives later is indexed later
            put(store, number, number)
        folder = SegmentFolder(base / "index", "key")
        for count in range(1, 5):
            only = frozenset(f"print{number}" for number in order[:count])
            found = refresh(store, folder, EXTRACTORS, make, only=only)
        assert kept(found.segments) == built_anew(store, make, base / "anew")


def test_deriving_stops_when_asked_to_and_goes_on_later(
    store: Store, scorer: M2HF, make: Derive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_CLIPS", 2)
    for number in range(3):
        put(store, number, number)
    folder, progress = SegmentFolder(tmp_path / "index", "key"), Progress()

    def stopped_in_the_second_segment(own: Sequence[RawClip]) -> Mapping[str, Any]:
        if folder.open():
            progress.cancel()
        return derive(scorer, BRANCHES, own, (3, 5), None, progress)

    with pytest.raises(Interrupted):
        refresh(store, folder, EXTRACTORS, stopped_in_the_second_segment, progress)
    assert len(kept(folder.open())) == 2, "what was finished stays"
    found = refresh(store, folder, EXTRACTORS, make)
    assert found.notes == []
    assert len(kept(found.segments)) == 6


def test_many_small_segments_become_one(
    store: Store, make: Derive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY", 3)
    folder = SegmentFolder(tmp_path / "index", "key")
    for number in range(6):
        put(store, number, number, sound=number % 2 == 0)
        found = refresh(store, folder, EXTRACTORS, make)
    assert len(found.segments) <= 3
    assert kept(found.segments) == built_anew(store, make, tmp_path / "anew")
    gallery = load_gallery(store, Kept(found.segments, BRANCHES, pooled_is_score=False))
    assert gallery.encoded.present["audio"].sum() == 6, "every other video is silent"
    assert gallery.encoded.frames(0, "visual").shape == (5, 8)


def test_damage_is_told_and_made_good(store: Store, make: Derive, tmp_path: Path) -> None:
    put(store, 1, 1)
    folder = SegmentFolder(tmp_path / "index", "key")
    truth = kept(refresh(store, folder, EXTRACTORS, make).segments)
    next(folder.folder.glob("seg-*/unit.audio.npy")).write_bytes(b"rubbish")
    found = refresh(store, folder, EXTRACTORS, make)
    assert kept(found.segments) == truth
    assert "made again" in found.notes[0]
    assert refresh(store, folder, EXTRACTORS, make).notes == []


def test_an_index_of_another_scorer_is_not_read(store: Store, make: Derive, tmp_path: Path) -> None:
    put(store, 1, 1)
    refresh(store, SegmentFolder(tmp_path / "index", "other"), EXTRACTORS, make)
    found = refresh(store, SegmentFolder(tmp_path / "index", "key"), EXTRACTORS, make)
    assert "another scorer" in found.notes[0]
    assert len(kept(found.segments)) == 2
    before, after = untrained(8), untrained(16)
    one = segment_folder(tmp_path, before, EXTRACTORS, "null")
    assert one.key == segment_folder(tmp_path, after, EXTRACTORS, "null").key
    assert one.key != segment_folder(tmp_path, before, {**EXTRACTORS, "clip": "clip@2"}, "null").key


def test_what_cannot_be_written_is_held_in_memory(store: Store, make: Derive, tmp_path: Path) -> None:
    put(store, 1, 1)
    folder = SegmentFolder(tmp_path / "index", "key")
    refresh(store, folder, EXTRACTORS, make)
    put(store, 2, 2)
    with FileLock(folder.folder / "lock"):
        found = refresh(store, folder, EXTRACTORS, make)
    assert len(kept(found.segments)) == 4
    assert "held in memory" in found.notes[0]
    assert len(kept(folder.open())) == 2
    file = tmp_path / "file"
    file.write_text("")
    found = refresh(store, SegmentFolder(file / "index", "key"), EXTRACTORS, make)
    assert len(kept(found.segments)) == 4


def test_a_damaged_feature_leaves_out_one_video_and_says_so(
    store: Store, make: Derive, tmp_path: Path
) -> None:
    put(store, 1, 1)
    put(store, 2, 2)
    with store.features.writing() as session:
        session.connection().exec_driver_sql(
            'UPDATE feature SET "values" = zeroblob(length("values")) '
            "WHERE fingerprint = 'print1' AND extractor = 's3d@1'"
        )
    found = refresh(store, SegmentFolder(tmp_path / "index", "key"), EXTRACTORS, make)
    assert len(kept(found.segments)) == 2
    assert "1.mp4 is left out" in found.notes[0]


def test_without_an_active_scorer_the_untrained_one_answers(store: Store) -> None:
    answering, why = open_scorer(store, "demo", "clip@1", 8)
    assert (answering.branches, answering.state, why) == (("visual",), "untrained", "")
