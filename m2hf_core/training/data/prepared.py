"""The folder that `train prepare` makes and training reads: clips in shards, captions encoded, both memory-mapped.

```
plan.json                    what was asked for, so that a second sitting goes on with the same thing
data.json                    what it is: data set, preset, fingerprints, widths, the shards of each split
clips/SPLIT-00000.safetensors  clips as extracted (see `shards`)
texts/SPLIT/*.npy            captions after the text tower
packed/F12/SPLIT/*.npy       clips packed to F frames; made when first opened with that F
```
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from m2hf_core.aside import cannot_write, write_file
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.text.nouns import NounExtractor
from m2hf_core.text.tower import TextTower
from m2hf_core.training.data.dataset import ClipBlock, ClipInfo, PairedData, Split, TokenStore
from m2hf_core.training.data.packing import Widths, empty_block, fill_row, pack_texts
from m2hf_core.training.data.shards import FORMAT, GOES_ON, clip_count, read_shard

DATA_FILE, PLAN_FILE = "data.json", "plan.json"
TEXTS_AT_ONCE = 2048
_PAGE = 4096
_BLOCK_NAMES = ("frames", "frame_mask", "audio", "has_audio", "motion", "has_motion", "times_s")
_TOKEN_NAMES = ("rows", "mask", "starts", "pooled")


@dataclass(frozen=True, slots=True)
class Captions:
    """The captions of one split, by clip."""

    texts: tuple[str, ...]
    clip_ids: tuple[str, ...]
    senses: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """`data.json` without its format number."""

    name: str
    preset: str
    fingerprints: Mapping[str, str]
    """clip, audio, motion (where awake), nouns"""
    logit_scale: float
    has_start: bool
    words: int
    """T': the longest text in tokens, as captions were encoded."""
    widths: Mapping[str, int]
    shards: Mapping[str, Sequence[str]]
    """split -> file names below `clips`"""


