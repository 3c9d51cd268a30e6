"""Takes what `search --json` printed to other programs: tables, editing lists, and cut clips."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.services.apart import run_apart
from m2hf_core.aside import write_file
from m2hf_core.errors import Interrupted, KnownError, UsageError
from m2hf_core.media.cutting import Cut, EditInfo, cut, edit_infos
from m2hf_core.progress import Progress

Format = Literal["csv", "jsonl", "otio", "edl", "fcpxml", "clips"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "otio", "edl", "fcpxml", "clips")
COLUMNS = ("rank", "title", "video", "start_s", "end_s", "best_s", "won_by", "likelihood", "query")
PROBE_TIMEOUT_S, CUT_TIMEOUT_S = 120.0, 600.0
LARGEST_BYTES = 256 << 20
AGAIN = "Give it what `m2hf-app search QUERY --json` or `similar --json` printed."


@dataclass(frozen=True, slots=True)
class Moment:
    """One hit, as far as exporting needs it."""

    rank: int
    video: Path
    start_s: float
    end_s: float
    title: str
    row: Mapping[str, object]
    """The hit as it was printed."""


@dataclass(frozen=True, slots=True)
class Results:
    query: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Files by name for text formats, or the clips that were cut; and what a person should know."""

    texts: Mapping[str, str]
    """Label (empty, or the frame rate) -> text."""
    cuts: tuple[Cut, ...] = ()
    notes: tuple[str, ...] = ()


def read_results(text: str) -> Results:
    """The moments of a `search --json` document. Raises `KnownError` that says what it is instead."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise KnownError("This is not JSON.", AGAIN, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("hits"), list):
        raise KnownError("This JSON is no answer of a search: it has no list of hits.", AGAIN)
    if "query" not in document:
        raise KnownError("This is an answer of `captions`: its hits are texts, not moments.", AGAIN)
    query = str(document["query"])
    moments = tuple(_moment(number, hit) for number, hit in enumerate(document["hits"], 1))
    if not moments:
        raise KnownError(
            "This search found nothing, so there is nothing to export.", "Search for something else."
        )
    return Results(query, moments)


def export(
    results: Results,
    form: Format,
    *,
    folder: Path | None = None,
    exact: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Make the export. `folder` is where clips go. Raises `KnownError`, `UsageError`."""
    if form == "csv":
        return Written({"": _csv(results)})
    if form == "jsonl":
        rows = [{**moment.row, "query": results.query} for moment in results.moments]
        return Written({"": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)})
    progress = progress or Progress()
    if form == "clips":
        if folder is None:
            raise UsageError("Clips need a folder.", "Add: --output FOLDER")
        return _clips(results, folder, exact, progress)
    from app.services import export_edit

    infos, notes = _infos(results, progress)
    kept = [moment for moment in results.moments if moment.video in infos]
    texts, more = export_edit.write(form, results.query, kept, infos)
    return Written(texts, notes=(*notes, *more))


def _moment(number: int, hit: Any) -> Moment:
    if not isinstance(hit, dict):
        raise KnownError(f"Hit {number} is no object.", AGAIN)
    video, start_s, end_s = hit.get("video"), hit.get("start_s"), hit.get("end_s")
    if not isinstance(video, str) or not video or "\0" in video:
        raise KnownError(f"Hit {number} names no video.", AGAIN)
    start, end = _seconds(start_s), _seconds(end_s)
    if start is None or end is None or start >= end:
        raise KnownError(f"Hit {number} has no start and end in seconds.", AGAIN)
    rank = hit.get("rank", number)
    title = str(hit.get("title") or Path(video).name)
    return Moment(rank if isinstance(rank, int) else number, Path(video), start, end, title, hit)


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < 1e7 else None


def _csv(results: Results) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for moment in results.moments:
        row = {**moment.row, "query": results.query}
        writer.writerow([_cell(row.get(column, "")) for column in COLUMNS])
    return written.getvalue()


def _cell(value: object) -> object:
    """A spreadsheet runs what begins with = + - @ as a formula; file names and queries are other people's text."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _infos(results: Results, progress: Progress) -> tuple[dict[Path, EditInfo], list[str]]:
    """Frame rates and tracks of the files; what cannot be opened is left out and told."""
    paths = list(dict.fromkeys(moment.video for moment in results.moments))
    progress.start("look at the files", len(paths), "files")
    found = run_apart(edit_infos, paths, timeout_s=PROBE_TIMEOUT_S, progress=progress)
    infos = {path: info for path, info in found.items() if isinstance(info, EditInfo)}
    notes = [f"left out: {info}" for info in found.values() if isinstance(info, KnownError)]
    if not infos:
        raise KnownError("None of these videos can be opened now.", notes[0].removeprefix("left out: "))
    return infos, notes


def _clips(results: Results, folder: Path, exact: bool, progress: Progress) -> Written:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KnownError(f"The folder {folder} cannot be made.", f"{error.strerror}.") from error
    progress.start("cut clips", len(results.moments), "clips")
    cuts, notes = [], []
    for moment in results.moments:
        try:
            made = _cut(moment, folder, exact, progress)
        except Interrupted:
            raise
        except KnownError as error:
            notes.append(f"left out: {error}")
        else:
            cuts.append(made)
            if made.exact and not exact:
                notes.append(
                    f"{moment.video.name} was encoded anew, because its kind cannot be copied in pieces."
                )
        progress.advance()
    if not cuts:
        raise KnownError("No clip could be cut.", notes[0].removeprefix("left out: "))
    return Written({}, tuple(cuts), tuple(notes))


def _cut(moment: Moment, folder: Path, exact: bool, progress: Progress) -> Cut:
    """Copied, or encoded anew where that is wanted or copying does not go. Raises `KnownError`."""
    target = folder / _file_name(moment, exact)
    span = (moment.start_s, moment.end_s)
    try:
        return run_apart(cut, moment.video, *span, target, exact, timeout_s=CUT_TIMEOUT_S, progress=progress)
    except Interrupted:
        raise
    except KnownError:
        if exact or target.exists() or not moment.video.exists():
            raise
    target = folder / _file_name(moment, exact=True)
    return run_apart(cut, moment.video, *span, target, True, timeout_s=CUT_TIMEOUT_S, progress=progress)


def _file_name(moment: Moment, exact: bool) -> str:
    """`003 harbour 12.0-24.0.mp4`; an exact cut is always an MP4."""
    stem = "".join(
        char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in moment.video.stem
    )
    suffix = ".mp4" if exact else moment.video.suffix
    return f"{moment.rank:03d} {stem[:80]} {moment.start_s:.1f}-{moment.end_s:.1f}{suffix}"


def write_texts(texts: Mapping[str, str], output: Path, overwrite: bool = False) -> list[Path]:
    """One file per text; several get their label before the ending: `cut.25.edl`. Raises `KnownError`."""
    targets = {
        label: output if len(texts) == 1 else output.with_name(f"{output.stem}.{label}{output.suffix}")
        for label in texts
    }
    there: Sequence[Path] = [path for path in targets.values() if path.exists() and not overwrite]
    if there:
        raise KnownError(f"{there[0]} is there already.", "Choose another name, or move it away.")
    for label, text in texts.items():
        write_file(targets[label], text.encode("utf-8", "surrogateescape"))
    return list(targets.values())
