"""Video files in, everything that search needs of them out; runs inside a worker process, without a database.

Two halves: a thread decodes ahead (`reader`), this one runs the networks. Batches are filled from as many videos as it
takes, so that a library of short clips costs no more than one of long films. Memory is bounded: what lies
ready between the halves by its bytes, what is waiting for a batch by the batch, results as float16.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from m2hf_core.features import AudioExtractor, Extractors, lines_on_screen
from m2hf_core.ingest.listening import Listening
from m2hf_core.ingest.lookahead import Lookahead
from m2hf_core.ingest.pictures import Moved, Seen
from m2hf_core.ingest.reader import Begin, End, Idle, Item, Reader, RequestSource, Sounded, wanted
from m2hf_core.ingest.video import FRAME_STEP_S, Extraction, Heard, Request, Video, speech_fingerprint
from m2hf_core.records import Feature, Transcript
from m2hf_core.text import NounExtractor

Half = npt.NDArray[np.float16]
P = TypeVar("P", bound=Seen | Moved)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done at a time."""

    batch: int = 8
    """Frames per forward pass: on a slow CPU a sign of life comes after each."""
    runs: int = 2
    """Runs per forward pass of the motion network."""
    ahead_bytes: int = 256 << 20
    """Decoded and waiting: four minutes of prepared frames, or a minute of runs."""
    readers: int = 1
    """Files that are decoded at once. One keeps a CPU busy that runs the networks too; a GPU eats faster."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a request: an extraction, or the error and the stage that it came from."""

    request: Request
    extraction: Extraction | None
    error: Exception | None = None
    stage: str = ""


def extract(request: Request, extractors: Extractors, nouns: NounExtractor) -> Extraction:
    """One file. Raises `UnreadableMedia` for one that cannot be decoded, `Interrupted` when cancelled."""
    (outcome,) = extract_all(iter([request]), extractors, nouns)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.extraction is not None
    return outcome.extraction


def extract_all(
    requests: Iterator[Request | None],
    extractors: Extractors,
    nouns: NounExtractor,
    effort: Effort | None = None,
) -> Iterator[Outcome]:
    """Every request's outcome, as they get ready; None among the requests says that no more wait at the moment.

    `requests` is asked in other threads. A file that fails is an outcome like any other; raises what `requests` raises,
    and `Interrupted` when one of them is cancelled.
    """
    effort = effort or Effort()
    ahead: Lookahead[Item] = Lookahead(effort.ahead_bytes)
    source = RequestSource(requests)
    speech = speech_fingerprint(extractors, nouns)
    readers = [Reader(source, extractors, speech, ahead) for _ in range(effort.readers)]
    for reader in readers:
        reader.start()
    try:
        yield from _Networks(extractors, nouns, effort).run(ahead, len(readers))
    finally:
        ahead.stop()
        for reader in readers:
            reader.join(READER_GRACE_S)


FIRST_ROWS = 64
READER_GRACE_S = 5.0
"""A decoder stops at its next frame; one that waits for a request cannot be told, and ends with the process."""


class _Rows:
    """Features of one kind as they come, in one array that grows: hours of them are never held twice."""

    def __init__(self) -> None:
        self._held: Half = np.empty((0, 0), np.float16)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Half) -> None:
        if self._count == len(self._held):
            if self._count == 0:
                self._held = np.empty((FIRST_ROWS, len(row)), np.float16)
            else:  # nobody else holds this array before it is taken
                self._held.resize((2 * self._count, len(row)), refcheck=False)
        self._held[self._count] = row
        self._count += 1

    def taken(self, width: int) -> Half:
        """[n, width], without a copy."""
        return self._held[: self._count] if self._count else np.empty((0, width), np.float16)


class _Work:
    """One video's results so far, on the networks' side."""

    def __init__(self, video: Video, audio: AudioExtractor | None) -> None:
        self.video = video
        self.cells: list[int] = []
        self.frames, self.runs = _Rows(), _Rows()
        self.readings: list[tuple[int, tuple[str, ...]]] = []
        self.listening = Listening(audio) if audio is not None else None
        self.waiting = 0
        """Pieces that lie in a batch which is not full yet."""
        self.ended = False
        self.error: Exception | None = None
        self.stage = ""

    def fail(self, error: Exception, stage: str) -> None:
        if self.error is None:
            self.error, self.stage = error, stage
        self.video.given_up = True


