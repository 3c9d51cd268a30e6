"""The folders that the library knows: watch, unwatch, list, and forget for good."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from app.services.library import Library
from m2hf_core.config.paths import expanded
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.store import files, folders, forget


def absolute_path(path: Path) -> Path:
    """As the store knows it: `..` is taken out, links are kept."""
    return Path(os.path.abspath(expanded(path)))


def resolve_folder(path: Path) -> Path:
    """The absolute form of a folder that is there. A file is wrong usage, a missing folder a failure."""
    absolute = absolute_path(path)
    try:
        absolute.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KnownError(
            f"{absolute} cannot be opened ({error.strerror}).", "Check its name and your rights."
        ) from error
    if absolute.is_file():
        raise UsageError(f"{absolute} is a file, not a folder.", "Give the folder that it lies in.")
    if not absolute.is_dir():
        raise KnownError(
            f"There is no folder {absolute}.",
            "Check the spelling; if it is on a drive, connect the drive first.",
        )
    return absolute


def add_folders(library: Library, paths: Sequence[Path]) -> list[dict[str, object]]:
    """Watch these folders; returns all watched ones."""
    resolved = [resolve_folder(path) for path in paths]
    with library.store.library.writing() as session:
        for path in resolved:
            folders.add_folder(session, path, watched=True)
            forget.take_in_again(session, str(path))
    return list_folders(library)


def remove_folders(library: Library, paths: Sequence[Path]) -> list[dict[str, object]]:
    """Stop watching these folders; returns those that are left. What was extracted stays searchable."""
    with library.store.library.writing() as session:
        known = {row.path: row.folder_id for row in folders.list_folders(session) if row.watched}
        for path in paths:
            absolute = str(absolute_path(path))
            if absolute not in known:
                raise KnownError(f"{absolute} is not watched.", "See: m2hf-app library list")
            folders.unwatch_folder(session, known[absolute])
    return list_folders(library)


def list_folders(library: Library) -> list[dict[str, object]]:
    """Every watched folder with its state and how many videos it holds."""
    with library.store.library.reading() as session:
        found: list[dict[str, object]] = []
        for row in folders.list_folders(session):
            if not row.watched:
                continue
            known = files.known_paths(session, row.folder_id).values()
            videos = len({path.video_id for path in known if path.state != "gone"})
            found.append(
                {
                    "id": row.folder_id,
                    "path": row.path,
                    "state": row.state,
                    "videos": videos,
                }
            )
        return found


def forget_target(library: Library, target: Path) -> int:
    """Purge a video, or every video below a folder: rows, features, pictures. Answers how many videos went.

    The files on the disk are never touched. They are not taken in again, even where their folder is watched, until
    that folder is added or indexed by name. Works beside a program that is indexing.
    """
    absolute = str(absolute_path(target))
    with library.store.library.reading() as session:
        video = files.video_of_path(session, absolute)
        rows = [video] if video else _videos_below(session, absolute)
        paths = [path for row in rows for path, _ in files.paths_of(session, row.video_id)]
    if not rows:
        raise KnownError(f"{absolute} is not in this library.", "See what is: m2hf-app library list")
    with library.store.library.writing() as session:
        forget.pass_over(session, paths)
    forgotten = forget.forget_videos(library.store, [row.video_id for row in rows])
    for row in rows:
        remove_pictures(library.paths.thumbnails, row.fingerprint)
    with library.store.library.writing() as session:
        for folder in folders.list_folders(session):
            if folder.path == absolute:
                folders.remove_folder(session, folder.folder_id)
    return forgotten


def remove_pictures(thumbnails: Path, fingerprint: str) -> None:
    """The poster of a video and every picture of its moments."""
    (thumbnails / f"{fingerprint}.jpg").unlink(missing_ok=True)
    shutil.rmtree(thumbnails / fingerprint, ignore_errors=True)


def _videos_below(session: Session, folder: str) -> list[files.VideoRow]:
    """Every video that has a path below `folder`."""
    found: dict[int, files.VideoRow] = {}
    for row in folders.list_folders(session):
        for path, known in files.known_paths(session, row.folder_id).items():
            if path.startswith(folder.rstrip(os.sep) + os.sep) and known.video_id not in found:
                video = files.video(session, known.video_id)
                if video is not None:
                    found[known.video_id] = video
    return list(found.values())
