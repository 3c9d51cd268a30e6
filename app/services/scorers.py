"""Trained scorers of a library: bring them in, let one answer after it has been tested, go back, carry one away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.services.library import Library
from app.services.self_test import Opened, SelfTest, self_test
from m2hf_core.aside import write_file
from m2hf_core.config.paths import expanded
from m2hf_core.errors import BadModelFile, KnownError, UsageError
from m2hf_core.model.checkpoint import UNTRAINED, load_scorer, read_info
from m2hf_core.model.m2hf import M2HF
from m2hf_core.progress import Progress
from m2hf_core.store import scorers
from m2hf_core.store.scorers import ScorerRow
from m2hf_core.text.tower import open_text_tower

FOLDER = "scorers"
"""Below the data folder; files are named by their scorer's id."""


class WorseScorer(KnownError):  # noqa: N818 - named as the failures in `errors` are
    """The test found it worse; it may be chosen all the same."""


@dataclass(frozen=True, slots=True)
class Used:
    """What `scorer use` did."""

    scorer_id: str
    test: SelfTest
    forced: bool
    """It was worse, and was chosen all the same."""

    def document(self) -> dict[str, Any]:
        return {"id": self.scorer_id, "forced": self.forced, "test": self.test.document()}


def list_scorers(library: Library) -> list[dict[str, Any]]:
    """Those of the library's preset, the one before training first."""
    with library.store.library.reading() as session:
        rows = scorers.list_scorers(session, library.preset.id)
    nobody = not any(row.active for row in rows)
    untrained = {"id": UNTRAINED, "state": UNTRAINED, "preset": library.preset.id, "active": nobody}
    return [{**untrained, "test": None, "added_at": None}, *(_described(row) for row in rows)]


def _described(row: ScorerRow) -> dict[str, Any]:
    return {
        "id": row.scorer_id,
        "state": row.state,
        "preset": row.preset,
        "active": row.active,
        "test": row.info.get("test"),
        "added_at": row.added_at,
    }


def import_scorer(library: Library, file: Path) -> dict[str, Any]:
    """Take a scorer file into the library; it does not answer before `use_scorer`.

    Raises `BadModelFile` for a wrong, truncated or newer file and for one of another backbone; `DiskFull`.
    """
    scorer, info = load_scorer(expanded(file), backbone_of(library))
    if not info.trained:
        raise BadModelFile(f"{file.name} holds an untrained scorer.", "Every library has that one already.")
    if not isinstance(scorer, M2HF) or scorer.one_branch is not None:
        raise BadModelFile(
            f"{file.name} is a baseline for evaluation, not an M2HF scorer with branches.",
            "Train one: m2hf-app train --help",
        )
    path = library.paths.data / FOLDER / f"{info.scorer_id}.safetensors"
    if not path.is_file():
        write_file(path, expanded(file).read_bytes())
    about = {"config": info.config.to_json(), "backbone": info.backbone, "words": info.words_version}
    with library.store.library.writing() as session:
        known = {row.scorer_id: row for row in scorers.list_scorers(session)}.get(info.scorer_id)
        kept = dict(known.info) if known else {}
        scorers.register(
            session, info.scorer_id, library.preset.id, info.state, f"{FOLDER}/{path.name}", kept | about
        )
    return {"id": info.scorer_id, "state": info.state, "preset": library.preset.id, "new": known is None}


def export_scorer(library: Library, scorer_id: str, target: Path) -> Path:
    """Copy a scorer's file. Raises `KnownError` for an unknown id, `BadModelFile` for a damaged file, `DiskFull`."""
    path = file_of(library, scorer_id)
    load_scorer(path)
    target = expanded(target)
    target = target / path.name if target.is_dir() else target
    write_file(target, path.read_bytes())
    return target


def use_scorer(library: Library, scorer_id: str, *, force: bool, progress: Progress) -> Used:
    """Test the scorer against the one that answers now; let it answer unless it is worse beyond the interval.

    Raises `WorseScorer` when it is refused, `KnownError` when it is unknown or of another backbone; `Interrupted`.
    """
    if scorer_id == UNTRAINED:
        raise UsageError(
            "The untrained scorer is not chosen.", "Go back to it with: m2hf-app scorer rollback"
        )
    row = _row(library, scorer_id)
    backbone = backbone_of(library)
    path = library.paths.data / _file(row)
    candidate = Opened(*load_scorer(path, backbone), path)
    test = self_test(library, candidate, current(library, backbone), progress)
    if test.worse and not force:
        raise WorseScorer(
            f"The scorer {row.scorer_id} is not used: {test.sentence()}", "Use it all the same with --force."
        )
    with library.store.library.writing() as session:
        scorers.register(
            session, row.scorer_id, row.preset, row.state, row.file, {**row.info, "test": test.document()}
        )
        scorers.activate(session, row.scorer_id)
    return Used(row.scorer_id, test, test.worse)


def roll_back(library: Library) -> str:
    """Let the scorer before this one answer; its id. Raises `KnownError` when none was ever chosen."""
    with library.store.library.writing() as session:
        if scorers.active(session, library.preset.id) is None:
            raise KnownError("No trained scorer answers, so there is nothing to go back from.")
        former = scorers.roll_back(session, library.preset.id)
        if former is None:
            scorers.deactivate(session, library.preset.id)
    return UNTRAINED if former is None else former.scorer_id


def current(library: Library, backbone: str) -> Opened | None:
    """The scorer that answers, None for the one before training. A damaged or foreign file counts as none."""
    with library.store.library.reading() as session:
        row = scorers.active(session, library.preset.id)
    if row is None or row.file is None:
        return None
    path = library.paths.data / row.file
    # Search falls back to the untrained one where the file is gone or belongs to former weights; so does the test.
    if not path.is_file() or read_info(path).backbone != backbone:
        return None
    return Opened(*load_scorer(path, backbone), path)


def file_of(library: Library, scorer_id: str) -> Path:
    """Raises `KnownError` for an unknown id, the untrained one included: it needs no file."""
    return library.paths.data / _file(_row(library, scorer_id))


def backbone_of(library: Library) -> str:
    """The fingerprint of the preset's picture model; from what was indexed, else from its weights."""
    known = library.offer().fingerprints.get("clip")
    return known if known is not None else open_text_tower(library.preset).fingerprint


def _row(library: Library, scorer_id: str) -> ScorerRow:
    """By id, or by a beginning that only one has."""
    with library.store.library.reading() as session:
        rows = scorers.list_scorers(session, library.preset.id)
    found = [row for row in rows if row.scorer_id == scorer_id] or [
        row for row in rows if scorer_id and row.scorer_id.startswith(scorer_id)
    ]
    if len(found) == 1:
        return found[0]
    many = "Several scorers begin" if found else "No scorer of this library begins"
    raise KnownError(f"{many} with {scorer_id!r}.", "See: m2hf-app scorer list")


def _file(row: ScorerRow) -> str:
    if row.file is None:
        raise KnownError(f"The scorer {row.scorer_id} has no file.", "Import it again.")
    return row.file
