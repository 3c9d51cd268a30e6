"""The open library: two databases, and how they are opened for writing or, where nothing else goes, for reading."""

from __future__ import annotations

import os
from types import TracebackType

from m2hf_core.config.paths import Paths
from m2hf_core.errors import StoreError
from m2hf_core.store import opening
from m2hf_core.store.columns import shown
from m2hf_core.store.engine import Mode
from m2hf_core.store.lock import FileLock
from m2hf_core.store.trouble import NotWritable, not_a_folder, translating

OPENING_PATIENCE_S = 60.0
"""How long to wait while another process opens, which may be upgrading a large library."""


class Store:
    """An open library. Use as a context manager; `close` lets go of every connection."""

    def __init__(self, paths: Paths, modes: tuple[Mode, Mode], notices: list[str]) -> None:
        self.paths = paths
        self.library = opening.library_file(paths).database(modes[0])
        self.features = opening.features_file(paths).database(modes[1])
        self.notices = notices
        """What was repaired or is missing, in sentences for the owner."""

    @property
    def read_only(self) -> bool:
        return self.library.read_only

    def close(self) -> None:
        self.library.close()
        self.features.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(paths: Paths, *, read_only: bool = False) -> Store:
    """Open the library in `paths.data`, creating it unless `read_only`.

    Opening puts the files in order (upgrade, repair) wherever the folder can be written; `read_only` says what
    the caller will do afterwards. A folder that cannot be written is opened for reading, with a notice.
    Raises `NewerStore`, `CorruptStore`, `LibraryBusy`, `DiskFull`, or `StoreError` with the reason.
    """
    if os.path.exists(paths.data) and not os.path.isdir(paths.data):
        raise not_a_folder(paths.library_db)
    if read_only and opening.is_missing(paths.library_db):
        raise StoreError(
            f"There is no library in {shown(paths.data)} yet.", "Make one with: m2hf-app index FOLDER"
        )
    try:
        opening.require_writable(paths)
        with translating(paths.library_db):
            paths.data.mkdir(parents=True, exist_ok=True)
        with FileLock(paths.data / "open.lock", OPENING_PATIENCE_S):
            notices = opening.put_in_order(paths)
        mode: Mode = "query" if read_only else "write"
        return Store(paths, (mode, mode), notices)
    except NotWritable:
        if opening.is_missing(paths.library_db):
            raise
    modes = opening.readable_modes(paths)
    notice = f"The folder {shown(paths.data)} cannot be written: searching works, but nothing new is indexed."
    return Store(paths, modes, [] if read_only else [notice])
