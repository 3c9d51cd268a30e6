"""What a copy of the library in memory compares to learn that it has grown stale: a few figures, cheap to ask for."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

# Ids are never used twice, so a count and the highest id tell of additions and removals alike. A job says what is
# extracted: whatever a worker brings ends one. Sizes and times tell of files that were replaced in place.
FIGURES = text(
    """
    SELECT
        (SELECT COUNT(*) FROM clip), (SELECT MAX(id) FROM clip),
        (SELECT COUNT(*) FROM path WHERE state = 'present'), (SELECT COUNT(*) FROM path WHERE state = 'offline'),
        (SELECT MAX(id) FROM path), (SELECT SUM(LENGTH(path) + size % 65521) FROM path),
        (SELECT COUNT(*) FROM line), (SELECT MAX(id) FROM line),
        (SELECT SUM(json_array_length(done_with)) FROM job), (SELECT COUNT(*) FROM job WHERE state = 'done'),
        (SELECT COUNT(*) FROM job WHERE state = 'failed'), (SELECT COUNT(*) FROM job WHERE state = 'queued'),
        (SELECT MAX(activation) FROM scorer), (SELECT COUNT(activation) FROM scorer)
    """
)

Revision = tuple[int, ...]


def revision(session: Session) -> Revision:
    """Figures that differ whenever clips, files, transcripts, features or the active scorer have changed."""
    return tuple(int(value or 0) for value in session.execute(FIGURES).one())
