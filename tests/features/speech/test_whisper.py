"""Whisper in the published folder layout: random weights say nothing, and a network that always talks is
listened to only where somebody speaks."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from m2hf_core.errors import BadModelFile
from m2hf_core.features import whisper as module
from m2hf_core.features.whisper import RATE, STRETCH, Listener, Whisper, find_voices
from m2hf_core.media import read_audio
from m2hf_core.records import Line

Samples = npt.NDArray[np.float32]
TALK = ("the quick brown fox jumps", "over a lazy dog")


@pytest.fixture(scope="module")
def talker(whisper_folder: Callable[..., Path]) -> Whisper:
    """A network that is certain to hear the same two sentences in anything."""
    return Whisper(whisper_folder(*TALK, language="de"), "cpu", 1)


@pytest.fixture(scope="module")
def babbler(whisper_folder: Callable[..., Path]) -> Whisper:
    return Whisper(whisper_folder(), "cpu", 1)


@pytest.fixture(scope="module")
def speech(shared: Path) -> Samples:
    """Eight seconds of a man reading, without a pause."""
    return read_audio(shared / "audio/RD_Radio31_000.wav", RATE)


def listen(whisper: Whisper, samples: Samples, block: int = 30 * RATE) -> tuple[list[Line], str | None]:
    listener = Listener(whisper)
    lines = [line for at in range(0, len(samples), block) for line in listener.hear(samples[at : at + block])]
    last, language = listener.finish()
    return lines + last, language


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def test_words_have_times_inside_the_speech(talker: Whisper, speech: Samples) -> None:
    samples = np.concatenate([silence(20), speech, silence(4)])
    lines, language = listen(talker, samples)
    assert [line.text for line in lines] == list(TALK)
    assert language == "de"
    words = [word for line in lines for word in line.words]
    assert [word.text for word in words] == " ".join(TALK).split()
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 19.5 <= times[0] < times[-1] <= 28.5, "the silence before the speech counts"
    for line in lines:
        assert (line.start_s, line.end_s) == (line.words[0].start_s, line.words[-1].end_s)


def test_pauses_between_voices_are_put_back(talker: Whisper, speech: Samples) -> None:
    """The network hears the voices joined; the times must be those of the sound track."""
    samples = np.concatenate([speech[: 3 * RATE], silence(12), speech[3 * RATE :]])
    lines, _ = listen(talker, samples)
    words = [word for line in lines for word in line.words]
    assert all(word.end_s <= 3.5 or word.start_s >= 14.5 for word in words)
    assert any(word.start_s >= 14.5 for word in words)


@pytest.mark.parametrize(
    "name",
    [
        "audio/Jahzzar_-_05_-_Siesta.mp3",  # instrumental music, 140 s
        "audio/crunching.mp3",
        "audio/dog_audio.wav",
        "audio/rain.mp3",  # murmurs for a second as if somebody spoke
        "media/clips/applausing.mp4",
        "media/clips/fire2.mp4",
        "media/clips/big_buck_bunny_0_30.webm",  # music and effects
    ],
)
def test_music_and_noise_give_no_words(name: str, talker: Whisper, shared: Path) -> None:
    assert listen(talker, read_audio(shared / name, RATE)) == ([], None)


def test_silence_hiss_hum_and_thumps_give_no_words(talker: Whisper) -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, 20 * RATE)
    brown = np.cumsum(noise) / np.abs(np.cumsum(noise)).max()
    hum = np.sin(np.arange(20 * RATE) * 2 * np.pi * 50 / RATE)
    thumps = noise * (np.arange(20 * RATE) % RATE < 200)
    for sound in (0 * noise, 0.2 * noise, 0.002 * noise, 0.5 * brown, 0.5 * hum, 0.5 * thumps):
        assert listen(talker, sound.astype(np.float32)) == ([], None)


def test_random_weights_say_nothing_even_where_somebody_speaks(
    babbler: Whisper, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What such a network writes is improbable to itself, and the gates behind it close."""
    assert find_voices(speech)
    monkeypatch.setattr(module, "TEMPERATURES", (0.0,))
    assert listen(babbler, speech) == ([], None)


def test_a_network_that_is_sure_of_nobody_says_nothing(
    whisper_folder: Callable[..., Path], speech: Samples
) -> None:
    assert listen(Whisper(whisper_folder(*TALK, silent=True), "cpu", 1), speech) == ([], None)


