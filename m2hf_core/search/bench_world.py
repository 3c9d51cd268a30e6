"""Galleries to measure search with: clustered as real features are, drawn from a seed, laid on disk as an index is.

Topics are directions; a clip lies near a topic, its frames near the clip. Sound and movement belong to kinds of their
own, and a kind's gate turns the frames of a clip, as the scorer's gates do. A query's words lie around a frame of one
clip at the cosines that CLIP gives to a caption of it (0.25 to 0.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.index import Segment, coded
from m2hf_core.progress import Progress
from m2hf_core.search.encoded import EncodedClips
from m2hf_core.search.gallery import FloatArray, Gallery, GalleryClip, SpokenLine
from m2hf_core.search.lanes import EncodedQuery
from m2hf_core.search.meeting import DenseQuery

WIDTH, FRAMES, TOKENS = 512, 12, 8
BRANCHES = ("visual", "audio", "motion")
CLIPS_PER_TOPIC, KINDS, NOUNS = 100, 64, 4000
CLIP_SPREAD, FRAME_SPREAD, WORD_SPREAD = 0.8, 0.5, 2.6
SEGMENT = 2048
RHO = 0.5
NULL_CAPTIONS = 128
LAYOUT = 2
"""Raised when the arrays of a kept gallery change."""
COMPLETE = "complete"


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Directions that everything is drawn around."""

    seed: int
    topics: FloatArray
    gates: dict[str, FloatArray]
    """Per guided branch [KINDS, d] in (0, 1)."""
    noise: FloatArray
    """[65536, d] unit rows in random directions, drawn once: a slice of it is a draw."""

    @classmethod
    def draw(cls, clips: int, seed: int) -> World:
        rng = np.random.default_rng([seed, clips])
        topics = unit_rows(rng.standard_normal((max(16, clips // CLIPS_PER_TOPIC), WIDTH), dtype=np.float32))
        gates = {
            branch: np.asarray(1 / (1 + np.exp(-rng.standard_normal((KINDS, WIDTH))))).astype(np.float32)
            for branch in ("audio", "motion")
        }
        return cls(seed, topics, gates, unit_rows(rng.standard_normal((1 << 16, WIDTH), dtype=np.float32)))

    def around(self, rng: np.random.Generator, centres: FloatArray, spread: float) -> FloatArray:
        """Unit rows [n, d] near `centres`; a spread of 1 is a cosine of 0.7."""
        start = int(rng.integers(len(self.noise)))
        rows = np.arange(start, start + len(centres)) * 7 % len(self.noise)
        return unit_rows(centres + spread * self.noise[rows])

    def vectors(self, clips: int) -> Iterator[FloatArray]:
        """The clips' own directions [n, d], a segment at a time: enough to measure finding candidates."""
        for number, start in enumerate(range(0, clips, SEGMENT)):
            rng = np.random.default_rng([self.seed, clips, number])
            n = min(SEGMENT, clips - start)
            yield self.around(rng, self.topics[rng.integers(len(self.topics), size=n)], CLIP_SPREAD)

    def all_vectors(self, clips: int) -> FloatArray:
        """The same in one matrix, filled as they come: a million take 2 GB, and twice that would not be at hand."""
        whole, start = np.empty((clips, WIDTH), np.float32), 0
        for rows in self.vectors(clips):
            whole[start : start + len(rows)] = rows
            start += len(rows)
        return whole


def make_gallery(world: World, clips: int, folder: Path, progress: Progress) -> Gallery:
    """A gallery of `clips` clips with three dense branches, words spoken in a third of it, and file names.

    Its arrays lie in `folder`, and are taken from there where the same gallery was made before.
    """
    progress.start("render", clips, "clips")
    own = folder / f"gallery-{LAYOUT}-{clips}-{world.seed}"
    sizes = [min(SEGMENT, clips - start) for start in range(0, clips, SEGMENT)]
    if not (own / COMPLETE).exists():
        for number, centres in enumerate(world.vectors(clips)):
            place = own / f"seg-{number}"
            place.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([world.seed, clips, number, 1])
            for name, values in _arrays(world, rng, centres, number * SEGMENT).items():
                np.save(place / f"{name}.npy", values)
            progress.advance(len(centres))
        (own / COMPLETE).touch()
    segments = []
    for number, size in enumerate(sizes):
        files = (own / f"seg-{number}").glob("*.npy")
        mapped = {file.name.removesuffix(".npy"): np.load(file, mmap_mode="r") for file in files}
        for branch in ("audio", "motion"):  # the cost of asking is the same whatever stands there
            mapped[f"muted.{branch}"] = mapped["unit.visual"]
            mapped[f"muted_weight.{branch}"] = mapped["unit_weight.visual"]
        segments.append(Segment(str(number), mapped, np.ones(size, np.bool_)))
    rng = np.random.default_rng([world.seed, clips, 2])
    ids = np.arange(1, clips + 1, dtype=np.int64)
    paths = [Path(f"/library/{n % 97}/video{n}.mp4") for n in range(clips // 4 + 1)]
    spoken = rng.random(clips) < 1 / 3
    lines = [(SpokenLine(0.0, _nouns(rng, 8)),) if heard else () for heard in spoken]
    names = [_nouns(rng, 3) for _ in paths]
    return Gallery(
        [GalleryClip(n + 1, n // 4, paths[n // 4], n % 4 * 12.0, n % 4 * 12.0 + 12) for n in range(clips)],
        EncodedClips(ids, segments, BRANCHES, pooled_is_score=False),
        lines,
        [names[n // 4] for n in range(clips)],
    )


def make_queries(world: World, gallery: Gallery, count: int) -> list[EncodedQuery]:
    """Each about one clip, in words that are near it and nouns of which it may speak."""
    rng = np.random.default_rng([world.seed, len(gallery), 3])
    queries = []
    for row in rng.choice(len(gallery), count, replace=len(gallery) < count).tolist():
        frames = gallery.encoded.frames(row, "visual")
        # Noise of their own: rows of the world's would make each word the twin of frames anywhere in the gallery.
        noise = unit_rows(rng.standard_normal((TOKENS, WIDTH), dtype=np.float32))
        tokens = unit_rows(frames[[int(rng.integers(len(frames)))]] + WORD_SPREAD * noise)
        dense = {}
        for branch in BRANCHES:
            weight = rng.random(TOKENS, dtype=np.float32)
            weight[-1] = TOKENS  # the end mark carries about half of it
            weight /= weight.sum()
            dense[branch] = DenseQuery(tokens, weight, (*"abcdefg", None), RHO, weight @ tokens)
        queries.append(EncodedQuery("words", tokens[-1], _nouns(rng, 2), _nouns(rng, 2), dense))
    return queries


def _nouns(rng: np.random.Generator, most: int) -> frozenset[str]:
    """Words are as unequally common as in language: the k-th has a share of about 1 / k."""
    drawn = np.floor(NOUNS ** rng.random(int(rng.integers(1, most + 1)))).astype(int)
    return frozenset(f"noun{number}" for number in drawn.tolist())


def _arrays(
    world: World, rng: np.random.Generator, centres: FloatArray, first: int
) -> dict[str, npt.NDArray[Any]]:
    n = len(centres)
    frames = world.around(rng, np.repeat(centres, FRAMES, axis=0), FRAME_SPREAD)
    arrays: dict[str, npt.NDArray[Any]] = {
        "ids": np.arange(first + 1, first + n + 1, dtype=np.int64),
        "start": np.arange(n, dtype=np.int64) * FRAMES,
        "count": np.full(n, FRAMES, np.int32),
        "times": np.tile(np.arange(FRAMES) + 0.5, n),
    }
    for branch in BRANCHES:
        made = frames
        if branch in world.gates:
            kinds = rng.integers(KINDS, size=n)
            made = unit_rows(frames * np.repeat(world.gates[branch][kinds], FRAMES, axis=0))
        weight = np.exp(0.5 * rng.standard_normal((n, FRAMES), dtype=np.float32))
        weight /= weight.sum(axis=1, keepdims=True)
        arrays[f"unit.{branch}"] = torch.from_numpy(made).half().numpy()
        arrays[f"unit_weight.{branch}"] = weight.ravel()
        pooled = np.matmul(weight[:, None], made.reshape(n, FRAMES, -1))[:, 0]
        arrays[f"pooled.{branch}"] = pooled
        arrays[f"codes.{branch}"], arrays[f"step.{branch}"] = coded(pooled)
        arrays[f"present.{branch}"] = np.ones(n, np.bool_)
        # What unrelated captions score is drawn, not met: that likelihoods are asked for is what counts here.
        null = rng.normal((0.0, 0.05), (0.01, 0.005), (n, 2)).clip((-1.0, 0.01), 1.0)
        arrays[f"null.{branch}"] = null.astype(np.float32)
        arrays[f"top.{branch}"] = rng.normal(4.0, 0.5, NULL_CAPTIONS).astype(np.float32)
    return arrays


def unit_rows(values: FloatArray) -> FloatArray:
    """Rows [n, d] scaled to length one, in place: a gallery has millions of them."""
    values /= np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
    return values
