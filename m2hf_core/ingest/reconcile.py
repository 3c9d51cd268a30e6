"""Makes the store agree with a folder: what is new, changed, moved, gone, or only away for now.

Safe to run again at any time and to be killed in between: paths are written in small transactions, and nothing is
called gone before everything that is there has been noted, so a moved file keeps all that belongs to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from m2hf_core.errors import UnreadableMedia
from m2hf_core.ingest.scan import FoundFile, scan_folder
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
    unsettled: tuple[Path, ...] = ()
    """Files that are still being written, by their time of change: to be looked at again."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A file whose content has just been identified, or why that failed."""

    file: FoundFile
    fingerprint: str | None
    trouble: UnreadableMedia | None = None


def reconcile(
    store: Store,
    folder_id: int,
    root: Path,
    ignore: Sequence[str],
    progress: Progress,
    *,
    only: Collection[Path] | None = None,
    settle_s: float = 0.0,
) -> Reconciled:
    """Walk `root`, or `only` these paths below it, and note what changed.

    A file that changed less than `settle_s` ago is left out and told: whoever writes it may not be done.
    Raises `Interrupted`; what was noted until then stays.
    """
    with store.library.reading() as session:
        known = files.known_paths(session, folder_id)
    place = _place(root)
    progress.start("look for videos", 0, "files")
    scan = scan_folder(root, ignore, progress, only)
    if _is_away(root, place, had_files=bool(known)):
        return _offline(store, folder_id, root)
    with store.library.writing() as session:
        folders.set_folder_state(session, folder_id, "online")
        known = files.known_paths(session, folder_id)
        forgotten = forget.passed_over(session)

    changed = [
        file
        for file in scan.files
        if str(file.path) not in forgotten and not _unchanged(known.get(str(file.path)), file)
    ]
    unsettled = [file for file in changed if _young(file, settle_s)]
    changed = [file for file in changed if not _young(file, settle_s)] if unsettled else changed
    progress.start("identify", len(changed), "files")
    waiting: list[_Known] = []
    twins = _Twins(store)
    committed_at = time.monotonic()
    for file in changed:
        waiting.append(_identify(file, twins, progress))
        if waiting[-1].trouble is not None and _is_away(root, place, had_files=True):
            return _offline(store, folder_id, root)
        if time.monotonic() - committed_at >= COMMIT_EVERY_S:
            _note(store, folder_id, waiting)
            waiting, committed_at = [], time.monotonic()
        progress.advance()
    _note(store, folder_id, waiting)

    progress.start("sweep")
    if _is_away(root, place, had_files=bool(known)):
        return _offline(store, folder_id, root)
    here = {str(file.path) for file in scan.files}
    # What lies behind a door that would not open is not known to be gone.
    closed = tuple(f"{folder}{os.sep}" for folder, _ in scan.closed)
    looked_at = None if only is None else tuple(f"{path}{os.sep}" for path in only)
    gone = [
        row.path_id
        for path, row in known.items()
        if row.state == "present"
        and path not in here
        and not f"{path}{os.sep}".startswith(closed)
        and (looked_at is None or f"{path}{os.sep}".startswith(looked_at))
    ]
    with store.library.writing() as session:
        files.mark_paths(session, gone, "gone")
        files.drop_gone_paths(session)
        if only is None:
            vanished = set(failures.path_failures(session, folder_id)) - here
            failures.clear_path_failures(session, vanished)
    if only is None or gone or changed:
        forget.sweep(store)
    notices = tuple(f"{folder} could not be entered ({reason})." for folder, reason in scan.closed)
    return Reconciled(
        len(scan.files) - len(unsettled),
        len(changed),
        len(gone),
        offline=False,
        notices=notices,
        unsettled=tuple(file.path for file in unsettled),
    )


def _place(root: Path) -> tuple[int, int] | None:
    """Which folder this is, by device and inode: a drive that goes away leaves another one behind, or none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_away(root: Path, place: tuple[int, int] | None, *, had_files: bool) -> bool:
    """A root that is missing, closed, or suddenly empty is away, not deleted: unplugged drives look like this."""
    if place is None or _place(root) != place:
        return True
    try:
        with os.scandir(root) as entries:
            return had_files and next(entries, None) is None
    except OSError:
        return True


def _offline(store: Store, folder_id: int, root: Path) -> Reconciled:
    with store.library.writing() as session:
        folders.set_folder_state(session, folder_id, "offline")
        noted = failures.path_failures(session, folder_id)
        failures.clear_path_failures(session, noted)  # they could not be read because the drive was leaving
    notices = (f"{root} is not there now: its videos stay, offline.",)
    return Reconciled(0, 0, 0, offline=True, notices=notices)


def _young(file: FoundFile, settle_s: float) -> bool:
    """Whether it changed just now. A time in the future is a wrong clock and says nothing."""
    return settle_s > 0 and 0 <= time.time() - file.mtime_ns / 1e9 < settle_s


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
        return next((other for other in candidates if other != path and _another_file(other, path)), None)


def _another_file(other: Path, path: Path) -> bool:
    """False too for two spellings of one file, as after a rename of case alone on a disk that ignores case."""
    try:
        return other.is_file() and not other.samefile(path)
    except OSError:
        return False


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
