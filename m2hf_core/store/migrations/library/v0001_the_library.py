"""The library as it first shipped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "library_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _files()
    _jobs_and_clips()
    _words()
    _searchable("line")
    _searchable("caption")


def _files() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "folder",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("watched", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("added_at", sa.REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_folder"),
        sa.UniqueConstraint("path", name="uq_folder_path"),
        sa.CheckConstraint("state IN ('online', 'offline')", name=op.f("ck_folder_state")),
    )
    op.create_table(
        "video",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("duration_s", sa.REAL),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("has_audio", sa.Boolean),
        sa.Column("container", sa.Text),
        sa.Column("codec", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("added_at", sa.REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_video"),
        sa.UniqueConstraint("fingerprint", name="uq_video_fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "path",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("folder_id", sa.Integer, nullable=False),
        sa.Column("video_id", sa.Integer, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("mtime_ns", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_path"),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folder.id"], name="fk_path_folder_id_folder", ondelete="CASCADE"
        ),
        _of_video("path"),
        sa.UniqueConstraint("path", name="uq_path_path"),
        sa.CheckConstraint("state IN ('present', 'offline', 'gone')", name=op.f("ck_path_state")),
    )
    op.create_index("ix_path_folder_id", "path", ["folder_id"])
    op.create_index("ix_path_video_id_state_id", "path", ["video_id", "state", "id"])
    op.create_table(
        "path_failure",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("folder_id", sa.Integer, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_path_failure"),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folder.id"], name="fk_path_failure_folder_id_folder", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("path", name="uq_path_failure_path"),
    )
    op.create_index("ix_path_failure_folder_id", "path_failure", ["folder_id"])


def _jobs_and_clips() -> None:
    op.create_table(
        "clip",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("video_id", sa.Integer, nullable=False),
        sa.Column("start_s", sa.REAL, nullable=False),
        sa.Column("end_s", sa.REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clip"),
        _of_video("clip"),
        sa.UniqueConstraint("video_id", "start_s", "end_s", name="uq_clip_video_id_start_s_end_s"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("video_id", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("cost", sa.REAL, nullable=False),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("done_with", sa.JSON, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.REAL),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("hint", sa.Text),
        sa.Column("quarantined", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        _of_video("job"),
        sa.UniqueConstraint("video_id", name="uq_job_video_id"),
        sa.CheckConstraint("state IN ('queued', 'leased', 'done', 'failed')", name=op.f("ck_job_state")),
    )
    op.create_index("ix_job_turn", "job", ["state", "turn", "cost", "id"])
    op.create_table(
        "scorer",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("preset", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("file", sa.LargeBinary),
        sa.Column("info", sa.JSON, nullable=False),
        sa.Column("activation", sa.Integer),
        sa.Column("added_at", sa.REAL, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scorer"),
    )
    op.create_index("ix_scorer_preset_activation", "scorer", ["preset", "activation"])


def _words() -> None:
    op.create_table(
        "transcript",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("video_id", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("noun_mode", sa.Text, nullable=False),
        sa.Column("noun_version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transcript"),
        _of_video("transcript"),
        sa.UniqueConstraint("video_id", "source", name="uq_transcript_video_id_source"),
    )
    op.create_table(
        "line",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("transcript_id", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("start_s", sa.REAL, nullable=False),
        sa.Column("end_s", sa.REAL, nullable=False),
        sa.Column("words", sa.JSON, nullable=False),
        sa.Column("nouns", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_line"),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcript.id"], name="fk_line_transcript_id_transcript", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_line_transcript_id_start_s", "line", ["transcript_id", "start_s"])
    op.create_table(
        "caption",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("video_id", sa.Integer),
        sa.Column("start_s", sa.REAL),
        sa.Column("end_s", sa.REAL),
        sa.Column("added_at", sa.REAL, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_caption"),
        _of_video("caption"),
        sa.UniqueConstraint("key", name="uq_caption_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_caption_source", "caption", ["source"])
    op.create_index("ix_caption_video_id", "caption", ["video_id"])


def _of_video(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["video_id"], ["video.id"], name=f"fk_{table}_video_id_video", ondelete="CASCADE"
    )


def _searchable(table: str) -> None:
    """An FTS5 index that keeps no copy of the text; cascading deletes fire its triggers too."""
    forget = f"INSERT INTO {table}_fts({table}_fts, rowid, text) VALUES ('delete', old.id, old.text);"  # noqa: S608
    learn = f"INSERT INTO {table}_fts(rowid, text) VALUES (new.id, new.text);"  # noqa: S608
    op.execute(
        f"CREATE VIRTUAL TABLE {table}_fts USING fts5(text, content='{table}', content_rowid='id', "
        "tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(f"CREATE TRIGGER {table}_learn AFTER INSERT ON {table} BEGIN {learn} END")
    op.execute(f"CREATE TRIGGER {table}_forget AFTER DELETE ON {table} BEGIN {forget} END")
    op.execute(f"CREATE TRIGGER {table}_relearn AFTER UPDATE OF text ON {table} BEGIN {forget} {learn} END")
