"""Arrays come back as float16 allows, and damage inside them is noticed."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sqlalchemy import text

from m2hf_core.config.paths import Paths
from m2hf_core.errors import CorruptStore
from m2hf_core.records import Feature
from m2hf_core.store import Store, features, health, jobs, open_store

Furnish = Callable[[Store], list[int]]


def feature(values: npt.ArrayLike) -> Feature:
    rows = np.asarray(values, np.float32)
    times = np.arange(len(rows), dtype=np.float64)
    return Feature(rows, times / 3, times / 3 + 0.96)


def stored(store: Store, fingerprint: str, extractor: str) -> Feature:
    with store.features.reading() as session:
        found = features.get(session, fingerprint, extractor)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with open_store(Paths(tmp_path_factory.mktemp("features"))) as store:
        yield store


@settings(max_examples=40)
@given(
    values=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
        elements=st.floats(-65504, 65504, width=32),
    ),
    start=st.floats(0, 1e6),
)
def test_round_trip(one_store: Store, values: npt.NDArray[np.float32], start: float) -> None:
    times = start + np.arange(len(values), dtype=np.float64)
    with one_store.features.writing() as session:
        features.put(session, "print", "clip@1", Feature(values, times, times + 0.1))
    back = stored(one_store, "print", "clip@1")
    assert back.values.dtype == np.float32
    assert back.values.shape == values.shape
    # float16 keeps 11 significant bits; below its smallest normal number the steps are 2**-24.
    assert np.all(np.abs(back.values - values) <= np.maximum(np.abs(values) * 2.0**-11, 2.0**-25))
    assert np.array_equal(back.start_s, times)
    assert np.array_equal(back.end_s, times + 0.1)
    back.values[...] = 0  # the caller's own copy


def test_the_bytes_are_little_endian_halves(store: Store) -> None:
    with store.features.writing() as session:
        features.put(
            session, "print", "clip@1", Feature(np.array([[1.0, -2.5]]), np.array([0.5]), np.array([1.5]))
        )
    with store.features.reading() as session:
        row = session.execute(text('SELECT "rows", dim, start_s, end_s, "values" FROM feature')).one()
    assert row[0:2] == (1, 2)
    assert row[2:4] == (struct.pack("<d", 0.5), struct.pack("<d", 1.5))
    assert row[4] == struct.pack("<ee", 1.0, -2.5)


def test_putting_again_replaces(store: Store) -> None:
    with store.features.writing() as session:
        features.put(session, "print", "clip@1", feature([[1.0, 2.0]]))
        features.put(session, "print", "clip@1", feature([[3.0], [4.0]]))
        assert features.coverage(session) == {"clip@1": 1}
    assert stored(store, "print", "clip@1").values.tolist() == [[3.0], [4.0]]


def test_asking_for_what_is_not_there(store: Store) -> None:
    with store.features.writing() as session:
        features.put(session, "print", "clip@1", feature([[1.0]]))
        features.put(session, "print", "vggish@1", feature(np.zeros((0, 128))))
        assert features.get(session, "print", "s3d@1") is None
        assert features.get(session, "other", "clip@1") is None
        assert features.has(session, "print", "clip@1")
        assert not features.has(session, "print", "s3d@1")
        assert features.extractors_of(session, "print") == {"clip@1", "vggish@1"}, "silence is a result too"
        assert features.extractors_of(session, "other") == set()


def test_deleting_gives_space_back(store: Store) -> None:
    with store.features.writing() as session:
        empty = features.bytes_used(session)
        for n in range(20):
            features.put(session, f"{n}", "clip@1", feature(np.ones((100, 100))))
            features.put(session, f"{n}", "clip@2", feature([[1.0]]))
        full = features.bytes_used(session)
        assert full - empty > 20 * 100 * 100 * 2
        assert features.delete_for(session, ["0", "unknown"]) == 2
        assert features.delete_for(session, [f"{n}" for n in range(20)], "clip@1") == 19
        assert features.coverage(session) == {"clip@2": 19}
        assert features.bytes_used(session) - empty < 100_000


@pytest.mark.parametrize(
    "bad",
    [
        Feature(np.ones(3), np.ones(3), np.ones(3)),
        Feature(np.ones((3, 2)), np.ones(2), np.ones(3)),
        Feature(np.ones((3, 2)), np.ones(3), np.ones((3, 1))),
        Feature(np.full((1, 1), np.nan), np.zeros(1), np.ones(1)),
        Feature(np.full((1, 1), 70_000.0), np.zeros(1), np.ones(1)),
        Feature(np.ones((1, 1)), np.zeros(1), np.array([np.inf])),
    ],
)
def test_what_cannot_be_stored_is_refused(store: Store, bad: Feature) -> None:
    with pytest.raises(ValueError), store.features.writing() as session:
        features.put(session, "print", "clip@1", bad)


@pytest.mark.parametrize(
    "change",
    [
        '"values" = substr("values", 1, length("values") - 2)',
        "start_s = CAST(start_s || x'00' AS BLOB)",
        "end_s = 'text of sixteen!'",
        '"rows" = "rows" + 1',
        'dim = dim * 2, "rows" = "rows" / 2',
        '"values" = zeroblob(length("values"))',
        "end_s = start_s",
    ],
)
def test_damage_inside_is_noticed_and_repaired(store: Store, furnish: Furnish, change: str) -> None:
    furnish(store)
    with store.features.writing() as session:
        session.execute(
            text(f"UPDATE feature SET {change} WHERE fingerprint = 'print1' AND extractor = 'clip@1'")
        )
    with pytest.raises(CorruptStore, match=r"stored feature \(clip@1\).*doctor"):
        stored(store, "print1", "clip@1")
    assert health.findings(store) == ["1 stored features are damaged."]
    assert health.repair(store) == ["1 damaged features were removed; 1 videos are queued again for them."]
    assert health.findings(store) == []
    with store.features.reading() as session:
        assert features.coverage(session) == {"clip@1": 2, "vggish@1": 3}
    with store.library.reading() as session:
        assert jobs.counts(session)["queued"] == 3
    assert health.repair(store) == []
