"""The speech process: whole way from blocks to a transcript, and its ends, wanted and unwanted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from m2hf_core.errors import BadModelFile, Interrupted, KnownError, ModelsMissing
from m2hf_core.features import speech as module
from m2hf_core.features.speech import RATE, WhisperExtractor, open_speech
from m2hf_core.hub import files
from m2hf_core.hub.files import sha256_of
from m2hf_core.hub.manifest import Manifest, get_preset, load_manifest
from m2hf_core.media import iter_audio

TALK = ("the quick brown fox jumps", "over a lazy dog")


def listeners() -> list[psutil.Process]:
    """Speech processes of ours; other tests in this process may have children of their own."""
    return [
        child
        for child in psutil.Process().children()
        if any("speech_process" in word for word in child.cmdline())
    ]


@pytest.fixture
def extractor(whisper_folder: Callable[..., Path]) -> Iterator[WhisperExtractor]:
    notices: list[str] = []
    made = WhisperExtractor(
        whisper_folder(*TALK, language="de"), "speech:test:00:1", threads=1, announce=notices.append
    )
    yield made
    made.close()
    assert notices == []


def ignore(_: float) -> None:
    pass


def test_a_video_is_heard_interrupted_lost_and_heard_again(extractor: WhisperExtractor, shared: Path) -> None:
    """One process for all of it where it can be, a new one where it must be: starting one takes seconds."""
    clip = shared / "media/clips/test.avi"
    seconds: list[float] = []
    transcript = extractor.transcribe(iter_audio(clip, RATE, 2.0), seconds.append)
    assert (transcript.source, transcript.language) == ("asr", "de")
    assert [line.text for line in transcript.lines] == list(TALK)
    assert all(line.words for line in transcript.lines)
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(6.6, abs=0.1)

    assert extractor.prove() == "cpu", "between two videos"
    music = [np.zeros(RATE, np.float32)] * 3
    assert extractor.transcribe(music, ignore).lines == (), "nothing of the last video is left"

    def stop(_: float) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        extractor.transcribe(music, stop)
    assert listeners() == [], "what was interrupted is not listened to any further"

    def killed() -> Iterator[npt.NDArray[np.float32]]:
        yield music[0]
        (child,) = listeners()
        os.kill(child.pid, signal.SIGKILL)
        yield music[0]

    with pytest.raises(KnownError, match=r"ended unexpectedly \(signal 9\)") as told:
        extractor.transcribe(killed(), ignore)
    assert told.value.hint.startswith("Try again with: m2hf-app failures --retry"), (
        "it is set aside until then"
    )
    assert extractor.transcribe(music, ignore).lines == ()


class OneAtATime:
    """A speech process that writes back the number it heard last, and answers nobody who interrupts."""

    def __init__(self, reached: threading.Event, go_on: threading.Event) -> None:
        self.heard: list[float] = []
        self._reached, self._go_on = reached, go_on

    def ask(self, order: dict[str, Any], block: npt.NDArray[np.float32] | None = None) -> dict[str, Any]:
        lines: list[dict[str, Any]] = []
        if order["do"] == "begin":
            self.heard = []
        if block is not None:
            self.heard.append(float(block[0]))
            self._reached.set()
            self._go_on.wait(10)
        if order["do"] == "finish":
            lines = [{"text": str(mark), "start_s": 0.0, "end_s": 1.0, "words": []} for mark in self.heard]
        return {"notices": [], "lines": lines, "language": "en"}

    def end(self) -> None:
        self.heard = [-1.0]


def test_videos_that_come_together_are_heard_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a graphics card several readers share the extractor; each gets the words of its own video."""
    reached, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(module, "_SpeechProcess", lambda: OneAtATime(reached, go_on))
    extractor = WhisperExtractor(Path(), "speech:test:00:1", threads=1, announce=str)
    said: dict[int, list[str]] = {}

    def listen(mark: int) -> None:
        blocks = [np.full(RATE, mark, np.float32)] * 2
        said[mark] = [line.text for line in extractor.transcribe(blocks, ignore).lines]

    readers = [threading.Thread(target=listen, args=(mark,)) for mark in (1, 2)]
    readers.append(threading.Thread(target=extractor.close))
    readers[0].start()
    assert reached.wait(10), "the first video is amid its first block"
    for late in readers[1:]:
        late.start()
        late.join(0.2)
    go_on.set()
    for reader in readers:
        reader.join(10)
    assert said == {1: ["1.0", "1.0"], 2: ["2.0", "2.0"]}


def test_a_bad_folder_is_told_in_words(tmp_path: Path) -> None:
    extractor = WhisperExtractor(tmp_path, "speech:test:00:1", threads=1, announce=ignore)  # type: ignore[arg-type]
    with pytest.raises(KnownError, match="does not hold a speech network"):
        extractor.start()
    assert listeners() == []


@pytest.fixture
def prepared(
    whisper_folder: Callable[..., Path], own_models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Manifest:
    """The preset `paper-b16` with a folder of ours in the place, and under the digests, of the published one."""
    shipped = load_manifest()
    preset = get_preset("paper-b16")
    target = own_models_folder / "faster-whisper-small"
    own_models_folder.mkdir()
    target.symlink_to(whisper_folder(*TALK))
    weights = dict(shipped.weights)
    for name in preset.speech:
        weight = weights[name]
        if weight.package is None:
            path = own_models_folder / weight.file
            weights[name] = replace(weight, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    manifest = replace(shipped, weights=weights)
    monkeypatch.setattr(module, "load_manifest", lambda: manifest)
    monkeypatch.setattr(files, "load_manifest", lambda: manifest)
    return manifest


def test_a_prepared_preset_opens_and_names_its_weights(prepared: Manifest) -> None:
    notices: list[str] = []
    speech = open_speech(get_preset("paper-b16"), "mps", notices.append)
    assert speech is not None
    digest = prepared.weights["whisper-small-model"].sha256
    assert digest is not None
    assert speech.fingerprint == f"speech:faster-whisper-small:{digest[:8]}:2"
    assert "Metal" in notices[0]
    assert listeners() == [], "the process starts with the first video that needs it"


def test_files_are_compared_before_the_runtime_sees_them(
    prepared: Manifest, own_models_folder: Path, tmp_path: Path
) -> None:
    """faster-whisper would ask the network for a tokenizer, and read anything as one."""
    folder = own_models_folder / "faster-whisper-small"
    copy = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.unlink()
    folder.mkdir()
    for name, content in copy.items():
        (folder / name).write_bytes(content)
    (folder / "tokenizer.json").write_bytes(copy["tokenizer.json"] + b" ")
    with pytest.raises(BadModelFile, match=r"tokenizer\.json is not the published file"):
        open_speech(get_preset("paper-b16"), "cpu", ignore)  # type: ignore[arg-type]
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelsMissing, match=r"tokenizer\.json.*models prepare paper-b16"):
        open_speech(get_preset("paper-b16"), "cpu", ignore)  # type: ignore[arg-type]
