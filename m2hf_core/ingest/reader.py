"""The decoding half: reads one file after another, ahead of the networks, as far as memory allows.

Every stream is decoded once. The frame grid of CLIP and the denser one of the motion extractor are merged, and each
decoded frame goes to whoever asked for it; so do the blocks of sound, to the audio extractor and to speech.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from m2hf_core.errors import Interrupted
from m2hf_core.features import Extractors
from m2hf_core.ingest.lookahead import Lookahead, Stopped
from m2hf_core.ingest.pictures import Cells, Moved, Poster, Runs, Seen
from m2hf_core.ingest.video import SUBTITLES, Request, Video
from m2hf_core.media import iter_audio, probe, read_frames, read_subtitles

AUDIO_BLOCK_S = 30.0
WAITED = "waited_for_networks"


class Named(Protocol):
    @property
    def fingerprint(self) -> str: ...


E = TypeVar("E", bound=Named)


@dataclass(frozen=True, slots=True, eq=False)
class Begin:
    video: Video


@dataclass(frozen=True, slots=True, eq=False)
class Sounded:
    """A block of one channel, the next after the former."""

    video: Video
    samples: npt.NDArray[np.float32]

    @property
    def size(self) -> int:
        return self.samples.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """Nothing more comes of this video. `error` is why, where it did not go well."""

    video: Video
    error: Exception | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """No file waits at the moment, or (when `last`) none will come: do not wait for fuller batches."""

    last: bool = False


Item = Begin | Seen | Moved | Sounded | End | Idle


class RequestSource:
    """Shared by several readers: hands each request to one of them."""

    def __init__(self, requests: Iterator[Request | None]) -> None:
        self._requests, self._lock = requests, threading.Lock()

    def __iter__(self) -> Iterator[Request | None]:
        while True:
            with self._lock:
                try:
                    request = next(self._requests)
                except StopIteration:
                    return
            yield request


class Reader(threading.Thread):
    """Decodes what `requests` gives into `ahead`; None among them says that nothing waits at the moment."""

    def __init__(
        self,
        requests: Iterable[Request | None],
        extractors: Extractors,
        speech: str,
        ahead: Lookahead[Item],
    ) -> None:
        """`speech` is the fingerprint under which words are wanted."""
        super().__init__(
            name="reader", daemon=True
        )  # one that waits for its next request must not hold the end up
        self._requests, self._extractors, self._speech, self._ahead = requests, extractors, speech, ahead

    def run(self) -> None:
        try:
            for request in self._requests:
                if request is None:
                    self._ahead.put(Idle())
                else:
                    self._read(Video(request))
            self._ahead.put(Idle(last=True))
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - of a thread: handed to the one that takes
            self._ahead.fail(error)

    def _read(self, video: Video) -> None:
        self._ahead.put(Begin(video))
        error = None
        try:
            self._decode(video)
        except (Stopped, Interrupted):
            raise
        except Exception as failure:  # noqa: BLE001 - of one file: the taker gives it to whom it concerns
            error = failure
        self._ahead.put(End(video, error))

    def _decode(self, video: Video) -> None:
        request = video.request
        request.progress.start("probe")
        with video.timed("probe"):
            video.info = probe(request.path)
        request.progress.start("frames", video.info.duration_s, "s")
        self._read_pictures(video)
        listens = self._speech in request.wanted
        if listens:
            request.progress.start("speech", video.info.duration_s, "s")
            self._read_subtitles(video)
        self._read_sound(video, listens and not video.spoken)

    def _read_pictures(self, video: Video) -> None:
        extractors, request = self._extractors, video.request
        clip, motion = wanted(extractors.clip, request), wanted(extractors.motion, request)
        reads_text = extractors.text is not None and self._speech in request.wanted
        if reads_text:
            video.asked.append("ocr")
        cells = Cells(video, clip, reads_text)
        runs = Runs(video, motion) if motion is not None else None
        poster = Poster(video)
        times = sorted({*poster.times, *cells.times, *(runs.times if runs else ())})
        with video.timed("decode_video", apart_from=("prepare", WAITED)):
            for frame in read_frames(request.path, times) if times else ():
                poster.take(frame.asked_s, frame.image)
                self._put(cells.take(frame.asked_s, frame.image))
                if runs is not None:
                    self._put(runs.take(frame.asked_s, frame.image))
                if video.given_up:
                    return
            if runs is not None:
                self._put(runs.rest())
            poster.rest()

    def _read_subtitles(self, video: Video) -> None:
        with video.timed("subtitles"):
            found = read_subtitles(video.request.path, video.known)
        video.asked += SUBTITLES
        if found is not None:
            video.spoken.append(found)

    def _read_sound(self, video: Video, listens: bool) -> None:
        """Blocks of sound to the audio extractor; on their way, where nobody has written it down, to speech."""
        audio, speech = wanted(self._extractors.audio, video.request), self._extractors.speech
        if self._speech in video.request.wanted and speech is not None:
            video.asked.append("asr")  # emptied where subtitles have come to say the same
        listener = speech if listens else None
        if audio is None and listener is None:
            return
        if listener is None or not video.known.has_audio:
            video.request.progress.start("audio", video.known.duration_s, "s")
            for _ in self._blocks(video, audio.rate, hand_on=True) if audio is not None else ():
                pass
            return
        video.request.progress.start("speech", video.known.duration_s, "s")
        shared = audio is not None and audio.rate == listener.rate
        with video.timed("speech", apart_from=("decode_audio", WAITED)):
            heard = listener.transcribe(
                self._blocks(video, listener.rate, hand_on=shared), self._heard(video)
            )
        video.spoken.append(heard)
        if audio is not None and not shared:
            for _ in self._blocks(video, audio.rate, hand_on=True):
                pass

    def _blocks(self, video: Video, rate: int, *, hand_on: bool) -> Iterator[npt.NDArray[np.float32]]:
        """The sound in blocks, timed; with `hand_on` the networks get each of them too."""
        blocks = iter_audio(video.request.path, rate, AUDIO_BLOCK_S) if video.known.has_audio else iter(())
        while not video.given_up:
            with video.timed("decode_audio"):
                block = next(blocks, None)
            if block is None:
                return
            if hand_on:
                self._put([Sounded(video, block)])
            yield block

    def _heard(self, video: Video) -> Callable[[float], None]:
        def heard(seconds: float) -> None:
            video.request.progress.update(seconds, video.known.duration_s)

        return heard

    def _put(self, items: Iterable[Seen | Moved | Sounded]) -> None:
        for item in items:
            item.video.seconds[WAITED] += self._ahead.put(item, item.size)
            item.video.request.progress.check()


def wanted(extractor: E | None, request: Request) -> E | None:
    """The extractor if it is awake and this request asks for it."""
    return extractor if extractor is not None and extractor.fingerprint in request.wanted else None
