"""The supervisor's side of the store: which job is taken next, what becomes of its result, who is to blame.

Everything here is done by the one thread that drains the queue. A database that somebody else keeps busy is waited
for, since neither the file nor the worker is at fault.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from m2hf_core.errors import LibraryBusy, UnreadableMedia
from m2hf_core.ingest.commit import commit_staged
from m2hf_core.ingest.sidecars import left_to_do
from m2hf_core.ingest.video import Extraction
from m2hf_core.media import fingerprint_file
from m2hf_core.progress import Progress
from m2hf_core.store import Store, features, files, folders, jobs, status
from m2hf_core.store.jobs import Lease

LEASE_S = 600.0
MAX_ATTEMPTS = 2
PATIENCE_S = 120.0
"""How long another program may keep the database busy; SQLite itself waits 5 s of it."""
RETRY_HINT = "Try again with: m2hf-app failures --retry"
AGAIN_HINT = "The next m2hf-app index takes it as it is then."

Answer = TypeVar("Answer")


class Desk:
    """Leases jobs and settles them."""

    def __init__(self, store: Store, progress: Progress, posters: Path) -> None:
        self.store = store
        self._progress = progress
        self._posters = posters

    def take(self, owner: str) -> Lease | None:
        """The next job, leased to `owner`; None when none is queued."""

        def lease() -> Lease | None:
            with self.store.library.writing() as session:
                return jobs.lease_next(session, owner, time.time(), LEASE_S)

        return self._patiently(lease)

    def missing(self, lease: Lease) -> frozenset[str]:
        """What is wanted and not there: a crash may have left features whose job never heard of them."""
        with self.store.features.reading() as session:
            stored = features.extractors_of(session, lease.fingerprint)
        return left_to_do(lease.wanted, lease.done_with, stored)

    def renew(self, leases: Iterable[tuple[Lease, str]]) -> None:
        """Prolong (lease, owner) pairs. One that is lost was forgotten; its result is dropped."""

        def prolong() -> None:
            with self.store.library.writing() as session:
                for lease, owner in leases:
                    jobs.renew(session, lease.job_id, owner, time.time(), LEASE_S)

        self._patiently(prolong)

    def commit(self, lease: Lease, staged: Path, clip_extractor: str | None) -> Extraction | None:
        """Store a result; None when it is dropped, because the file changed while it was read or was forgotten.

        Raises `ValueError` for a result that the store cannot hold.
        """
        if self._changed(lease):
            staged.unlink(missing_ok=True)
            self.fail(lease, "save", "The file changed while it was read.", AGAIN_HINT)
            return None
        extraction = self._patiently(lambda: commit_staged(self.store, lease, staged, clip_extractor))
        with self.store.library.reading() as session:
            known = files.video(session, lease.video_id) is not None
        if not known:
            self._purge(lease)
            return None
        return extraction

    def fail(self, lease: Lease, stage: str, reason: str, hint: str) -> bool:
        """Record a failure; False when none is: the drive with the file has gone away, and the job waits for it.

        A file that was deleted or changed meanwhile is not at fault either: the next run tries it again.
        """
        there = os.access(lease.path, os.R_OK)
        if not there and self._drive_is_away(lease):
            self.give_back([lease])
            return False
        if not there and not os.path.lexists(lease.path):
            reason, hint = "The file was moved or deleted while it was read.", AGAIN_HINT
        to_blame = there and not self._changed(lease)

        def record() -> None:
            with self.store.library.writing() as session:
                jobs.fail(session, lease.job_id, stage, reason, hint, quarantine=to_blame)

        self._patiently(record)
        return True

    def blame(self, lease: Lease, stage: str, reason: str) -> bool:
        """A worker died of this file, or may have: another attempt, or the end of it. True when it failed for good."""
        if lease.attempts >= MAX_ATTEMPTS:
            return self.fail(lease, stage or "start", reason, RETRY_HINT)
        self._release([lease], forgive=False)
        return False

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Queue again what was not to blame for anything."""
        self._release(leases, forgive=True)

    def status(self) -> status.Status:
        with self.store.library.reading() as session:
            return status.status(session)

    def _release(self, leases: Iterable[Lease], *, forgive: bool) -> None:
        def back() -> None:
            with self.store.library.writing() as session:
                jobs.release(session, [lease.job_id for lease in leases], forgive=forgive)

        self._patiently(back)

    def _changed(self, lease: Lease) -> bool:
        """Whether the file has another content than the one that was leased; False for one that is not there."""
        with self.store.library.reading() as session:
            noted = files.size_and_time(session, lease.path)
        try:
            now = os.stat(lease.path)
            if noted == (now.st_size, now.st_mtime_ns):
                return False
            return not lease.fingerprint.startswith(fingerprint_file(lease.path))
        except (OSError, UnreadableMedia):
            return False

    def _drive_is_away(self, lease: Lease) -> bool:
        """Whether the folder that holds this file is not there, or suddenly empty; then it is marked offline."""
        with self.store.library.reading() as session:
            rows = [row for row in folders.list_folders(session) if lease.path.startswith(row.path + os.sep)]
        away = [row for row in rows if _is_away(Path(row.path))]
        if away:
            with self.store.library.writing() as session:
                for row in away:
                    folders.set_folder_state(session, row.folder_id, "offline")
        return bool(away)

    def _purge(self, lease: Lease) -> None:
        """The video was forgotten while it was read: nothing of it may stay."""
        with self.store.features.writing() as session:
            features.delete_for(session, [lease.fingerprint])
        (self._posters / f"{lease.fingerprint}.jpg").unlink(missing_ok=True)

    def _patiently(self, action: Callable[[], Answer]) -> Answer:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return action()
            except LibraryBusy:
                if time.monotonic() > until:
                    raise
            self._progress.step("wait for the database")
            self._progress.check()


def _is_away(root: Path) -> bool:
    try:
        return not root.is_dir() or not any(root.iterdir())
    except OSError:
        return True
