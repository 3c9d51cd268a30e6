"""Transcripts, captions and the full-text search over both."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from m2hf_core.config.paths import Paths
from m2hf_core.records import Line, Transcript, TranscriptSource, Word
from m2hf_core.store import Store, captions, files, folders, health, open_store, transcripts
from m2hf_core.store.captions import NewCaption

Furnish = Callable[[Store], list[int]]


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    with store.library.writing() as opened:
        yield opened


@pytest.fixture
def video(session: Session) -> int:
    return files.put_path(session, folders.add_folder(session, "/films"), "/films/a.mp4", 1, 1, "a")


def put(session: Session, video: int, *lines: str, source: TranscriptSource = "asr") -> int:
    spoken = tuple(Line(line, float(n), n + 1.0) for n, line in enumerate(lines))
    nouns = [tuple(line.split()[-1:]) for line in lines]
    return transcripts.put_transcript(session, video, Transcript(source, "en", spoken), nouns, "nltk", "1")


def found(session: Session, words: str) -> list[str]:
    return sorted(hit.text for hit in transcripts.search_lines(session, words))


def test_a_transcript_comes_back_whole(session: Session, video: int) -> None:
    words = (Word("héllo", 0.25, 0.5), Word("dög", 0.5, 1.0))
    lines = (Line("héllo dög 🐕", 0.25, 1.0, words), Line("two\nrows", 1.0, 2.0))
    transcript = Transcript("embedded", "de", lines)
    transcripts.put_transcript(session, video, transcript, [("dög", "dog"), ()], "content words", "7")
    rows = transcripts.lines_of(session, video)
    assert tuple(row.line for row in rows) == lines
    assert [(row.source, row.nouns) for row in rows] == [("embedded", ("dög", "dog")), ("embedded", ())]
    (stored,) = transcripts.transcripts_of(session, video)
    assert (stored.source, stored.language, stored.noun_mode, stored.noun_version) == (
        "embedded",
        "de",
        "content words",
        "7",
    )


def test_the_same_source_replaces_another_adds(session: Session, video: int) -> None:
    put(session, video, "an old dog")
    assert len(transcripts.transcripts_of(session, video)) == 1
    put(session, video, "a new cat", "and a cow")
    put(session, video, "a written cat", source="sidecar")
    lines = [(row.source, row.line.text) for row in transcripts.lines_of(session, video)]
    assert lines == [("asr", "a new cat"), ("sidecar", "a written cat"), ("asr", "and a cow")]
    assert found(session, "dog") == []
    assert found(session, "cat") == ["a new cat", "a written cat"]
    assert transcripts.videos_listened_to(session) == 1


def test_silence_is_noted(session: Session, video: int) -> None:
    assert transcripts.videos_listened_to(session) == 0
    put(session, video)
    assert transcripts.videos_listened_to(session) == 1
    assert transcripts.lines_of(session, video) == []


def test_lines_of_a_part(session: Session, video: int) -> None:
    put(session, video, "zero", "one", "two", "three")
    part = transcripts.lines_of(session, video, 1.0, 2.5)
    assert [row.line.text for row in part] == ["one", "two"], (
        "a line that ends where the part begins is not in it"
    )


def test_nouns_for_the_index(session: Session, video: int) -> None:
    put(session, video, "a dog", "", "a cat")
    heard = [
        (row.video_id, row.start_s, row.end_s, row.nouns) for row in transcripts.iter_line_nouns(session)
    ]
    assert heard == [(video, 0.0, 1.0, ("dog",)), (video, 2.0, 3.0, ("cat",))]


def test_lines_and_nouns_are_parallel(session: Session, video: int) -> None:
    with pytest.raises(ValueError, match="1 lines with 0 noun sets"):
        transcripts.put_transcript(
            session, video, Transcript("asr", None, (Line("a", 0.0, 1.0),)), [], "nltk", "1"
        )


def test_searching_lines(session: Session, video: int) -> None:
    put(session, video, "The dog barks loudly", "a cat and a dog", "Éclair au café")
    assert found(session, "dog") == ["The dog barks loudly", "a cat and a dog"]
    assert found(session, "DOG cat") == ["a cat and a dog"]
    assert found(session, '"dog barks"') == ["The dog barks loudly"]
    assert found(session, '"barks dog"') == []
    assert found(session, "eclair CAFE") == ["Éclair au café"]
    assert found(session, "do") == [], "whole words"
    (hit,) = transcripts.search_lines(session, "barks")
    assert (hit.video_id, hit.start_s, hit.end_s) == (video, 0.0, 1.0)
    assert hit.line_id == transcripts.lines_of(session, video)[0].line_id
    scores = [hit.score for hit in transcripts.search_lines(session, "dog")]
    assert scores == sorted(scores)
    assert len(transcripts.search_lines(session, "dog", limit=1)) == 1


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with open_store(Paths(tmp_path_factory.mktemp("words"))) as store:
        with store.library.writing() as session:
            captions.add_captions(session, [NewCaption("NEAR the dog AND text: it's * (a) ^ test", "bank")])
        yield store


@settings(max_examples=150)
@given(words=st.text(st.characters(codec=None, exclude_categories=()), max_size=20))
@example('"')
@example('""" "')
@example("a* OR b")
@example("text:dog")
@example("NEAR(dog cat)")
@example("dog NOT cat")
@example("\0dog")
@example("\ud800")
@example("-dog ^dog +dog")
def test_whatever_is_typed_is_text(one_store: Store, words: str) -> None:
    with one_store.library.reading() as session:
        captions.search_captions(session, words)
        transcripts.search_lines(session, words)