class FakeWhisper:
    """Writes one line per stretch with the number of samples it was given; keeps no sound."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.languages: list[str | None] = []

    def transcribe(self, samples: Samples, language: str | None) -> tuple[list[Any], str, float]:
        self.lengths.append(len(samples))
        self.languages.append(language)
        words = [
            SimpleNamespace(word=f" w{at}", start=at / RATE, end=min(at + RATE // 4, len(samples)) / RATE)
            for at in range(0, len(samples), RATE // 4)
        ]
        segment = SimpleNamespace(
            text=f" said {len(self.lengths)}",
            start=0.0,
            end=len(samples) / RATE,
            words=words,
            avg_logprob=-0.1,
            no_speech_prob=0.0,
        )
        return [segment], "fr", 0.95


def marked(samples: Samples) -> list[dict[str, int]]:
    """A detector for tests: whatever is not zero is a voice, cut after 28 s as the real one does."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], (samples != 0).astype(np.int8), [0]])))
    spans = zip(borders[::2].tolist(), borders[1::2].tolist(), strict=True)
    return [
        {"start": at, "end": min(at + 28 * RATE, end)}
        for begin, end in spans
        for at in range(begin, end, 28 * RATE)
    ]


@pytest.mark.parametrize("block", [7 * RATE // 3, 30 * RATE, 200 * RATE])
def test_hours_are_heard_whole_in_bounded_memory(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every voiced sample reaches the network once, wherever the borders of blocks and stretches fall."""
    monkeypatch.setattr(module, "find_voices", marked)
    monkeypatch.setattr(module, "sure_of", lambda samples, voices: voices)
    generator = np.random.default_rng(3)
    samples = silence(1200)
    at = 0
    while at < len(samples):
        length = int(generator.integers(RATE // 2, 50 * RATE))
        samples[at : at + length] = 0.5
        at += length + int(generator.integers(RATE // 4, 20 * RATE))
    fake = FakeWhisper()
    listener = Listener(fake)  # type: ignore[arg-type]
    lines: list[Line] = []
    for begin in range(0, len(samples), block):
        lines += listener.hear(samples[begin : begin + block])
        assert sum(map(len, listener._held)) < STRETCH
    lines += listener.finish()[0]
    assert sum(fake.lengths) == np.count_nonzero(samples)
    assert max(fake.lengths) <= STRETCH
    starts = [line.start_s for line in lines]
    assert starts == sorted(starts)
    for line in lines:
        begins = round(line.start_s * RATE)  # to 10 ms, which is what the library keeps
        assert samples[max(0, begins - RATE // 100) : begins + RATE // 100].any(), "a line begins in a pause"
    assert all(after.start_s >= before.end_s - 0.011 for before, after in itertools.pairwise(lines))
    assert fake.languages[-1] == "fr", "once it is sure, it stays with the language"


def test_a_full_card_gives_way_to_the_processor(
    whisper_folder: Callable[..., Path], speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper = Whisper(whisper_folder(*TALK), "cpu", 1)
    full = SimpleNamespace(model=SimpleNamespace(device="cuda", unload_model=lambda: None))

    def refuse(*_: Any, **__: Any) -> Iterator[None]:
        raise RuntimeError("CUDA failed with error out of memory")

    full.transcribe = refuse
    whisper._model = full
    lines, _ = listen(whisper, speech)
    assert [line.text for line in lines] == list(TALK)
    (notice,) = whisper.notices
    assert "out of memory" in notice
    assert not whisper.on_card


def test_a_card_that_is_not_there_is_announced(whisper_folder: Callable[..., Path], speech: Samples) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has such a card")
    whisper = Whisper(whisper_folder(*TALK), "cuda:0", 1)
    assert "on the processor" in whisper.notices[0]
    assert listen(whisper, speech)[0]


@pytest.mark.parametrize("spoil", ["tokenizer.json", "model.bin", "config.json", "vocabulary.txt"])
def test_a_folder_without_a_file_is_refused_and_nothing_is_fetched(
    spoil: str, whisper_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "faster-whisper-small"
    shutil.copytree(whisper_folder(), folder)
    (folder / spoil).unlink()
    with pytest.raises(BadModelFile, match="faster-whisper-small does not hold a speech network"):
        Whisper(folder, "cpu", 1)


def test_a_cut_off_file_is_refused(whisper_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "faster-whisper-small"
    shutil.copytree(whisper_folder(), folder)
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:100_000])
    with pytest.raises(BadModelFile):
        Whisper(folder, "cpu", 1)
