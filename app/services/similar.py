"""Similar moments: from a moment of the library, or from any picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.services.blind_spots import counted
from app.services.errands import Errands
from app.services.library import Library
from app.services.searching import Searcher, chosen_fusion, open_searcher
from app.services.targets import clip_of_target, split_target
from m2hf_core.errors import KnownError, ModelsMissing, UnreadableMedia
from m2hf_core.index.vectors import unit_rows
from m2hf_core.ingest.scan import VIDEO_SUFFIXES
from m2hf_core.records import Branch, Copy, Fusion, SearchAnswer
from m2hf_core.search.similar import Sample, compared_with, sample_of_clip, similar_clips
from m2hf_core.store import files

EncodeImage = Callable[[Path], npt.NDArray[np.float32]]
"""A picture file -> [d]. Raises `KnownError` for a file that is none."""


def similar(library: Library, target: str, *, k: int, fusion: Fusion | None = None) -> SearchAnswer:
    """One search from a cold start, for the command line."""
    with Errands(library.paths.data, library.preset.id) as errands:

        def encode_image(path: Path) -> npt.NDArray[np.float32]:
            return errands.encode_image(path).result()

        return find_similar(open_searcher(library), target, encode_image, k=k, fusion=fusion)


def find_similar(
    searcher: Searcher,
    target: str,
    encode_image: EncodeImage,
    *,
    k: int = 10,
    fusion: Fusion | None = None,
) -> SearchAnswer:
    """The k moments most like VIDEO[@SECONDS] or a picture; the video's own clips are left out.

    Raises `KnownError`, `UsageError`.
    """
    library, chosen = searcher.library, fusion or chosen_fusion(searcher.library)
    began = time.perf_counter()
    told: tuple[str, ...] = ()
    if _is_video(library, target):
        clip, seconds = clip_of_target(library, target)
        row = searcher.gallery.row_of(clip.clip_id)
        if row is None:
            raise KnownError(f"{clip.path} is not searchable yet.", "Index its folder first.")
        sample = sample_of_clip(searcher.gallery, row, seconds)
    else:
        picture, _ = split_target(target)
        sample = _sample_of_image(searcher, picture, encode_image)
        if picture.suffix.lower() in VIDEO_SUFFIXES:
            told = (f"{picture.name} is not indexed, so only its first picture is compared.",)
    encode_ms = (time.perf_counter() - began) * 1000
    began = time.perf_counter()
    found = similar_clips(searcher.gallery, sample, searcher.asleep, k=k, fusion=chosen)
    return SearchAnswer(
        query=target,
        fusion=chosen,
        preset=library.preset.id,
        scorer_id=searcher.eyes.scorer_id,
        scorer_state=searcher.eyes.scorer_state,
        took_ms=(time.perf_counter() - began) * 1000,
        encode_ms=encode_ms,
        videos=searcher.gallery.videos,
        clips=len(searcher.gallery),
        hits=found.hits,
        abstained=found.abstained,
        blind_spots=searcher.blind_spots,
        notes=(
            *told,
            *(_sentence(copy) for copy in found.copies),
            *_left_out(searcher, sample),
            *searcher.standing_notes,
        ),
        noun_mode=searcher.nouns.mode,
        copies=found.copies,
    )


def _is_video(library: Library, target: str) -> bool:
    """Whether the library knows the path, or nothing lies there (then the video sentence fits better)."""
    try:
        path, seconds = split_target(target)
        with library.store.library.reading() as session:
            known = files.video_of_path(session, path) is not None
        return known or seconds is not None or not os.path.lexists(path)
    except ValueError as error:  # a zero byte, which no path holds
        raise KnownError("That is no file name.", "Check the spelling.", repr(error)) from error


def _sample_of_image(searcher: Searcher, path: Path, encode_image: EncodeImage) -> Sample:
    if path.is_dir():
        raise KnownError(f"{path} is a folder.", "Give a video of the library, or a picture.")
    if path.exists() and not path.is_file():
        raise _no_picture(path, "a pipe or a device, which may never end")
    if searcher.tower is None:
        why = searcher.asleep.get(Branch.VISUAL, "no video has been looked at yet")
        raise ModelsMissing("A picture cannot be compared yet.", f"{why[:1].upper()}{why[1:]}")
    try:
        vector = encode_image(path)
    except UnreadableMedia as error:
        raise _no_picture(path, str(error)) from error
    return Sample(unit_rows(vector[None])[0], {})


def _no_picture(path: Path, detail: str) -> KnownError:
    return KnownError(
        f"{path.name} is neither a video of this library nor a picture that can be read.",
        "Give a moment of an indexed video, or a JPEG, PNG or WebP file.",
        detail,
    )


def _left_out(searcher: Searcher, sample: Sample) -> Iterator[str]:
    """While models change, sight compares only what the same models have looked at."""
    gallery = searcher.gallery
    if gallery.former is None:
        return
    other = compared_with(gallery, not sample.former).seen
    count = len({gallery.clips[row].video_id for row in np.flatnonzero(other).tolist()})
    which = "new" if sample.former else "former"
    yield (
        f"Pictures of two models cannot be compared, so {counted(count, 'video')} of the {which} models "
        f"{'is' if count == 1 else 'are'} left out of sight."
    )


def _sentence(copy: Copy) -> str:
    return (
        f"{copy.video.name} shows the same from {copy.start_s:.1f} to {copy.end_s:.1f} s "
        f"as this video from {copy.of_start_s:.1f} to {copy.of_end_s:.1f} s, so it is no hit."
    )
