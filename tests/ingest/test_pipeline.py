"""Decoding ahead and batches over several videos: nobody's rows get lost, swapped, or blamed on another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from m2hf_core.errors import Interrupted, UnreadableMedia
from m2hf_core.features import Extractors
from m2hf_core.ingest.extract import Effort, Outcome, extract, extract_all
from m2hf_core.ingest.lookahead import Lookahead, Stopped
from m2hf_core.ingest.video import Request, speech_fingerprint
from m2hf_core.progress import Progress
from m2hf_core.records import Feature, Line, Transcript
from m2hf_core.text import NounExtractor

NOUNS = NounExtractor()
BLACK = (0, 0, 0)


def write_video(path: Path, seconds: list[object]) -> Path:
    """One entry per second: a colour for a flat picture, or a number for half black, half that grey."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=4, options={"crf": "18", "g": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for entry in seconds:
            image = np.zeros((48, 64, 3), np.uint8)
            if isinstance(entry, tuple):
                image[:] = entry
            else:
                image[:, 32:] = entry
            for _ in range(4):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class Grey:
    """One number: the mean of the right half. Remembers its batches; may refuse some."""

    fingerprint, width = "clip:grey:0:1", 1

    def __init__(self, refuse: Callable[[np.ndarray], bool] = lambda batch: False) -> None:
        self.batches: list[int] = []
        self.refuse = refuse

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return np.full((1, 1, 1), image[:, image.shape[1] // 2 :].mean(), np.float32)

    def encode_prepared(self, prepared: np.ndarray) -> np.ndarray:
        self.batches.append(len(prepared))
        if self.refuse(prepared):
            raise RuntimeError("this picture is too much")
        return prepared[:, :, 0, 0]

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self.encode_prepared(np.stack([self.prepare(image) for image in images]))


class Speech:
    fingerprint, rate = "speech:fake:0:1", 16_000

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self.lines, self.samples = lines, 0

    def transcribe(self, blocks: Iterator[np.ndarray], heard: Callable[[float], None]) -> Transcript:
        for block in blocks:
            self.samples += len(block)
            heard(self.samples / self.rate)
        return Transcript("asr", "en", self.lines)

    def close(self) -> None:
        """It holds nothing."""


class Signs:
    """Reads a bright half as a word."""

    fingerprint = "ocr:fake:0:1"

    def read(self, images: np.ndarray) -> list[tuple[str, ...]]:
        return [("harbour",) if image[:, 32:].mean() > 100 else () for image in images]


def ask(path: Path, *wanted: str, poster: Path | None = None) -> Request:
    return Request(path, frozenset(wanted), poster or path.with_suffix(".jpg"), Progress())


def run_all(requests: list[Request | None], extractors: Extractors, **effort: int) -> dict[str, Outcome]:
    outcomes = list(extract_all(iter(requests), extractors, NOUNS, Effort(**effort)))
    assert len(outcomes) == sum(request is not None for request in requests), "one answer each"
    return {outcome.request.path.name: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("three")
    greys: list[list[object]] = [[60, 80], [100, 120, 140], [160]]
    return [write_video(folder / f"{i}.mp4", greys[i]) for i in range(3)]


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("ahead_bytes", [1, 1 << 20])
def test_a_batch_holds_frames_of_several_videos(three: list[Path], ahead_bytes: int, readers: int) -> None:
    grey = Grey()
    requests = [ask(path, grey.fingerprint) for path in three]
    outcomes = run_all(
        [*requests], Extractors(grey, None, None), batch=4, ahead_bytes=ahead_bytes, readers=readers
    )
    assert sum(grey.batches) == 6
    assert len(grey.batches) == 2 or readers > 1
    for name, greys in (("0.mp4", [60, 80]), ("1.mp4", [100, 120, 140]), ("2.mp4", [160])):
        extraction = outcomes[name].extraction
        assert extraction is not None
        feature = extraction.features[grey.fingerprint]
        np.testing.assert_allclose(feature.values[:, 0], greys, atol=4)
        np.testing.assert_allclose(feature.start_s, range(len(greys)))
        assert feature.values.dtype == np.float16
        assert extraction.seconds["network_clip"] > 0


def test_when_nothing_waits_what_has_begun_is_finished(three: list[Path]) -> None:
    """Else a worker would wait for a fuller batch while its supervisor waits for the result."""
    grey = Grey()
    answered = threading.Event()

    def requests() -> Iterator[Request | None]:
        yield ask(three[0], grey.fingerprint)
        yield None
        assert answered.wait(20), "the first file was not answered although nothing else waits"
        yield ask(three[1], grey.fingerprint)

    for outcome in extract_all(requests(), Extractors(grey, None, None), NOUNS, Effort(batch=64)):
        answered.set()
        assert outcome.extraction is not None


def test_a_network_that_fails_on_one_file_fails_that_file_alone(three: list[Path]) -> None:
    grey = Grey(refuse=lambda batch: bool((np.abs(batch - 120) < 8).any()))
    outcomes = run_all(
        [ask(path, grey.fingerprint) for path in three], Extractors(grey, None, None), batch=64
    )
    assert outcomes["0.mp4"].extraction is not None
    assert outcomes["2.mp4"].extraction is not None
    assert str(outcomes["1.mp4"].error) == "this picture is too much"
    assert outcomes["1.mp4"].stage == "frames"


def test_a_broken_file_between_good_ones(three: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00" * 5000)
    grey = Grey()
    requests = [ask(path, grey.fingerprint) for path in (three[0], broken, three[1])]
    outcomes = run_all([*requests], Extractors(grey, None, None), batch=64)
    assert isinstance(outcomes["broken.mp4"].error, UnreadableMedia)
    assert outcomes["broken.mp4"].stage == "probe"
    assert all(outcomes[path.name].extraction is not None for path in three[:2])


def test_what_the_source_of_requests_raises_ends_the_work(three: list[Path]) -> None:
    def requests() -> Iterator[Request]:
        yield ask(three[0])
        raise EOFError

    with pytest.raises(EOFError):
        list(extract_all(requests(), Extractors(None, None, None), NOUNS))


def test_cancelled_while_it_decodes(three: list[Path]) -> None:
    grey = Grey()
    request = ask(three[1], grey.fingerprint)
    request.progress.cancel()
    with pytest.raises(Interrupted):
        extract(request, Extractors(grey, None, None), NOUNS)


def test_black_and_flat_frames_have_no_row_and_keep_the_times_of_the_others(tmp_path: Path) -> None:
    seconds: list[object] = [BLACK, BLACK, 90, (30, 60, 200), 150, BLACK]
    path = write_video(tmp_path / "leader.mp4", seconds)
    grey = Grey()
    found = extract(ask(path, grey.fingerprint), Extractors(grey, None, None), NOUNS)
    feature = found.features[grey.fingerprint]
    np.testing.assert_array_equal(feature.start_s, [2, 4])
    np.testing.assert_array_equal(feature.end_s, [3, 5])
    np.testing.assert_allclose(feature.values[:, 0], [90, 150], atol=4)


def test_nothing_but_black_is_no_sight_and_no_failure(tmp_path: Path) -> None:
    grey = Grey()
    path = write_video(tmp_path / "black.mp4", [BLACK, BLACK])
    found = extract(ask(path, grey.fingerprint), Extractors(grey, None, None), NOUNS)
    assert found.features[grey.fingerprint].values.shape == (0, 1)
    assert path.with_suffix(".jpg").is_file(), "even a black video has a poster"


def test_words_are_asked_for_by_their_own_fingerprint(three: list[Path]) -> None:
    """Adding a network must not listen again to what was listened to."""
    grey, speech = Grey(), Speech(())
    extractors = Extractors(grey, None, None, speech, Signs())
    silent = extract(ask(three[0], grey.fingerprint), extractors, NOUNS)
    assert (silent.heard, silent.asked, speech.samples) == ((), (), 0)
    asked = extract(ask(three[0], speech_fingerprint(extractors, NOUNS)), extractors, NOUNS)
    assert set(asked.asked) == {"sidecar", "embedded", "asr", "ocr"}
    assert grey.batches == [2]


def test_writing_in_the_picture_becomes_lines(three: list[Path]) -> None:
    extractors = Extractors(None, None, None, None, Signs())
    found = extract(ask(three[1], speech_fingerprint(extractors, NOUNS)), extractors, NOUNS)
    (heard,) = found.heard
    assert heard.transcript.source == "ocr"
    assert [(line.text, line.start_s, line.end_s) for line in heard.transcript.lines] == [("harbour", 1, 3)]
    assert heard.nouns == (("harbour",),)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of picture and sound, without subtitles."""
    path = tmp_path_factory.mktemp("talking") / "talk.mkv"
    with av.open(path, "w") as container:
        picture = container.add_stream("libx264", rate=4)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, 32:] = 100
        for _ in range(8):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 32_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path


class Loud:
    fingerprint, width, rate = "audio:loud:0:1", 1, 16_000

    def __call__(self, waveform: np.ndarray, start_s: float = 0.0) -> Feature:
        starts = start_s + np.arange(0, len(waveform) - 15_600 + 1, 15_360) / self.rate
        return Feature(np.zeros((len(starts), 1), np.float32), starts, starts + 0.96)


def test_speech_and_sound_share_one_decoding(talking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from m2hf_core.ingest import reader

    real, opened = reader.iter_audio, []

    def counted(*arguments: object) -> Iterator[np.ndarray]:
        opened.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(reader, "iter_audio", counted)
    speech = Speech((Line("A dog barks.", 0.5, 1.5),))
    extractors = Extractors(None, Loud(), None, speech)
    wanted = (Loud.fingerprint, speech_fingerprint(extractors, NOUNS))
    found = extract(ask(talking, *wanted), extractors, NOUNS)
    assert len(opened) == 1
    assert speech.samples == 32_000
    assert found.features[Loud.fingerprint].values.shape == (2, 1)
    (heard,) = found.heard
    assert (heard.transcript.source, heard.nouns) == ("asr", (("bark", "dog"),))


def test_subtitles_come_before_speech_recognition(talking: Path) -> None:
    sidecar = talking.with_suffix(".srt")
    sidecar.write_text("1\n00:00:00,000 --> 00:00:01,000\nA cat sleeps.\n", encoding="utf-8")
    speech = Speech((Line("A dog barks.", 0.5, 1.5),))
    extractors = Extractors(None, None, None, speech)
    found = extract(ask(talking, speech_fingerprint(extractors, NOUNS)), extractors, NOUNS)
    sidecar.unlink()
    assert [heard.transcript.source for heard in found.heard] == ["sidecar"]
    assert "asr" in found.asked, "what was recognised before gives way"
    assert speech.samples == 0


def test_music_leaves_no_transcript(talking: Path) -> None:
    extractors = Extractors(None, None, None, Speech(()))
    found = extract(ask(talking, speech_fingerprint(extractors, NOUNS)), extractors, NOUNS)
    assert found.heard == ()
    assert "asr" in found.asked


def test_the_queue_holds_no_more_bytes_than_it_may() -> None:
    queue: Lookahead[int] = Lookahead(100)
    taken: list[int] = []

    def take() -> None:
        while (item := queue.get()[0]) >= 0:
            taken.append(item)

    thread = threading.Thread(target=take)
    thread.start()
    for number in range(200):
        queue.put(number, 40)
    queue.put(-1)
    thread.join()
    assert taken == list(range(200))
    assert queue.most_held <= 100


def test_one_piece_always_fits_and_a_stopped_queue_takes_none() -> None:
    queue: Lookahead[str] = Lookahead(10)
    queue.put("larger than allowed", 1000)

    def put_next() -> None:
        with pytest.raises(Stopped):
            queue.put("next", 1)

    waiting = threading.Thread(target=put_next)
    waiting.start()
    queue.stop()
    waiting.join(5)
    assert not waiting.is_alive()
    with pytest.raises(Stopped):
        queue.put("one more", 0)


def test_cancelled_while_the_networks_look(three: list[Path]) -> None:
    """That is nobody's failure: it ends the work instead of being put down to the file."""
    request: Request

    def cancel(batch: np.ndarray) -> bool:
        request.progress.cancel()
        return False

    grey = Grey(refuse=cancel)
    request = ask(three[1], grey.fingerprint)
    with pytest.raises(Interrupted):
        list(extract_all(iter([request]), Extractors(grey, None, None), NOUNS))