def claim(folder: Path, plan: Mapping[str, object]) -> None:
    """Reserve a folder for one preparation; the same plan may come again and goes on, another one is refused.

    `plan` is everything that decides what the files hold. Raises `KnownError`, `DiskFull`.
    """
    path = folder / PLAN_FILE
    wanted = json.loads(json.dumps(plan))
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise KnownError(f"{path} is damaged.", "Choose another folder.", repr(error)) from error
        if found != wanted:
            names = wanted.keys() | found.keys()
            differing = sorted(name for name in names if found.get(name) != wanted.get(name))
            raise KnownError(
                f"{folder} holds another preparation: {', '.join(differing)} differ.",
                "Choose another folder, or delete this one.",
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise KnownError(f"{folder} is not empty and holds no prepared data.", "Choose another folder.")
    write_file(path, json.dumps(wanted, indent=1).encode())


def write_about(folder: Path, about: About) -> None:
    write_file(folder / DATA_FILE, json.dumps({"format": FORMAT, **asdict(about)}, indent=1).encode())


def read_about(folder: Path) -> About:
    """Raises `KnownError` for a folder that was not prepared, or by a newer program."""
    try:
        values: dict[str, Any] = json.loads((folder / DATA_FILE).read_text(encoding="utf-8"))
        version = int(values.pop("format"))
        if version > FORMAT:
            raise KnownError(f"{folder} was prepared by a newer version of this program.", "Update it.")
        return About(**values)
    except FileNotFoundError as error:
        raise KnownError(
            f"{folder} holds no prepared data: {DATA_FILE} is not there.",
            "Prepare it first: m2hf-app train prepare --help",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KnownError(
            f"{folder / DATA_FILE} is damaged.", "Prepare the data again.", repr(error)
        ) from error


def encode_captions(
    folder: Path, split: str, captions: Captions, tower: TextTower, nouns: NounExtractor, progress: Progress
) -> None:
    """Write `texts/SPLIT`: token features in runs of `TEXTS_AT_ONCE`, each kept if the command is stopped."""
    target = folder / "texts" / split
    parts = folder / "pending" / f"texts-{split}"
    about = {
        "texts": captions.texts,
        "clip_ids": captions.clip_ids,
        "senses": captions.senses,
        "tower": [tower.fingerprint, tower.tokenizer.context_length],
        "nouns_by": nouns.fingerprint,
    }
    old = target / "captions.json"
    plain = json.loads(json.dumps(about))
    if old.is_file() and {**json.loads(old.read_text(encoding="utf-8")), "nouns": None} == {
        **plain,
        "nouns": None,
    }:
        return
    parts.mkdir(parents=True, exist_ok=True)
    progress.start(f"encode captions of {split}", len(captions.texts), "captions")
    kept = []
    for start in range(0, len(captions.texts), TEXTS_AT_ONCE):
        part = parts / f"{start:09d}.npz"
        texts = captions.texts[start : start + TEXTS_AT_ONCE]
        _encode_part(part, texts, json.dumps([plain["tower"], list(texts)]), tower, progress)
        kept.append(part)
    target.mkdir(parents=True, exist_ok=True)
    old.unlink(missing_ok=True)  # from here on this split's captions count as not encoded
    _join_parts(target, kept, tower.width)
    progress.start(f"find nouns in captions of {split}", len(captions.texts), "captions")
    found = []
    for text in captions.texts:
        found.append(sorted(nouns(text)))
        progress.advance()
    write_file(old, json.dumps({**about, "nouns": found}).encode())
    shutil.rmtree(parts)


def _encode_part(part: Path, texts: Sequence[str], key: str, tower: TextTower, progress: Progress) -> None:
    """One run of captions into a file of its own, unless an earlier sitting did."""
    if part.is_file():
        with np.load(part, allow_pickle=False) as saved:
            if str(saved["key"]) == key:
                progress.advance(len(texts))
                return
    store = pack_texts(tower, texts, progress)
    aside = part.with_suffix(".part.npz")
    try:
        np.savez(aside, key=np.array(key), **{name: getattr(store, name) for name in _TOKEN_NAMES})
        aside.replace(part)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise cannot_write(error, part, GOES_ON) from error


def _join_parts(target: Path, parts: Sequence[Path], width: int) -> None:
    """All runs as one map; a run at a time is in memory, since those of a large data set together may not fit."""
    lengths, masks, pooled = [np.zeros(1, np.int64)], [np.empty(0, np.bool_)], [np.empty(0, np.int64)]
    for part in parts:
        with np.load(part, allow_pickle=False) as saved:
            lengths.append(np.diff(saved["starts"]))
            masks.append(saved["mask"])
            pooled.append(saved["pooled"])
    starts = np.cumsum(np.concatenate(lengths))
    try:
        rows = open_memmap(target / "rows.npy", "w+", np.float16, (int(starts[-1]), width))
        place = 0
        for part in parts:
            with np.load(part, allow_pickle=False) as saved:
                own = saved["rows"]
            rows[place : place + len(own)] = own
            place += len(own)
        rows.flush()
        np.save(target / "starts.npy", starts)
        np.save(target / "mask.npy", np.concatenate(masks))
        np.save(target / "pooled.npy", np.concatenate(pooled))
    except OSError as error:
        raise cannot_write(error, target, GOES_ON) from error


def open_prepared(
    folder: Path, frames: int = 12, splits: Sequence[str] | None = None, progress: Progress | None = None
) -> PairedData:
    """Open a prepared folder with at most `frames` frames a clip; packing happens once per `frames`.

    Raises `KnownError` for a folder that is none, is incomplete, or lacks a wanted split.
    """
    about = read_about(folder)
    wanted = tuple(about.shards) if splits is None else tuple(splits)
    if lacking := [split for split in wanted if split not in about.shards]:
        raise KnownError(
            f"{folder} has no split called {lacking[0]!r}.", f"It has: {', '.join(about.shards)}."
        )
    opened = {split: _open_split(folder, about, split, frames, progress or Progress()) for split in wanted}
    return PairedData(
        about.name,
        about.preset,
        about.fingerprints["clip"],
        about.logit_scale,
        about.has_start,
        about.fingerprints["nouns"],
        about.widths["frames"],
        about.widths["audio"],
        about.widths["motion"],
        opened,
    )


def _open_split(folder: Path, about: About, split: str, frames: int, progress: Progress) -> Split:
    packed = folder / "packed" / f"F{frames}" / split
    # Packed by an earlier version, it lacks the times of frames: packed again.
    if not all((packed / name).is_file() for name in ("clips.json", "times_s.npy")):
        _pack(folder, about, split, frames, packed, progress)
    document = json.loads((packed / "clips.json").read_text(encoding="utf-8"))
    block = ClipBlock(*(_mapped(packed / f"{name}.npy") for name in _BLOCK_NAMES))
    infos = tuple(
        ClipInfo(**{**info, "spoken": tuple(tuple(line) for line in info["spoken"])})
        for info in document["infos"]
    )
    texts = _texts(folder, split)
    row_of = {info.clip_id: row for row, info in enumerate(infos)}
    # A caption whose clip could not be read stays encoded, but has nothing to be compared with.
    kept = np.asarray([i for i, clip in enumerate(texts["clip_ids"]) if clip in row_of], np.int64)
    tokens = TokenStore(*(_mapped(folder / "texts" / split / f"{name}.npy") for name in _TOKEN_NAMES))
    if len(kept) < len(texts["texts"]):
        tokens = tokens.select(kept)
    return Split(
        split,
        infos,
        block,
        tuple(frozenset(nouns) for nouns in document["nouns"]),
        tuple(texts["texts"][i] for i in kept),
        tokens,
        tuple(frozenset(texts["nouns"][i]) for i in kept),
        np.asarray([row_of[texts["clip_ids"][i]] for i in kept], np.int64),
        tuple(frozenset(texts["senses"][i]) for i in kept) if texts["senses"] else (),
    )


def _texts(folder: Path, split: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(
            (folder / "texts" / split / "captions.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        raise KnownError(
            f"The captions of {split} in {folder} are not encoded.",
            "Run the same preparation again: it makes only what is missing.",
            repr(error),
        ) from error
    return document


def _mapped(path: Path) -> Any:
    """An array that the system reads from the disk as it is needed; less than a page is not worth a map."""
    return np.load(path, mmap_mode="r" if path.stat().st_size > _PAGE else None, allow_pickle=False)


def _pack(folder: Path, about: About, split: str, frames: int, target: Path, progress: Progress) -> None:
    paths = [folder / "clips" / name for name in about.shards[split]]
    if absent := [path for path in paths if not path.is_file()]:
        raise KnownError(
            f"{len(absent)} of {len(paths)} files of clips of {split} are not there, as {absent[0].name}.",
            "Run the same preparation again: it makes only what is missing.",
        )
    progress.start(f"pack {split}", len(paths), "files")
    total = sum(clip_count(path) for path in paths)
    if total == 0:
        raise KnownError(f"No clip of {split} in {folder} could be read.", "See left-out.txt beside it.")
    widths = Widths(**about.widths)
    aside = target.with_name(f".{split}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        like = empty_block(0, frames, widths)
        block = ClipBlock(
            *(
                open_memmap(aside / f"{name}.npy", "w+", array.dtype, (total, *array.shape[1:]))
                for name, array in ((name, getattr(like, name)) for name in _BLOCK_NAMES)
            )
        )
        infos, nouns, row = [], [], 0
        for path in paths:
            for clip in read_shard(path).clips:
                fill_row(block, row, clip.raw)
                infos.append(asdict(clip.raw.info))
                nouns.append(sorted(clip.nouns))
                row += 1
            progress.advance()
        for name in _BLOCK_NAMES:
            getattr(block, name).flush()
        (aside / "clips.json").write_text(json.dumps({"infos": infos, "nouns": nouns}), encoding="utf-8")
        if target.is_dir():
            shutil.rmtree(target)
        aside.replace(target)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise cannot_write(error, target, GOES_ON) from error
