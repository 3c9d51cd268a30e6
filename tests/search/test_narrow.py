"""Exact words and facts come from a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from m2hf_core.config.paths import Paths
from m2hf_core.records import Line, Transcript
from m2hf_core.search.load import load_gallery
from m2hf_core.search.narrow import exact_rows
from m2hf_core.store import Store, captions, clips, files, folders, open_store, transcripts
from m2hf_core.store.captions import NewCaption
from m2hf_core.store.facts import path_facts

NOON = 1_709_204_400 * 10**9  # 2024-02-29 11:00 UTC
SPANS = [(0.0, 5.0), (5.0, 10.0)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two videos of two clips; something is said in the second clip of the first."""
    with open_store(Paths(tmp_path / "data")) as opened:
        with opened.library.writing() as session:
            folder = folders.add_folder(session, "/v")
            first = files.put_path(session, folder, "/v/Sea/Good_Boy-Café.mp4", 1, NOON, "a")
            second = files.put_path(session, folder, "/v/b.mkv", 1, 2**62, "b")
            files.put_info(session, first, files.VideoInfo(10.0, 4, 4, True, "mp4", "h264"))
            for video in (first, second):
                clips.replace_clips(session, video, SPANS)
            spoken = (Line("Such a GOOD boy, really!", 6.0, 7.0), Line("a boy, good", 1.0, 2.0))
            heard = Transcript("asr", "en", spoken)
            transcripts.put_transcript(session, first, heard, [("boy",), ()], "nltk", "1")
            captions.add_captions(
                session,
                [NewCaption("really red", "own", second, 0.0, 4.0), NewCaption("really free", "own")],
            )
        yield opened


def test_facts_of_each_file(store: Store) -> None:
    with store.library.reading() as session:
        facts = path_facts(session)
    first, second = facts["/v/Sea/Good_Boy-Café.mp4"], facts["/v/b.mkv"]
    assert (first.duration_s, first.has_audio, first.mtime_ns, first.has_speech) == (10.0, True, NOON, True)
    assert (second.duration_s, second.has_audio, second.has_speech) == (None, None, False)
    clip = load_gallery(store).clips[0]
    assert (clip.duration_s, clip.has_sound, clip.has_speech) == (10.0, True, True)
    assert clip.modified in (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))


@pytest.mark.parametrize(
    ("phrases", "holding", "spoken", "named"),
    [
        (["good boy"], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]),
        (["boy good"], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]),
        (["boy cafe"], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]),
        (["really"], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]),
        (["good boy", "really"], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]),
        (["oo"], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        (["!?"], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        (["NEAR( OR *"], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_where_exact_words_stand(
    store: Store, phrases: list[str], holding: list[int], spoken: list[int], named: list[int]
) -> None:
    gallery = load_gallery(store)
    with store.library.reading() as session:
        found = exact_rows(gallery, session, phrases)
    assert found.holding.tolist() == [bool(x) for x in holding]
    assert found.spoken.tolist() == [bool(x) for x in spoken]
    assert found.named.tolist() == [bool(x) for x in named]
    assert set(found.said_at) == {row for row, said in enumerate(spoken) if said}
