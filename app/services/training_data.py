"""`train prepare`: a data set's videos through the very extraction that indexes a library, into shards for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from m2hf_core.aside import write_file
from m2hf_core.errors import Interrupted, KnownError, ModelsMissing, UsageError
from m2hf_core.features import Extractors, load_extractors
from m2hf_core.features.device import resolve_device
from m2hf_core.hub import Preset, get_preset
from m2hf_core.ingest.extract import extract_all
from m2hf_core.ingest.video import Extraction, Request, speech_fingerprint
from m2hf_core.progress import Progress
from m2hf_core.text import NounExtractor, load_nouns
from m2hf_core.text.tower import open_text_tower
from m2hf_core.training.data.annotations import AnnotatedClip, Annotations, find_videos
from m2hf_core.training.data.dataset import ClipInfo
from m2hf_core.training.data.manifest import read_manifest
from m2hf_core.training.data.packing import RawClip, shorten
from m2hf_core.training.data.prepared import About, Captions, claim, encode_captions, write_about
from m2hf_core.training.data.published import (
    read_activitynet,
    read_didemo,
    read_lsmdc,
    read_msrvtt,
    read_msvd,
)
from m2hf_core.training.data.shards import ShardWriter, SpokenClip, read_shard
from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic

PUBLISHED = ("msrvtt-9k", "msrvtt-7k", "msrvtt-full", "msvd", "lsmdc", "didemo", "activitynet")
MANIFEST = "manifest"
LONG_TEXTS = ("didemo", "activitynet")
WORDS, PARAGRAPH_WORDS = 32, 64
AUDIO_WIDTH, MOTION_WIDTH = 128, 1024
"""What a sleeping branch is given: the widths of VGGish and S3D, all rows missing."""
LEFT_OUT_FILE = "left-out.txt"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `train prepare` and `library export-training` answer."""

    folder: Path
    dataset: str
    clips: dict[str, int]
    """split -> clips that are there"""
    captions: dict[str, int]
    left_out: dict[str, str]
    """clip -> why it is not there"""
    asleep: dict[str, str]
    """branch -> how to wake it"""
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        return {**asdict(self), "folder": str(self.folder)}

    def lines(self) -> Iterator[str]:
        for split, clips in self.clips.items():
            yield f"{split:<6} {clips:>8} clips {self.captions[split]:>9} captions"
        for branch, reason in self.asleep.items():
            yield f"{branch} is missing: {reason}"
        if self.left_out:
            yield f"{len(self.left_out)} clips were left out; they are listed in {self.folder / LEFT_OUT_FILE}"
        yield from self.notes
        yield f"Train with: m2hf-app train --data {self.folder} --out RUN"


@dataclass(frozen=True, slots=True)
class Order:
    """What to prepare, and where to."""

    dataset: str
    annotations: Path
    """The folder of published annotations, or the manifest itself."""
    videos: Path
    out: Path
    preset: str
    device: str = "auto"
    allow_missing: bool = False
    words: int | None = None
    """T': tokens a caption may have; None: 32, for paragraphs 64."""


def read_annotations(dataset: str, place: Path) -> Annotations:
    """Raises `KnownError` for a wrong layout, `UsageError` for an unknown name."""
    if dataset == MANIFEST:
        return read_manifest(place)
    if dataset == "msvd":
        return read_msvd(place)
    if dataset == "lsmdc":
        return read_lsmdc(place)
    if dataset == "didemo":
        return read_didemo(place)
    if dataset == "activitynet":
        return read_activitynet(place)
    if dataset in ("msrvtt-9k", "msrvtt-7k", "msrvtt-full"):
        return read_msrvtt(place, dataset.removeprefix("msrvtt-"))  # type: ignore[arg-type]
    raise UsageError(
        f"There is no data set called {dataset!r}.", f"Known: {', '.join((*PUBLISHED, MANIFEST))}."
    )


