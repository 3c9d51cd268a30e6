"""Clips keep their ids while their spans stay, and are listed where their videos lie."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m2hf_core.config.paths import Paths
from m2hf_core.store import Store, clips, files, folders, open_store

Furnish = Callable[[Store], list[int]]
Spans = list[tuple[float, float]]


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with open_store(Paths(tmp_path_factory.mktemp("clips"))) as store:
        yield store


spans = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.01, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=5,
)


@settings(max_examples=30)
@given(first=spans, second=spans, kept=st.integers(0, 5))
def test_unchanged_spans_keep_their_ids(one_store: Store, first: Spans, second: Spans, kept: int) -> None:
    second = first[:kept] + second
    with one_store.library.writing() as session:
        folder = folders.add_folder(session, "/films")
        video = files.put_path(session, folder, "/films/a.mp4", 1, 1, "a")
        clips.replace_clips(session, video, [])
        before = dict(zip(sorted(set(first)), clips.replace_clips(session, video, first), strict=True))
        after = dict(zip(sorted(set(second)), clips.replace_clips(session, video, second), strict=True))
        listed = {(row.start_s, row.end_s): row.clip_id for row in clips.clips_of(session, video)}
    assert listed == after
    for span, clip_id in after.items():
        assert (clip_id == before[span]) if span in before else clip_id not in before.values()


def test_the_listing_is_by_video_then_time(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    with store.library.writing() as session:
        clips.replace_clips(session, videos[0], [(4.0, 5.0), (0.0, 2.0), (2.0, 4.0), (0.0, 3.0)])
        rows = clips.searchable_clips(session)
        assert [(row.video_id, row.start_s, row.end_s) for row in rows] == [
            (videos[0], 0.0, 2.0),
            (videos[0], 0.0, 3.0),
            (videos[0], 2.0, 4.0),
            (videos[0], 4.0, 5.0),
            (videos[1], 0.0, 2.0),
            (videos[1], 2.0, 4.0),
            (videos[2], 0.0, 2.0),
            (videos[2], 2.0, 4.0),
        ]
        assert (rows[0].path, rows[0].fingerprint, rows[0].title, rows[0].offline) == (
            "/films/0.mp4",
            "print0",
            "0",
            False,
        )


def test_a_present_path_represents_before_an_offline_one(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    with store.library.writing() as session:
        (films,) = (row.folder_id for row in folders.list_folders(session))
        other = folders.add_folder(session, "/copies")
        files.put_path(session, other, "/copies/0.mp4", 1, 1, "print0")
        assert len(clips.searchable_clips(session)) == 6, "a copy is no second clip"
        folders.set_folder_state(session, films, "offline")
        rows = {row.video_id: row for row in clips.searchable_clips(session)}
        assert (rows[videos[0]].path, rows[videos[0]].offline) == ("/copies/0.mp4", False)
        assert (rows[videos[1]].path, rows[videos[1]].offline) == ("/films/1.mp4", True)
        known = files.known_paths(session, films)
        files.mark_paths(session, [known["/films/1.mp4"].path_id], "gone")
        assert {row.video_id for row in clips.searchable_clips(session)} == {videos[0], videos[2]}
        assert clips.clips_of(session, videos[1]) == []


def test_the_clip_at_a_moment(store: Store, furnish: Furnish) -> None:
    videos = furnish(store)
    with store.library.writing() as session:
        clips.replace_clips(session, videos[0], [(1.0, 2.0), (2.0, 4.0)])

        def at(time_s: float) -> float | None:
            row = clips.clip_at(session, videos[0], time_s)
            return None if row is None else row.start_s

        assert [at(t) for t in (0.5, 1.0, 1.99, 2.0, 99.0)] == [None, 1.0, 1.0, 2.0, 2.0]
        assert clips.clip_at(session, videos[4], 0.0) is None


@pytest.mark.parametrize("span", [(2.0, 2.0), (3.0, 1.0), (-1.0, 1.0), (0.0, float("nan"))])
def test_spans_go_forward(store: Store, furnish: Furnish, span: tuple[float, float]) -> None:
    video = furnish(store)[0]
    with pytest.raises(ValueError, match="no clip lasts"), store.library.writing() as session:
        clips.replace_clips(session, video, [span])
