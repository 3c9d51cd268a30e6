"""Locks between processes that the operating system holds, so that a killed process frees them."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from m2hf_core.errors import LibraryBusy
from m2hf_core.store.columns import shown
from m2hf_core.store.trouble import translating

POLL_S = 0.02
LOCKED_BYTE = 1 << 20
"""Windows locks bytes, not files, and hides locked ones from readers: one far behind the pid."""

HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class FileLock:
    """An exclusive lock on a small file that holds its owner's pid; the file itself stays.

    Not re-entrant, and not passed on to spawned processes. A forked child would share it.
    """

    busy = "Another program{owner} is opening this library."
    remedy = "Wait a moment and try again."

    def __init__(self, path: Path, timeout_s: float = 0.2) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Take the lock, waiting at most `timeout_s`.

        Raises `LibraryBusy` when it stays taken, `StoreError` where files cannot be written or locked.
        """
        assert self._file is None, "taken twice"
        with translating(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._wait(file, time.monotonic() + self.timeout_s)
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
            except BaseException:
                os.close(file)
                raise
        self._file = file

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            os.ftruncate(file, 0)
            _unlock(file)
        finally:
            os.close(file)

    def owner(self) -> int | None:
        """The pid of the process that holds the lock (0 when it has not said yet), None when nobody does."""
        try:
            file = os.open(self.path, os.O_RDWR)
        except OSError:
            # No lock file, or one that may not be written: then nobody here can be holding it.
            return None
        try:
            if _try_lock(file):
                _unlock(file)
                return None
            pid = os.read(file, 32).strip()
            return int(pid) if pid.isdigit() else 0
        finally:
            os.close(file)

    def _wait(self, file: int, until: float) -> None:
        while not _try_lock(file):
            if time.monotonic() >= until:
                pid = os.read(file, 32).decode("ascii", "replace").strip()
                owner = f" (process {pid})" if pid else ""
                raise LibraryBusy(self.busy.format(owner=owner), self.remedy, shown(self.path))
            time.sleep(POLL_S)

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class WriterLock(FileLock):
    """Held by the one process that may index into a library (`Paths.writer_lock`)."""

    busy = "Another program{owner} is already indexing into this library."
    remedy = "Let it finish or close it; searching works meanwhile."


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in HELD:
                return False
            raise
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True

    def _unlock(file: int) -> None:
        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                return False
            raise
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
