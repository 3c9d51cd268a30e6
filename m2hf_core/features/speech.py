"""Speech from the sound track, by Whisper in a process of its own: its runtime may crash and take nobody along.

The process also keeps the CUDA 12 that CTranslate2 is linked against away from torch's CUDA 13, and gives its
memory back when it is closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from m2hf_core.errors import KnownError, ModelsMissing
from m2hf_core.features.contracts import Float32
from m2hf_core.hub.files import digest_of, extractor_fingerprint, require_genuine
from m2hf_core.hub.manifest import Preset, load_manifest
from m2hf_core.records import Line, Transcript, Word

VERSION = 2
"""Raised when the same weights would give other words: other gates, another detector of voices."""
RATE = 16_000
NETWORK = "model.bin"
LEAVE_S = 5.0
LAST_WORDS = 2_000
"""Bytes of what a dead process wrote, for whoever has to find out why."""


class WhisperExtractor:
    """A `SpeechExtractor` over a folder in CTranslate2's layout; the process starts when it is first needed."""

    rate = RATE

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        device: str = "cpu",
        *,
        threads: int,
        announce: Callable[[str], None],
    ) -> None:
        """`announce` is told sentences for the person, such as that the graphics card cannot be used for speech."""
        self.fingerprint = fingerprint
        self._opening = {"do": "open", "folder": str(folder), "device": device, "threads": threads}
        self._announce = announce
        self._process: _SpeechProcess | None = None
        # Several readers share this one, and the process hears one video at a time: whoever comes meanwhile waits.
        self._alone = threading.Lock()

    def transcribe(self, blocks: Iterable[Float32], heard: Callable[[float], None]) -> Transcript:
        """As promised by `SpeechExtractor`. Raises `KnownError`: the folder holds no network, or the process died."""
        with self._alone:
            process = self._running()
            lines: list[Line] = []
            samples = 0
            try:
                process.ask({"do": "begin"})
                for block in blocks:
                    lines += self._lines(process.ask({"do": "hear"}, block))
                    samples += len(block)
                    heard(samples / RATE)
                answer = process.ask({"do": "finish"})
                lines += self._lines(answer)
            except BaseException:
                # Whatever happened, an answer may still be on its way: the next video gets a process that is
                # not amid one.
                self._end()
                raise
            return Transcript("asr", answer["language"], tuple(lines))

    def start(self) -> None:
        """Start the process now and try the device, so that what is to be announced is announced before work begins."""
        with self._alone:
            self._running()

    def prove(self) -> str:
        """Run the network once; the device that could: "cpu" or "cuda". Raises `KnownError` as `transcribe` does."""
        with self._alone:
            try:
                answer = self._running().ask({"do": "prove"})
                self._lines(answer)
            except BaseException:
                self._end()
                raise
            return str(answer["device"])

    def close(self) -> None:
        """End the process and free its memory, once nobody uses it."""
        with self._alone:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def _running(self) -> _SpeechProcess:
        if self._process is None:
            process = _SpeechProcess()
            try:
                self._lines(process.ask(self._opening))
            except BaseException:
                process.end()
                raise
            self._process = process
        return self._process

    def _lines(self, answer: dict[str, Any]) -> list[Line]:
        for notice in answer["notices"]:
            self._announce(notice)
        return [
            Line(line["text"], line["start_s"], line["end_s"], tuple(Word(**word) for word in line["words"]))
            for line in answer.get("lines", ())
        ]


class _SpeechProcess:
    """This side of `speech_process.py`."""

    def __init__(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )

    def ask(self, order: dict[str, Any], block: Float32 | None = None) -> dict[str, Any]:
        """Send an order and wait for its answer. Raises what the process raised, or that it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if block is not None:
                order = {**order, "samples": len(block)}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            if block is not None:
                self._process.stdin.write(np.ascontiguousarray(block, np.float32).data)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if not answer.endswith(b"\n"):
            raise self._died()
        document: dict[str, Any] = json.loads(answer)
        if "known" in document:
            raise KnownError(*document["known"])
        return document

    def end(self) -> None:
        """Close its input, upon which it leaves; kill it if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone already
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _died(self) -> KnownError:
        code = self._process.wait()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - LAST_WORDS))
        last_words = self._errors.read().decode(errors="replace")
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return KnownError(
            f"Speech recognition ended unexpectedly ({how}).",
            "Try again with: m2hf-app failures --retry. If it happens each time, there is too little memory or a "
            "broken installation.",
            last_words,
        )


def _command() -> list[str]:
    if getattr(sys, "frozen", False):
        return [sys.executable, "--speech-process"]  # served by the frozen program's entry, which has no `-m`
    return [sys.executable, "-P", "-m", "m2hf_core.features.speech_process"]


def open_speech(preset: Preset, device: str, announce: Callable[[str], None]) -> WhisperExtractor | None:
    """The speech network of a preset; None where it has none. Raises `ModelsMissing` or `BadModelFile`.

    Every file is compared with its digest first. The runtime would otherwise fetch what it misses.
    """
    if not preset.speech:
        return None
    import torch

    weights = load_manifest().weights
    paths = [require_genuine(name, preset) for name in preset.speech]
    network = next(path for path in paths if path.name == NETWORK)
    folders = {
        path.parent for name, path in zip(preset.speech, paths, strict=True) if not weights[name].package
    }
    if len(folders) > 1:
        raise ModelsMissing(
            "The files of the speech network lie in several folders.",
            "Bring them together with `m2hf-app models import FOLDER`.",
            ", ".join(map(str, folders)),
        )
    name = Path(weights[preset.speech[0]].file).parent.name
    fingerprint = extractor_fingerprint("speech", name, digest_of(network), VERSION)
    extractor = WhisperExtractor(
        network.parent, fingerprint, device, threads=torch.get_num_threads(), announce=announce
    )
    if device.startswith("cuda"):
        extractor.start()
    elif device != "cpu":
        announce("Speech is recognised on the processor: its runtime knows no Metal.")
    return extractor