class _Batch(Generic[P]):
    """Pieces of one kind, from any videos, until there are enough for a forward pass."""

    def __init__(
        self,
        stage: str,
        size: int,
        forward: Callable[[list[tuple[_Work, P]]], None],
        until_s: Callable[[P], float],
    ) -> None:
        """`until_s` answers up to where a video has been looked at when this piece of it has."""
        self._stage, self._size, self._forward, self._until_s = stage, size, forward, until_s
        self._pieces: list[tuple[_Work, P]] = []

    def add(self, work: _Work, piece: P) -> None:
        work.waiting += 1
        self._pieces.append((work, piece))
        if len(self._pieces) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Run what is there. A batch that fails is run again video by video: only one of them is to blame."""
        pieces, self._pieces = self._pieces, []
        pieces = [(work, piece) for work, piece in pieces if self._taken(work)]
        if not pieces:
            return
        try:
            self._timed(pieces)
        except Exception as error:  # noqa: BLE001 - a network's failure is the file's
            self._one_by_one(pieces, error)
        for work, piece in {id(work): (work, piece) for work, piece in pieces}.values():
            duration_s = work.video.known.duration_s
            work.video.request.progress.update(min(self._until_s(piece), duration_s), duration_s)

    def _one_by_one(self, pieces: list[tuple[_Work, P]], error: Exception) -> None:
        parts = [list(part) for _, part in groupby(pieces, key=lambda entry: id(entry[0]))]
        if len(parts) == 1:
            pieces[0][0].fail(error, "frames")
            return
        for part in parts:
            try:
                self._timed(part)
            except Exception as own:  # noqa: BLE001 - as above
                part[0][0].fail(own, "frames")

    @staticmethod
    def _taken(work: _Work) -> bool:
        work.waiting -= 1
        return work.error is None

    def _timed(self, pieces: list[tuple[_Work, P]]) -> None:
        began = time.perf_counter()
        self._forward(pieces)
        each = (time.perf_counter() - began) / len(pieces)
        for work, _ in pieces:
            work.video.seconds[self._stage] += each


class _Networks:
    def __init__(self, extractors: Extractors, nouns: NounExtractor, effort: Effort) -> None:
        self._extractors, self._nouns = extractors, nouns
        self._images = _Batch[Seen]("network_clip", effort.batch, self._see, _end_of_cell)
        self._motion = _Batch[Moved]("network_motion", effort.runs, self._follow, self._end_of_run)
        self._texts = _Batch[Seen]("network_text", 1, self._read, _end_of_cell)
        self._works: dict[int, _Work] = {}

    def run(self, ahead: Lookahead[Item], readers: int) -> Iterator[Outcome]:
        while readers:
            item, waited = ahead.get()
            if isinstance(item, Idle):
                self._flush()
                readers -= item.last
            elif isinstance(item, Begin):  # the wait for it was a wait for work, not for decoding
                audio = wanted(self._extractors.audio, item.video.request)
                self._works[id(item.video)] = _Work(item.video, audio)
            else:
                item.video.seconds["waited_for_decoding"] += waited
                self._take(self._works[id(item.video)], item)
            yield from self._finished()
        self._flush()
        yield from self._finished()

    def _take(self, work: _Work, item: Seen | Moved | Sounded | End) -> None:
        if isinstance(item, End):
            work.ended = True
            if item.error is not None:
                work.fail(item.error, work.video.request.progress.snapshot().stage)
        elif work.error is not None:
            return
        elif isinstance(item, Moved):
            self._motion.add(work, item)
        elif isinstance(item, Sounded):
            self._listen(work, item)
        else:
            if item.image is not None:
                self._texts.add(work, item)
            if item.prepared is not None:
                self._images.add(work, item)

    def _flush(self) -> None:
        for batch in (self._images, self._motion, self._texts):
            batch.flush()

    def _finished(self) -> Iterator[Outcome]:
        for key, work in list(self._works.items()):
            if work.ended and (work.error is not None or work.waiting == 0):
                del self._works[key]
                yield self._outcome(work)

    def _see(self, pieces: list[tuple[_Work, Seen]]) -> None:
        assert self._extractors.clip is not None
        prepared = np.stack([piece.prepared for _, piece in pieces if piece.prepared is not None])
        rows = _halved(self._extractors.clip.encode_prepared(prepared))
        for (work, piece), row in zip(pieces, rows, strict=True):
            work.cells.append(piece.cell)
            work.frames.add(row)

    def _follow(self, pieces: list[tuple[_Work, Moved]]) -> None:
        extractor = self._extractors.motion
        assert extractor is not None
        rows = _halved(extractor.encode(np.stack([piece.frames for _, piece in pieces])))
        for (work, _), row in zip(pieces, rows, strict=True):
            work.runs.add(row)

    def _end_of_run(self, piece: Moved) -> float:
        assert self._extractors.motion is not None
        return (piece.number + 1) * self._extractors.motion.step_s

    def _read(self, pieces: list[tuple[_Work, Seen]]) -> None:
        assert self._extractors.text is not None
        for work, piece in pieces:
            assert piece.image is not None
            (texts,) = self._extractors.text.read(piece.image[None])
            work.readings.append((piece.cell, texts))

    def _listen(self, work: _Work, item: Sounded) -> None:
        assert work.listening is not None
        try:
            with work.video.timed("network_audio"):
                done_s = work.listening.take(item.samples)
        except Exception as error:  # noqa: BLE001 - a network's failure is the file's
            work.fail(error, "audio")
            return
        work.video.request.progress.update(done_s, work.video.known.duration_s)

    def _outcome(self, work: _Work) -> Outcome:
        video, request = work.video, work.video.request
        if work.error is not None:
            return Outcome(request, None, work.error, work.stage)
        features: dict[str, Feature] = {}
        duration_s = video.known.duration_s
        if (clip := wanted(self._extractors.clip, request)) is not None:
            starts, ends = grid_spans(video.cells, FRAME_STEP_S, duration_s)
            kept = np.asarray(work.cells, np.int64)
            features[clip.fingerprint] = Feature(work.frames.taken(clip.width), starts[kept], ends[kept])
        if (motion := wanted(self._extractors.motion, request)) is not None:
            spans = grid_spans(len(work.runs), motion.step_s, duration_s)
            features[motion.fingerprint] = Feature(work.runs.taken(motion.width), *spans)
        if (audio := wanted(self._extractors.audio, request)) is not None:
            assert work.listening is not None
            features[audio.fingerprint] = work.listening.finish()
        heard = self._heard(work)
        mode, version = self._nouns.mode, self._nouns.version
        return Outcome(
            request,
            Extraction(video.known, features, heard, tuple(video.asked), mode, version, dict(video.seconds)),
        )

    def _heard(self, work: _Work) -> tuple[Heard, ...]:
        video = work.video
        spoken = list(video.spoken)
        if "ocr" in video.asked:
            starts, ends = grid_spans(video.cells, FRAME_STEP_S, video.known.duration_s)
            lines = lines_on_screen(
                (float(starts[cell]), float(ends[cell]), texts) for cell, texts in work.readings
            )
            spoken.append(Transcript("ocr", None, lines))
        with video.timed("nouns"):
            return tuple(
                Heard(
                    found,
                    tuple(tuple(sorted(self._nouns(line.text, found.language))) for line in found.lines),
                )
                for found in spoken
                if found.lines
            )


def _end_of_cell(piece: Seen) -> float:
    return (piece.cell + 1) * FRAME_STEP_S


def _halved(rows: npt.NDArray[np.float32]) -> Half:
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, and the store refuses it
        return rows.astype(np.float16)


def grid_spans(
    count: int, step_s: float, duration_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Starts and ends [count] of consecutive cells of `step_s`, the last one cut at the video's end."""
    starts = np.arange(count, dtype=np.float64) * step_s
    ends = np.maximum(np.minimum(starts + step_s, duration_s), starts)
    if count:
        ends[-1] = max(duration_s, float(starts[-1]))
    return starts, ends