@pytest.mark.parametrize(
    ("words", "hits"),
    [
        ("NEAR", 1),
        ("dog AND", 1),
        ("dog OR", 0),
        ("text:", 1),
        ("it's", 1),
        ("*", 0),
        ("(a)", 1),
        ("te*", 0),
        ("", 0),
    ],
)
def test_operators_are_words(one_store: Store, words: str, hits: int) -> None:
    with one_store.library.reading() as session:
        assert len(captions.search_captions(session, words)) == hits


def test_captions_are_added_once(session: Session, video: int) -> None:
    bank = [
        NewCaption("a cat", "bank"),
        NewCaption(" a cat ", "bank"),
        NewCaption("a cat", "mine"),
        NewCaption("a cat", "bank", video),
        NewCaption("a cat", "bank", video, 1.0, 2.0),
    ]
    assert captions.add_captions(session, bank) == 4
    assert captions.add_captions(session, iter(bank)) == 0
    assert captions.sources(session) == {"bank": 3, "mine": 1}
    rows = captions.list_captions(session, video_id=video)
    assert [(row.text, row.start_s, row.end_s) for row in rows] == [
        ("a cat", None, None),
        ("a cat", 1.0, 2.0),
    ]
    assert len(captions.list_captions(session, source="bank")) == 3
    first, *rest = captions.list_captions(session)
    assert captions.list_captions(session, after=first.caption_id, limit=2) == rest[:2]
    assert captions.delete_captions(session, [first.caption_id, 99]) == 1
    assert captions.delete_captions(session, [row.caption_id for row in rest if row.source == "bank"]) == 2
    assert [row.source for row in captions.list_captions(session)] == ["mine"]
    assert [row.source for row in captions.search_captions(session, "cat")] == ["mine"]


@pytest.mark.parametrize(
    "caption",
    [
        NewCaption("  ", "bank"),
        NewCaption("a", "bank", None, 0.0, 1.0),
        NewCaption("a", "bank", 1, 0.0, None),
        NewCaption("a", "bank", 1, None, 1.0),
    ],
)
def test_half_captions_are_refused(session: Session, caption: NewCaption) -> None:
    with pytest.raises(ValueError):
        captions.add_captions(session, [caption])


def test_a_large_bank(store: Store, shared: Path) -> None:
    """Real sentences: the same count, search and order as a plain reading gives."""
    videos = json.loads((shared / "text" / "msvd" / "captions_msvd.json").read_text(encoding="utf-8"))
    lines = [text for texts in videos.values() for text in texts if text.strip()][:5_000]
    assert len(lines) == 5_000
    distinct = list(dict.fromkeys(line.strip() for line in lines))
    with store.library.writing() as session:
        assert captions.add_captions(session, (NewCaption(line, "msvd") for line in lines)) == len(distinct)
    with store.library.reading() as session:
        assert [row.text for row in captions.list_captions(session)] == distinct
        hits = captions.search_captions(session, "guitar", limit=100_000)
    wanted = {line for line in distinct if "guitar" in _words(line)}
    assert {row.text for row in hits} == wanted
    assert wanted


def _words(line: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in line.lower()).split()


def test_full_text_stays_in_step(store: Store, furnish: Furnish) -> None:
    furnish(store)
    with store.library.writing() as session:
        session.execute(text("UPDATE line SET text = 'a wolf howls' WHERE text LIKE '%number 1%'"))
        assert found(session, "wolf") == ["a wolf howls"]
        assert len(found(session, "dog")) == 2
    assert health.findings(store) == []
    with store.library.writing() as session:
        session.execute(text("INSERT INTO line_fts(line_fts) VALUES ('delete-all')"))
    assert health.findings(store) == ["The full-text index line_fts is out of step with its texts."]
    assert health.repair(store) == ["The full-text index line_fts was rebuilt."]
    assert health.findings(store) == []
    with store.library.reading() as session:
        assert found(session, "wolf") == ["a wolf howls"]


def test_random_edits_keep_full_text_in_step(store: Store) -> None:
    words = ["dog", "cat", "cow"]
    chance = random.Random(1)
    with store.library.writing() as session:
        folder = folders.add_folder(session, "/films")
        videos = [files.put_path(session, folder, f"/films/{n}.mp4", 1, 1, f"{n}") for n in range(3)]
        for _ in range(40):
            lines = [" ".join(chance.choices(words, k=3)) for _ in range(chance.randrange(4))]
            put(session, chance.choice(videos), *lines, source=chance.choice(("asr", "sidecar")))
            everything = [row.line.text for video in videos for row in transcripts.lines_of(session, video)]
            for word in words:
                assert found(session, word) == sorted(line for line in everything if word in line.split())
