"""The tables of `features.sqlite`: extracted arrays, large and rebuildable."""

from __future__ import annotations

from sqlalchemy import Index, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from m2hf_core.store.models import NAMES

FEATURES_REVISION = "features_0001"
"""The newest migration under migrations/features."""


class Features(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class FeaturesMeta(Features):
    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class StoredFeature(Features):
    """One extractor's rows for one content. The blobs come last, so that reading the rest is cheap."""

    __tablename__ = "feature"
    __table_args__ = (
        UniqueConstraint("extractor", "fingerprint"),
        Index("ix_feature_fingerprint_extractor", "fingerprint", "extractor"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    extractor: Mapped[str] = mapped_column(Text)
    rows: Mapped[int]
    dim: Mapped[int]
    crc: Mapped[int]
    """CRC-32 over spans and values: SQLite does not notice a byte that flips inside a blob."""
    start_s: Mapped[bytes]
    """`rows` little-endian float64."""
    end_s: Mapped[bytes]
    values: Mapped[bytes]
    """`rows` x `dim` little-endian float16, row by row."""
