"""The caption bank: captions that the owner adds or imports, free or tied to a moment of a video."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from app.services.library import Library
from app.services.targets import split_target
from m2hf_core.errors import KnownError
from m2hf_core.media.cues import decode_text, parse_cues
from m2hf_core.progress import Progress
from m2hf_core.store import captions, clips, files
from m2hf_core.store.captions import NewCaption

MAX_CAPTION = 2000
COLUMNS = ("text", "caption", "sentence")
"""What files call the words; the first that is there counts."""
LISTS = ("captions", "sentences", "annotations")


def add_caption(library: Library, text: str, target: str | None) -> dict[str, object]:
    """Add one caption of the owner's, tied to VIDEO[@SECONDS] when given. Raises `KnownError`."""
    text = " ".join(text.split())
    if not text or len(text) > MAX_CAPTION:
        raise KnownError(f"A caption has 1 to {MAX_CAPTION} characters; this one has {len(text)}.")
    video_id, span = None, None
    if target is not None:
        path, seconds = split_target(target)
        with library.store.library.reading() as session:
            video = files.video_of_path(session, path)
        if video is None:
            raise KnownError(f"{path} is not in this library.", "Index its folder first.")
        video_id = video.video_id
        if seconds is not None:
            with library.store.library.reading() as session:
                clip = clips.clip_at(session, video_id, seconds)
            span = (clip.start_s, clip.end_s) if clip else None
    with library.store.library.writing() as session:
        start_s, end_s = span or (None, None)
        added = captions.add_captions(session, [NewCaption(text, "own", video_id, start_s, end_s)])
    return {"text": text, "source": "own", "new": bool(added)}


def import_captions(library: Library, file: Path, source: str | None, progress: Progress) -> int:
    """Import a file of captions: .csv and .jsonl with a column of `COLUMNS`, .srt, .vtt, else a line each.

    A .json is one as data sets are published: a list, or an object with a list of `LISTS` (MSR-VTT, COCO), of texts
    or of objects with such a column.

    Answers how many were new. Raises `KnownError` naming the line that is wrong.
    """
    progress.start("import", 0, "captions")
    texts = list(_read(file))
    with library.store.library.writing() as session:
        return captions.add_captions(session, (NewCaption(text, source or file.name) for text in texts))


def list_captions(library: Library) -> list[dict[str, object]]:
    with library.store.library.reading() as session:
        return [
            {"id": row.caption_id, "text": row.text, "source": row.source, "video_id": row.video_id}
            for row in captions.list_captions(session)
        ]


def _read(file: Path) -> Iterator[str]:
    try:
        content = decode_text(file.read_bytes())
    except FileNotFoundError:
        raise KnownError(f"There is no file {file}.", "Check the spelling.") from None
    except OSError as error:
        raise KnownError(f"{file} cannot be read.", f"{error.strerror}.") from error
    if "\0" in content:
        raise KnownError(
            f"{file.name} is no text file.", "Give a line per caption, .csv, .jsonl, .json or .srt."
        )
    suffix = file.suffix.lower()
    if suffix in (".srt", ".vtt"):
        texts = [line.text for line in parse_cues(content)]
    elif suffix == ".jsonl":
        texts = [_field(file, number, _json_line(file, number, line)) for number, line in _lines(content)]
    elif suffix == ".json":
        texts = [_field(file, number, row, "Entry") for number, row in enumerate(_entries(file, content), 1)]
    elif suffix == ".csv":
        rows = csv.DictReader(content.splitlines())
        texts = [_field(file, number, row) for number, row in enumerate(rows, 2)]
    else:
        texts = [line for _, line in _lines(content)]
    for text in texts:
        if cleaned := " ".join(text.split())[:MAX_CAPTION]:
            yield cleaned


def _lines(content: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip())


def _json_line(file: Path, number: int, line: str) -> dict[str, object]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise KnownError(f"Line {number} of {file.name} is not JSON.", detail=str(error)) from error
    return document if isinstance(document, dict) else {"text": document}


def _entries(file: Path, content: str) -> Iterator[dict[str, object]]:
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise KnownError(f"Line {error.lineno} of {file.name} is not JSON.", detail=str(error)) from error
    found = document
    if isinstance(document, dict):
        found = next((document[name] for name in LISTS if isinstance(document.get(name), list)), None)
    if not isinstance(found, list):
        raise KnownError(
            f"{file.name} holds no list of captions.",
            "Give a list, or an object with one under `captions`, `sentences` or `annotations`.",
        )
    return (entry if isinstance(entry, dict) else {"text": entry} for entry in found)


def _field(file: Path, number: int, row: dict[str, object], what: str = "Line") -> str:
    value = next((row[name] for name in COLUMNS if name in row), None)
    if not isinstance(value, str):
        raise KnownError(f"{what} {number} of {file.name} has no `text`, `caption` or `sentence`.")
    return value
