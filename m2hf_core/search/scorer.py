"""The scorer that answers: the active trained one where there is one that fits, else the one before training.

It also says where its segments lie. What a scorer keeps of the clips depends on the scorer, on the features that it was
made of and on the captions that it is calibrated with: one folder for each such combination, so that going back to a
former one costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from m2hf_core.errors import BadModelFile
from m2hf_core.index import SegmentFolder
from m2hf_core.model.checkpoint import UNTRAINED, load_scorer
from m2hf_core.model.m2hf import M2HF
from m2hf_core.records import Branch
from m2hf_core.store import Store, scorers

LAYOUT = 2
"""Raised when the arrays of a segment change their meaning."""
KEPT_FOLDERS = 3
"""Of the scorers that answered last; older ones are removed."""


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """A scorer with all that search has to know of it."""

    scorer: M2HF
    branches: tuple[str, ...]
    """Those that are scored: before training the visual one alone."""
    scorer_id: str
    state: str
    """`untrained` or `trained:<id>`"""
    widths: tuple[int, int]
    """Of the audio and motion features that it reads."""
    words_from: Path | None = None
    """Its file, where that holds a text tower of its own."""


def untrained(width: int) -> Answering:
    """Mean-pooled CLIP: needs no file, and neither sound nor movement."""
    scorer = M2HF(width, branches=(Branch.VISUAL,)).eval()
    return Answering(scorer, (Branch.VISUAL,), UNTRAINED, UNTRAINED, (0, 0))


def open_scorer(store: Store, preset: str, backbone: str, width: int) -> tuple[Answering, str]:
    """(the preset's active scorer, why it is not the one that was chosen; empty if it is).

    `backbone`, `width`: fingerprint and d of the frame features.
    """
    with store.library.reading() as session:
        row = scorers.active(session, preset)
    if row is None or row.file is None:
        return untrained(width), ""
    path = store.paths.data / row.file
    try:
        scorer, info = load_scorer(path, backbone)
    except BadModelFile as error:
        return untrained(width), f"The trained scorer is not used. {error}"
    if not isinstance(scorer, M2HF) or scorer.one_branch is not None:
        return untrained(
            width
        ), "The active scorer is a baseline for evaluation, so it is not used for searching."
    config = info.config
    widths = (config.audio_width, config.motion_width)
    words_from = path if info.own_text else None
    return Answering(scorer, info.active_branches(scorer), info.scorer_id, info.state, widths, words_from), ""


def segment_folder(
    index: Path, answering: Answering, extractors: Mapping[str, str], null_key: str
) -> SegmentFolder:
    """Where this scorer's segments lie below `index`; folders that have not been used for long are removed."""
    about = [LAYOUT, answering.scorer_id, sorted(extractors.items()), null_key]
    key = hashlib.blake2b(json.dumps(about).encode(), digest_size=12).hexdigest()
    return SegmentFolder(index / key, key)


def sweep(index: Path, in_use: Sequence[Path]) -> None:
    """Remove folders of scorers that answered long ago; those that a reader still maps stay until a later sweep."""
    folders = [folder for folder in index.glob("*") if folder.is_dir() and folder not in in_use]
    folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[KEPT_FOLDERS:]:
        shutil.rmtree(folder, ignore_errors=True)
