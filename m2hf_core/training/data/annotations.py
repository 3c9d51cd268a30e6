"""What every data set's annotations come to: splits of clips with captions, and the video files that they name."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m2hf_core.errors import KnownError


@dataclass(frozen=True, slots=True)
class AnnotatedClip:
    clip_id: str
    video: str
    """Name of the file without its ending, or a path where the data set gives one."""
    captions: tuple[str, ...]
    start_s: float | None = None
    """None: the whole file."""
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    dataset: str
    splits: Mapping[str, tuple[AnnotatedClip, ...]]
    notes: tuple[str, ...] = ()
    """What a person should know about how the splits came about."""

    def captions(self) -> int:
        return sum(len(clip.captions) for clips in self.splits.values() for clip in clips)


@dataclass(slots=True)
class Layout:
    """One folder in a published layout; remembers what was looked for, to say it when it is not there."""

    folder: Path
    title: str
    asked: list[str] = field(default_factory=list)

    def find(self, *names: str) -> Path | None:
        """The first of these files that is in the folder, plainly or below `annotations/`."""
        self.asked.append(" or ".join(names))
        for name in names:
            for path in (self.folder / name, self.folder / "annotations" / name):
                if path.is_file():
                    return path
        return None

    def need(self, *names: str) -> Path:
        """Like `find`; raises the `KnownError` that names all that was looked for."""
        found = self.find(*names)
        if found is None:
            raise self.wrong(f"{' or '.join(names)} is not there")
        return found

    def wrong(self, what: str) -> KnownError:
        if not self.folder.is_dir():
            return KnownError(f"There is no folder {self.folder}.", "Check the spelling.")
        here = sorted(path.name for path in self.folder.iterdir())
        shown = ", ".join(here[:8]) + (f" and {len(here) - 8} more" if len(here) > 8 else "")
        return KnownError(
            f"{self.folder} is not laid out like {self.title}: {what}.",
            f"Looked for: {'; '.join(self.asked)}. The folder holds: {shown or 'nothing'}.",
        )


def read_json(path: Path) -> Any:
    """A JSON file, plain or alone in a .zip. Raises `KnownError`."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if _wanted_member(name)]
                if len(names) != 1:
                    raise KnownError(
                        f"{path.name} holds {len(names)} JSON files; one is expected.", "Unpack it yourself."
                    )
                return json.loads(archive.read(names[0]))
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise KnownError(f"{path} cannot be read as JSON.", "Get the file again.", repr(error)) from error


def _wanted_member(name: str) -> bool:
    return name.endswith(".json") and not name.startswith("__MACOSX")


def read_rows(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a CSV or TSV file with a header line. Raises `KnownError` when a column is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if delimiter == ",":
                reader = csv.DictReader(file)
            else:
                reader = csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            found = reader.fieldnames or []
            if lacking := [name for name in columns if name not in found]:
                raise KnownError(
                    f"{path} has no column {lacking[0]!r}.", f"Its columns are: {', '.join(found) or 'none'}."
                )
            for number, row in enumerate(reader, 2):
                if any(row[name] is None for name in columns):
                    raise KnownError(f"Line {number} of {path} is cut short.", "Get the file again.")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise KnownError(f"{path} cannot be read.", "Get the file again.", repr(error)) from error


def read_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(f"{path} cannot be read.", "Get the file again.", repr(error)) from error


def shaped(path: Path, error: Exception) -> KnownError:
    """The sentence for a file whose content has another form than published."""
    return KnownError(f"{path} has another form than published.", "Get the file again.", repr(error))


def paragraph(sentences: Iterable[str]) -> str:
    """Sentences as one text, each with its full stop: how DiDeMo and ActivityNet are searched by paragraph."""
    parts = [" ".join(sentence.split()) for sentence in sentences]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


VIDEO_ENDINGS = frozenset(
    {".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".3gp", ".flv"}
)


def without_ending(name: str) -> str:
    """`clip.mov` -> `clip`; a name with a dot but no ending of a video stays."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in VIDEO_ENDINGS else name


def find_videos(folder: Path, clips: Iterable[AnnotatedClip]) -> tuple[dict[str, Path], list[str]]:
    """({clip id: its file anywhere below `folder`}, [clip ids without a file]); also takes absolute paths."""
    known: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in VIDEO_ENDINGS:
                known.setdefault(without_ending(name), Path(parent) / name)
    found: dict[str, Path] = {}
    missing = []
    for clip in clips:
        given = folder / clip.video
        path = given if given.is_file() else known.get(without_ending(clip.video))
        if path is None:
            missing.append(clip.clip_id)
        else:
            found[clip.clip_id] = path
    return found, missing
