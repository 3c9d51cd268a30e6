"""The features file as it first shipped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "features_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "feature",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("extractor", sa.Text, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("crc", sa.Integer, nullable=False),
        sa.Column("start_s", sa.LargeBinary, nullable=False),
        sa.Column("end_s", sa.LargeBinary, nullable=False),
        sa.Column("values", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feature"),
        sa.UniqueConstraint("extractor", "fingerprint", name="uq_feature_extractor_fingerprint"),
    )
    op.create_index("ix_feature_fingerprint_extractor", "feature", ["fingerprint", "extractor"])
