"""What the owner said of hits: right for these words, or wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "library_0002"
down_revision = "library_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pin",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("video_id", sa.Integer, nullable=False),
        sa.Column("start_s", sa.REAL, nullable=False),
        sa.Column("end_s", sa.REAL, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("added_at", sa.REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pin"),
        sa.ForeignKeyConstraint(["video_id"], ["video.id"], name="fk_pin_video_id_video", ondelete="CASCADE"),
        sa.UniqueConstraint(
            "text", "video_id", "start_s", "end_s", name="uq_pin_text_video_id_start_s_end_s"
        ),
        sa.CheckConstraint("verdict IN ('right', 'wrong')", name=op.f("ck_pin_verdict")),
    )
    op.create_index("ix_pin_video_id", "pin", ["video_id"])
