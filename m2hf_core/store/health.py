"""The thorough checks and the repairs that are too slow for every opening; `doctor` runs them."""

from __future__ import annotations

from sqlalchemy import text

from m2hf_core.errors import CorruptStore
from m2hf_core.store import features, jobs
from m2hf_core.store.columns import shown
from m2hf_core.store.store import Store

FULL_TEXT = ("line_fts", "caption_fts")


def findings(store: Store) -> list[str]:
    """Everything that is wrong with the two files, in sentences; empty when they are sound. Reads them whole."""
    found = []
    for database in (store.library, store.features):
        try:
            verdicts = [str(row[0]) for row in database.pragma("integrity_check(10)")]
        except CorruptStore as error:
            verdicts = [error.detail]
        found += [f"{shown(database.path)} is damaged: {verdict}" for verdict in verdicts if verdict != "ok"]
    if found:
        # On pages that do not hang together the finer questions have no meaning.
        return found
    orphans = store.library.pragma("foreign_key_check")
    if orphans:
        found.append(f"{len(orphans)} rows of {shown(store.library.path)} refer to rows that are not there.")
    found += [f"The full-text index {name} is out of step with its texts." for name in _out_of_step(store)]
    try:
        with store.features.reading() as session:
            broken = len(features.damaged(session))
    except CorruptStore as error:
        return [*found, f"{shown(store.features.path)} is damaged: {error.detail}"]
    if broken:
        found.append(f"{broken} stored features are damaged.")
    return found


def repair(store: Store) -> list[str]:
    """Mend what can be mended: full-text indexes are rebuilt, damaged features removed and queued again.

    Answers what was done, in sentences. Raises `CorruptStore` when a file is damaged as a whole.
    """
    done = []
    for name in _out_of_step(store):
        with store.library.writing() as session:
            session.execute(text(f"INSERT INTO {name}({name}) VALUES ('rebuild')"))  # noqa: S608
        done.append(f"The full-text index {name} was rebuilt.")
    with store.features.reading() as session:
        broken = features.damaged(session)
    if broken:
        # The jobs first: a crash in between leaves jobs that overwrite the damaged rows.
        with store.library.writing() as session:
            again = jobs.reopen(session, broken)
        with store.features.writing() as session:
            for fingerprint, extractor in broken:
                features.delete_for(session, [fingerprint], extractor)
        done.append(f"{len(broken)} damaged features were removed; {again} videos are queued again for them.")
    return done


def _out_of_step(store: Store) -> list[str]:
    """Full-text indexes that do not agree with their tables. FTS5 checks by a command that needs a writer."""
    if store.read_only:
        return []
    found = []
    for name in FULL_TEXT:
        try:
            with store.library.writing() as session:
                session.execute(text(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)"))  # noqa: S608
        except CorruptStore:
            found.append(name)
    return found
