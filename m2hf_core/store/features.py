"""Extracted arrays: float32 in memory, float16 on disk, each row with the time it covers."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2hf_core.errors import CorruptStore
from m2hf_core.records import Feature
from m2hf_core.store.feature_models import StoredFeature
from m2hf_core.store.sql import among

HALF, DOUBLE = np.dtype("<f2"), np.dtype("<f8")

COLUMNS = (
    StoredFeature.fingerprint,
    StoredFeature.extractor,
    StoredFeature.rows,
    StoredFeature.dim,
    StoredFeature.crc,
    StoredFeature.start_s,
    StoredFeature.end_s,
    StoredFeature.values,
)


def put(session: Session, fingerprint: str, extractor: str, feature: Feature) -> None:
    """Store a video's [n, d] rows, replacing what this extractor gave before; n may be 0 (a silent video).

    Raises `ValueError` for shapes that do not match or values that float16 cannot hold (over 65504, NaN).
    """
    values, start_s, end_s = feature.values, feature.start_s, feature.end_s
    if values.ndim != 2 or start_s.shape != values.shape[:1] or end_s.shape != values.shape[:1]:
        raise ValueError(f"rows {values.shape} with times {start_s.shape} and {end_s.shape}")
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(values, dtype=HALF)
    if not (np.isfinite(half).all() and np.isfinite(start_s).all() and np.isfinite(end_s).all()):
        raise ValueError(f"{extractor} gave values that are not finite in float16")
    blobs = (_bytes(start_s), _bytes(end_s), half.tobytes())
    row = {
        "rows": values.shape[0],
        "dim": values.shape[1],
        "crc": _crc(*blobs),
        "start_s": blobs[0],
        "end_s": blobs[1],
        "values": blobs[2],
    }
    statement = insert(StoredFeature).values(fingerprint=fingerprint, extractor=extractor, **row)
    session.execute(statement.on_conflict_do_update(index_elements=["extractor", "fingerprint"], set_=row))


def get(session: Session, fingerprint: str, extractor: str) -> Feature | None:
    """What `put` stored, None if nothing. Raises `CorruptStore` when the row is damaged."""
    row = session.execute(
        select(*COLUMNS).where(StoredFeature.fingerprint == fingerprint, StoredFeature.extractor == extractor)
    ).one_or_none()
    return None if row is None else _feature(row)


def has(session: Session, fingerprint: str, extractor: str) -> bool:
    return extractor in extractors_of(session, fingerprint)


def extractors_of(session: Session, fingerprint: str) -> set[str]:
    """Which extractors have been through this content."""
    wanted = select(StoredFeature.extractor).where(StoredFeature.fingerprint == fingerprint)
    return set(session.scalars(wanted))


def checksums(session: Session, extractor: str) -> dict[str, int]:
    """Content -> checksum of this extractor's rows: equal as long as nothing was extracted anew."""
    rows = select(StoredFeature.fingerprint, StoredFeature.crc).where(StoredFeature.extractor == extractor)
    return dict(session.execute(rows).all())


def fingerprints(session: Session) -> set[str]:
    """Every content that has any feature."""
    return set(session.scalars(select(StoredFeature.fingerprint).distinct()))


def damaged(session: Session) -> list[tuple[str, str]]:
    """(fingerprint, extractor) of every row that no longer reads as it was written; reads the whole file."""
    found = []
    for row in session.execute(select(*COLUMNS).execution_options(yield_per=32)):
        try:
            _feature(row)
        except CorruptStore:
            found.append((row[0], row[1]))
    return found


def delete_for(session: Session, fingerprints: Collection[str], extractor: str | None = None) -> int:
    """Remove all features of these contents, or one extractor's; answers how many rows went."""
    doomed = delete(StoredFeature).where(among(StoredFeature.fingerprint, fingerprints))
    if extractor is not None:
        doomed = doomed.where(StoredFeature.extractor == extractor)
    return session.connection().execute(doomed).rowcount


def coverage(session: Session) -> dict[str, int]:
    """How many contents each extractor has been through."""
    rows = select(StoredFeature.extractor, func.count()).group_by(StoredFeature.extractor)
    return dict(session.execute(rows).all())


def bytes_used(session: Session) -> int:
    """Bytes that the stored features take, pages in use times page size."""
    connection = session.connection()

    def pragma(name: str) -> int:
        return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())

    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")


def _feature(row: Any) -> Feature:
    fingerprint, extractor, rows, dim, crc, start_s, end_s, values = row
    sizes = (rows * DOUBLE.itemsize, rows * DOUBLE.itemsize, rows * dim * HALF.itemsize)
    blobs = (start_s, end_s, values)
    sound = all(isinstance(blob, bytes) for blob in blobs) and tuple(map(len, blobs)) == sizes
    if not sound or _crc(*blobs) != crc:
        raise CorruptStore(
            f"A stored feature ({extractor}) of one video is damaged.",
            "Run m2hf-app doctor: it removes the damaged ones, and the next indexing makes them again.",
            f"fingerprint {fingerprint}, {rows} x {dim}",
        )
    return Feature(
        np.frombuffer(values, HALF).reshape(rows, dim).astype(np.float32),
        np.frombuffer(start_s, DOUBLE).astype(np.float64),
        np.frombuffer(end_s, DOUBLE).astype(np.float64),
    )


def _bytes(times: npt.NDArray[np.float64]) -> bytes:
    return np.ascontiguousarray(times, dtype=DOUBLE).tobytes()


def _crc(start_s: bytes, end_s: bytes, values: bytes) -> int:
    return zlib.crc32(values, zlib.crc32(end_s, zlib.crc32(start_s)))
