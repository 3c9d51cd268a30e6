"""Makes the store agree with a folder: what is new, changed, moved, gone, or only away for now.

Safe to run again at any time and to be killed in between: paths are written in small transactions, and nothing is
called gone before everything that is there has been noted, so a moved file keeps all that belongs to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from m2hf_core.errors import UnreadableMedia
from m2hf_core.ingest.scan import FoundFile, Scan, scan_folder
from m2hf_core.media import fingerprint_file, full_hash
from m2hf_core.progress import Progress
from m2hf_core.store import Store, failures, files, folders, forget

COMMIT_EVERY_S = 0.5
"""One transaction per file would be slow, one per folder would lose much: twice a second is neither."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one folder brought."""

    found: int
    new: int
    """Paths that were not known before, or whose content changed."""
    gone: int
    offline: bool
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A file whose content has just been identified, or why that failed."""

    file: FoundFile
    fingerprint: str | None
    trouble: UnreadableMedia | None = None


def reconcile(
    store: Store, folder_id: int, root: Path, ignore: Sequence[str], progress: Progress
) -> Reconciled:
    """Walk `root` and note what changed. Raises `Interrupted`; what was noted until then stays."""
    with store.library.reading() as session:
        known = files.known_paths(session, folder_id)
    progress.start("look for videos", 0, "files")
    scan = scan_folder(root, ignore, progress)
    if _is_away(root, scan, bool(known)):
        with store.library.writing() as session:
            folders.set_folder_state(session, folder_id, "offline")
        return Reconciled(
            0, 0, 0, offline=True, notices=(f"{root} is not there now: its videos stay, offline.",)
        )
    with store.library.writing() as session:
        folders.set_folder_state(session, folder_id, "online")
        known = files.known_paths(session, folder_id)

    changed = [file for file in scan.files if not _unchanged(known.get(str(file.path)), file)]
    progress.start("identify", len(changed), "files")
    waiting: list[_Known] = []
    twins = _Twins(store)
    committed_at = time.monotonic()
    for file in changed:
        waiting.append(_identify(file, twins, progress))
        if time.monotonic() - committed_at >= COMMIT_EVERY_S:
            _note(store, folder_id, waiting)
            waiting, committed_at = [], time.monotonic()
        progress.advance()
    _note(store, folder_id, waiting)

    progress.start("sweep")
    here = {str(file.path) for file in scan.files}
    # What lies behind a door that would not open is not known to be gone.
    closed = tuple(f"{folder}{os.sep}" for folder, _ in scan.closed)
    gone = [
        row.path_id
        for path, row in known.items()
        if row.state == "present" and path not in here and not f"{path}{os.sep}".startswith(closed)
    ]
    with store.library.writing() as session:
        files.mark_paths(session, gone, "gone")
        files.drop_gone_paths(session)
        vanished = set(failures.path_failures(session, folder_id)) - here
        failures.clear_path_failures(session, vanished)
    forget.sweep(store)
    notices = tuple(f"{folder} could not be entered ({reason})." for folder, reason in scan.closed)
    return Reconciled(len(scan.files), len(changed), len(gone), offline=False, notices=notices)


def _is_away(root: Path, scan: Scan, had_files: bool) -> bool:
    """A root that is missing, closed, or suddenly empty is away, not deleted: unplugged drives look like this."""
    if not root.is_dir() or any(folder == root for folder, _ in scan.closed):
        return True
    return had_files and not scan.files and not any(root.iterdir())


def _unchanged(known: files.KnownPath | None, file: FoundFile) -> bool:
    return (
        known is not None
        and known.state == "present"
        and (known.size, known.mtime_ns) == (file.size, file.mtime_ns)
    )


def _identify(file: FoundFile, twins: _Twins, progress: Progress) -> _Known:
    try:
        return _Known(file, twins.identity(file.path, fingerprint_file(file.path), progress))
    except UnreadableMedia as trouble:
        return _Known(file, None, trouble)


class _Twins:
    """Two files of one sampled fingerprint are one video only if they are equal to the last byte.

    A renamed file has no twin, because its old path is not there any more, so a rename never reads a file whole.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, Path] = {}

    def identity(self, path: Path, fingerprint: str, progress: Progress) -> str:
        """The fingerprint to store for `path`: the sampled one, or one of its own when a twin differs."""
        twin = self._twin(path, fingerprint)
        if twin is not None:
            own = full_hash(path, progress)
            if own != full_hash(twin, progress):
                return f"{fingerprint}-{own}"
        self._seen.setdefault(fingerprint, path)
        return fingerprint

    def _twin(self, path: Path, fingerprint: str) -> Path | None:
        with self._store.library.reading() as session:
            known = [Path(other) for other in files.paths_with(session, fingerprint)]
        candidates = [*known, *([self._seen[fingerprint]] if fingerprint in self._seen else [])]
        return next((other for other in candidates if other != path and other.is_file()), None)


def _note(store: Store, folder_id: int, identified: Sequence[_Known]) -> None:
    if not identified:
        return
    with store.library.writing() as session:
        for entry in identified:
            file, trouble = entry.file, entry.trouble
            if entry.fingerprint is not None:
                files.put_path(session, folder_id, file.path, file.size, file.mtime_ns, entry.fingerprint)
            elif trouble is not None:
                failures.put_path_failure(
                    session, folder_id, file.path, "identify", trouble.sentence, trouble.hint
                )