def prepare(order: Order, progress: Progress) -> Prepared:
    """Extract what is not there yet; a stopped preparation goes on when asked for again.

    Raises `KnownError` for a wrong layout, for videos that are missing (unless allowed), for a folder that holds
    something else; `ModelsMissing`, `DiskFull`, `Interrupted`.
    """
    found = read_annotations(order.dataset, order.annotations)
    places, missing = _locate(found, order)
    preset, nouns = get_preset(order.preset), load_nouns()
    device = resolve_device(order.device)
    extractors = load_extractors(preset, device)
    if extractors.clip is None:
        raise ModelsMissing(extractors.asleep["visual"])
    words = order.words or (PARAGRAPH_WORDS if order.dataset in LONG_TEXTS else WORDS)
    fingerprints = fingerprints_of(extractors, nouns)
    clips = {split: tuple(c for c in part if c.clip_id in places) for split, part in found.splits.items()}
    clips = {split: part for split, part in clips.items() if part}
    claim(
        order.out,
        {"data": found.dataset, "by": fingerprints, "words": words}
        | {"clips": {split: [clip.clip_id for clip in part] for split, part in clips.items()}},
    )
    shards: dict[str, list[str]] = {}
    counts, left_out = {}, dict.fromkeys(missing, "its video is missing")
    for split, part in clips.items():
        writer = ShardWriter(order.out, split, [clip.clip_id for clip in part])
        _extract(part, places, writer, extractors, nouns, order.out, progress, split)
        shards[split] = [path.name for path in writer.paths()]
        parts = [read_shard(path) for path in writer.paths()]
        counts[split] = sum(len(shard.clips) for shard in parts)
        left_out |= {clip: reason for shard in parts for clip, reason in shard.left_out.items()}
    _tell_left_out(order, left_out)
    captions = _encode(preset, order.out, clips, words, nouns, progress)
    about = About(
        found.dataset,
        preset.id,
        fingerprints,
        *captions.tower,
        widths_of(extractors),
        shards,
    )
    write_about(order.out, about)
    return Prepared(
        order.out, found.dataset, counts, captions.counts, left_out, dict(extractors.asleep), found.notes
    )


def _locate(found: Annotations, order: Order) -> tuple[dict[str, Path], list[str]]:
    """Every clip's file; raises the sentence that lists those that are missing, unless that is allowed."""
    if not order.videos.is_dir():
        raise KnownError(
            f"There is no folder {order.videos}.", "Name the folder of the videos with --videos."
        )
    clips = [clip for part in found.splits.values() for clip in part]
    places, missing = find_videos(order.videos, clips)
    if not places:
        raise KnownError(
            f"None of the {len(clips)} videos of {found.dataset} is in {order.videos}.",
            f"Looked for files called like {clips[0].video}, with any ending of a video, in all its folders.",
        )
    if missing and not order.allow_missing:
        listed = _write_list(order.out, dict.fromkeys(missing, "its video is missing"))
        shown = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        raise KnownError(
            f"{len(missing)} of {len(clips)} clips have captions but no video in {order.videos}: {shown}",
            f"All are listed in {listed}. To go on without them add --allow-missing.",
        )
    return places, missing


def _tell_left_out(order: Order, left_out: dict[str, str]) -> None:
    if not left_out:
        return
    listed = _write_list(order.out, left_out)
    if not order.allow_missing:
        first, reason = next(iter(left_out.items()))
        raise KnownError(
            f"{len(left_out)} videos could not be read, as {first}: {reason}",
            f"All are listed in {listed}. To go on without them add --allow-missing.",
        )


def _write_list(out: Path, left_out: dict[str, str]) -> Path:
    """Beside the folder, which stays unclaimed if nothing was prepared yet."""
    path = out.with_name(f"{out.name}-{LEFT_OUT_FILE}") if not out.exists() else out / LEFT_OUT_FILE
    text = "".join(f"{clip}\t{reason}\n" for clip, reason in left_out.items())
    write_file(path, text.encode("utf-8", "backslashreplace"))
    return path


def _extract(
    clips: Sequence[AnnotatedClip],
    places: dict[str, Path],
    writer: ShardWriter,
    extractors: Extractors,
    nouns: NounExtractor,
    out: Path,
    progress: Progress,
    split: str,
) -> None:
    """One pass over each file, however many clips of it there are."""
    missing = set(writer.missing())
    by_path: dict[Path, list[AnnotatedClip]] = {}
    for clip in clips:
        if clip.clip_id in missing:
            by_path.setdefault(places[clip.clip_id], []).append(clip)
    progress.start(f"extract {split}", len(by_path), "videos")
    poster = out / "pending" / "poster"
    poster.parent.mkdir(parents=True, exist_ok=True)
    poster.touch()  # no poster is made where one lies already
    wanted = frozenset(fingerprints_of(extractors, nouns).values())
    requests = (Request(path, wanted, poster, Progress()) for path in by_path)
    for outcome in extract_all(requests, extractors, nouns):
        if isinstance(outcome.error, Interrupted):
            raise outcome.error
        for clip in by_path[outcome.request.path]:
            _keep(clip, outcome.request.path, outcome.extraction, outcome.error, writer, extractors)
        progress.advance()


