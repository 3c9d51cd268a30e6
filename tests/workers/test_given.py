"""How much is given to a worker: batches from many short clips, and nothing behind a long film."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.workers.given import MOST, Given, given, has_room
from m2hf_core.store.jobs import Lease

FILM_S, CLIP_S = 7200.0, 3.0


def lease(path: Path | str = "/v/a.mp4", duration_s: float | None = None) -> Lease:
    return Lease(1, 1, "print", str(path), (), (), 1, duration_s)


def lying(*lengths: float, done_s: float = 0.0) -> list[Given]:
    tasks = [Given(lease(), length) for length in lengths]
    if done_s:
        tasks[0].stage, tasks[0].total_s, tasks[0].done_s = "frames", lengths[0], done_s
    return tasks


def fill(length_s: float, readers: int) -> int:
    tasks: list[Given] = []
    while has_room(tasks, readers):
        tasks += lying(length_s)
    return len(tasks)


@pytest.mark.parametrize(
    ("length_s", "readers", "expected"),
    [(CLIP_S, 1, MOST), (25.0, 1, 3), (FILM_S, 1, 1), (FILM_S, 4, 4), (0.0, 1, MOST)],
)
def test_as_much_as_fills_batches_and_keeps_all_readers_busy(
    length_s: float, readers: int, expected: int
) -> None:
    assert fill(length_s, readers) == expected


def test_the_next_comes_shortly_before_the_end_of_a_film() -> None:
    assert not has_room(lying(FILM_S, done_s=FILM_S - 61), 1)
    assert has_room(lying(FILM_S, done_s=FILM_S - 59), 1)
    assert not has_room(lying(FILM_S, FILM_S, done_s=FILM_S - 1), 1)
    assert has_room(lying(FILM_S, CLIP_S, done_s=FILM_S - 1), 1)


def test_what_nobody_has_looked_into_is_judged_by_its_size(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as stream:
        stream.truncate(2_000_000_000)
    assert given(lease(film)).left_s == pytest.approx(2000)
    assert given(lease(film, 10.0)).left_s == 10.0, "known is better than guessed"
    opened = given(lease(film))
    opened.total_s, opened.done_s = 5000.0, 100.0
    assert opened.left_s == 4900.0
    assert given(lease(tmp_path / "gone.mp4")).left_s == 0.0