def _keep(
    clip: AnnotatedClip,
    path: Path,
    extraction: Extraction | None,
    error: Exception | None,
    writer: ShardWriter,
    extractors: Extractors,
) -> None:
    if extraction is None:
        if not isinstance(error, KnownError):
            assert error is not None
            raise error
        writer.leave_out(clip.clip_id, str(error))
        return
    assert extractors.clip is not None
    start_s = clip.start_s or 0.0
    end_s = extraction.info.duration_s if clip.end_s is None else clip.end_s
    frames = extraction.features[extractors.clip.fingerprint]
    if not ((frames.start_s >= start_s - 1e-6) & (frames.start_s < end_s - 1e-6)).any():
        writer.leave_out(clip.clip_id, f"there is no frame between {start_s:g} s and {end_s:g} s.")
        return
    heard = [
        (line, nouns, spoken.transcript.language)
        for spoken in extraction.heard
        for line, nouns in zip(spoken.transcript.lines, spoken.nouns, strict=True)
        if line.start_s < end_s and line.end_s > start_s
    ]
    info = ClipInfo(
        clip.clip_id,
        str(path),
        start_s,
        end_s,
        tuple((line.text, language) for line, _, language in heard),
    )
    features = extraction.features
    raw = RawClip(
        info,
        frames,
        features.get(extractors.audio.fingerprint) if extractors.audio else None,
        features.get(extractors.motion.fingerprint) if extractors.motion else None,
    )
    writer.put(SpokenClip(raw, frozenset(noun for _, nouns, _ in heard for noun in nouns)))


def fingerprints_of(extractors: Extractors, nouns: NounExtractor) -> dict[str, str]:
    """What the rows of a preparation were made by."""
    kinds = {"clip": extractors.clip, "audio": extractors.audio, "motion": extractors.motion}
    awake = {kind: one.fingerprint for kind, one in kinds.items() if one is not None}
    return awake | {"nouns": nouns.fingerprint, "speech": speech_fingerprint(extractors, nouns)}


def widths_of(extractors: Extractors) -> dict[str, int]:
    assert extractors.clip is not None
    return {
        "frames": extractors.clip.width,
        "audio": extractors.audio.width if extractors.audio else AUDIO_WIDTH,
        "motion": extractors.motion.width if extractors.motion else MOTION_WIDTH,
    }


@dataclass(frozen=True, slots=True)
class _Encoded:
    counts: dict[str, int]
    tower: tuple[float, bool, int]
    """logit scale, has a start mark, T'"""


def _encode(
    preset: Preset,
    out: Path,
    clips: dict[str, tuple[AnnotatedClip, ...]],
    words: int,
    nouns: NounExtractor,
    progress: Progress,
) -> _Encoded:
    tower = open_text_tower(preset)
    shorten(tower, words)
    counts = {}
    for split, part in clips.items():
        pairs = list(_pairs(part))
        counts[split] = len(pairs)
        captions = Captions(tuple(text for text, _ in pairs), tuple(clip for _, clip in pairs))
        encode_captions(out, split, captions, tower, nouns, progress)
    return _Encoded(counts, (tower.logit_scale, tower.tokenizer.has_start, tower.tokenizer.context_length))


def _pairs(clips: Iterable[AnnotatedClip]) -> Iterator[tuple[str, str]]:
    return ((text, clip.clip_id) for clip in clips for text in clip.captions)


def prepare_world(
    out: Path, sizes: tuple[int, int, int], seed: int, preset: str, device: str, progress: Progress
) -> Prepared:
    """The synthetic world as a data set; no file is decoded. Raises like `prepare`."""
    wanted = Sizes(*sizes)
    about = prepare_synthetic(
        out, wanted, seed=seed, preset=preset, device=resolve_device(device), progress=progress
    )
    clips = {str(split): count for split, count in wanted.clips().items()}
    captions = {split: n * (wanted.captions if split == "train" else 1) for split, n in clips.items()}
    return Prepared(out, about.name, clips, captions, {}, {})
