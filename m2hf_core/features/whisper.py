"""Listens to a sound track with faster-whisper, in stretches, so that hours need no more memory than minutes.

Runs in the speech process (`speech_process.py`) and nowhere else: the runtime is known to crash, and its CUDA is
not torch's.
"""

from __future__ import annotations

import ctypes
import site
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from m2hf_core.errors import BadModelFile
from m2hf_core.features.whisper_gates import COMPRESSION, LOG_PROB, NO_SPEECH, Gate, Heard
from m2hf_core.records import Line, Word

Samples = npt.NDArray[np.float32]
Span = dict[str, int]
"""`start` and `end` of a voice in samples, as faster-whisper has it."""

RATE = 16_000
STRETCH = 60 * RATE
"""Samples worked off at once: enough that a sentence seldom meets a border, 4 MB."""
TAIL = RATE // 2
"""Held back at a border without a voice: the detector may not have noticed the beginning of one yet."""
VOICE = {
    "threshold": 0.5,
    "min_speech_duration_ms": 250,  # a door, a cough
    "min_silence_duration_ms": 500,
    "max_speech_duration_s": 28.0,  # Whisper looks at 30 s; longer speech is cut at its longest pause
    "speech_pad_ms": 200,
}
SURE = 0.75
"""Of a voice, somewhere in it: speech that one understands reaches 0.97, rain that murmurs 0.62."""
DETECTED = 512
"""Samples per answer of the detector."""
TEMPERATURES = (0.0, 0.4, 0.8)
"""A line that fails the gates is tried again with more freedom; more than twice costs more than it finds."""
SURE_OF_LANGUAGE = 0.8
ENOUGH_SPEECH_S = 5.0
WAVES = 3_000
"""Spectrogram frames of Whisper's 30 s window."""


class Whisper:
    """One loaded network on one device. `notices` says where it runs, when that is not where it was asked to."""

    def __init__(self, folder: Path, device: str, threads: int) -> None:
        """`device` is "cpu", "cuda" or "cuda:N". Raises `BadModelFile` when the folder is no Whisper of CTranslate2."""
        # Without its tokenizer faster-whisper asks the network, whatever it is told; without the description words
        # have no times, which would be noticed only amid a video.
        for name in ("tokenizer.json", "config.json"):
            if not (folder / name).is_file():
                raise _no_whisper(folder, f"{name} is missing")
        self._folder, self._threads = folder, threads
        self.notices: list[str] = []
        model = self._open_on_card(device) if device.startswith("cuda") else None
        self._model = model or self._open("cpu", 0, "int8")

    def transcribe(self, samples: Samples, language: str | None) -> tuple[list[Any], str, float]:
        """(faster-whisper's segments, language, how sure it is of that). A card that is full gives way to the CPU."""
        try:
            return self._transcribe(samples, language)
        except RuntimeError as error:
            if not self.on_card:
                raise
            self._give_up_card(str(error))
            return self._transcribe(samples, language)

    def prove(self) -> str:
        """Run the encoder once over silence; the device that could: "cpu" or "cuda". Raises what the runtime raises."""
        _encode_silence(self._model)
        return str(self._model.model.device)

    @property
    def on_card(self) -> bool:
        return bool(self._model.model.device == "cuda")

    def _transcribe(self, samples: Samples, language: str | None) -> tuple[list[Any], str, float]:
        segments, info = self._model.transcribe(
            samples,
            language=language,
            temperature=TEMPERATURES,
            compression_ratio_threshold=COMPRESSION,
            log_prob_threshold=LOG_PROB,
            no_speech_threshold=NO_SPEECH,
            # A sentence that is carried over as a hint is what makes Whisper repeat it for minutes.
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        return list(segments), info.language, float(info.language_probability)

    def _open(self, device: str, index: int, compute_type: str) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(self._folder),
                device=device,
                device_index=index,
                compute_type=compute_type,
                cpu_threads=self._threads,
                local_files_only=True,
            )
        except Exception as error:
            if device == "cuda":
                raise
            raise _no_whisper(self._folder, str(error)) from error

    def _open_on_card(self, device: str) -> Any | None:
        """The network on a card that has proved with a real pass that it can; None, and a notice, where it cannot."""
        _load_cublas()
        try:
            import ctranslate2

            index = int(device.partition(":")[2] or 0)
            offered = ctranslate2.get_supported_compute_types("cuda", index)
            model = self._open("cuda", index, "float16" if "float16" in offered else "int8")
            _encode_silence(model)
        except (RuntimeError, ValueError, OSError) as error:
            self._announce(str(error))
            return None
        return model

    def _give_up_card(self, reason: str) -> None:
        self._announce(reason)
        self._model.model.unload_model()  # its memory is wanted by others on the card
        self._model = self._open("cpu", 0, "int8")

    def _announce(self, reason: str) -> None:
        self.notices.append(
            f"Speech is recognised on the processor, which is slower: the graphics card cannot be used for it "
            f"({reason.strip().rstrip('.')}). `m2hf-app doctor` says what it lacks."
        )


class Listener:
    """Listens to one video with a `Whisper`: blocks in, lines out as soon as they are certain."""

    def __init__(self, whisper: Whisper) -> None:
        self._whisper, self._gate = whisper, Gate()
        self._held: list[Samples] = []
        self._count = self._begin = 0
        self._language: str | None = None
        self._spoken_in: Counter[str] = Counter()

    def hear(self, block: Samples) -> list[Line]:
        """float32 [n], following what was heard before -> the lines that ended in it."""
        self._held.append(block)
        self._count += len(block)
        lines: list[Line] = []
        while self._count >= STRETCH:
            lines += self._work_off(last=False)
        return lines

    def finish(self) -> tuple[list[Line], str | None]:
        """The last lines, and the language that most was said in; None where nothing was said."""
        lines = self._work_off(last=True) if self._count else []
        language = self._spoken_in.most_common(1)
        return lines, language[0][0] if language else None

    def _work_off(self, *, last: bool) -> list[Line]:
        held = np.concatenate(self._held)
        stretch = held[:STRETCH]
        voices = find_voices(stretch)
        cut = len(stretch)
        if not last:
            voices, cut = _whole_voices(voices, cut)
        voices = sure_of(stretch, voices)  # only now: of one that goes on, the surest part may be yet to come
        lines = self._recognise(stretch, voices) if voices else []
        self._held = [held[cut:].copy()]  # a view would keep what was worked off
        self._count -= cut
        self._begin += cut
        return lines

    def _recognise(self, stretch: Samples, voices: list[Span]) -> list[Line]:
        from faster_whisper.transcribe import restore_speech_timestamps

        joined = np.concatenate([stretch[voice["start"] : voice["end"]] for voice in voices])
        segments, language, certainty = self._whisper.transcribe(joined, self._language)
        said = list(self._admitted(restore_speech_timestamps(segments, voices, RATE)))
        if said:
            seconds = len(joined) / RATE
            self._spoken_in[language] += round(seconds * certainty * 1000)
            if certainty >= SURE_OF_LANGUAGE and seconds >= ENOUGH_SPEECH_S:
                self._language = language
        return said

    def _admitted(self, segments: Iterable[Any]) -> Iterator[Line]:
        begin_s = self._begin / RATE
        for segment in segments:
            line = _line(segment, begin_s)
            if self._gate.admits(Heard(line, segment.avg_logprob, segment.no_speech_prob)):
                yield line


def find_voices(samples: Samples) -> list[Span]:
    """Where somebody speaks, by the detector that comes with faster-whisper (Silero); empty for music and noise."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    spans: list[Span] = get_speech_timestamps(samples, VadOptions(**VOICE))
    return spans


def sure_of(samples: Samples, voices: list[Span]) -> list[Span]:
    """Those of the voices in which the detector is `SURE` somewhere; the others are sounds that resemble one."""
    from faster_whisper.vad import get_vad_model

    if not voices:
        return []
    padded = np.pad(samples, (0, -len(samples) % DETECTED))
    certainty = np.asarray(get_vad_model()(padded)).reshape(-1)
    return [
        voice
        for voice in voices
        if certainty[voice["start"] // DETECTED : -(-voice["end"] // DETECTED)].max() >= SURE
    ]


def _whole_voices(voices: list[Span], length: int) -> tuple[list[Span], int]:
    """What of a stretch can be worked off, and where the next one begins: a voice that may go on waits for it."""
    if not voices or voices[-1]["end"] < length - TAIL:
        return voices, length - TAIL
    begins = voices[-1]["start"]
    return (voices[:-1], begins) if begins > 0 else (voices, length)


def _line(segment: Any, begin_s: float) -> Line:
    words = tuple(
        Word(word.word.strip(), _time(begin_s + word.start), _time(begin_s + max(word.start, word.end)))
        for word in segment.words or ()
        if word.word.strip()
    )
    return Line(segment.text.strip(), _time(begin_s + segment.start), _time(begin_s + segment.end), words)


def _time(seconds: float) -> float:
    return round(float(seconds), 3)


def _encode_silence(model: Any) -> None:
    model.encode(np.zeros((model.feature_extractor.mel_filters.shape[0], WAVES), np.float32))


def _load_cublas() -> None:
    """Load the CUDA 12 library that the extra `cuda-speech` brings; torch's own is of CUDA 13, with another name.

    Nothing to load is no error: the machine may have CUDA 12 of its own, and a real pass is tried in any case.
    """
    for folder in (*site.getsitepackages(), site.getusersitepackages()):
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            library = Path(folder) / "nvidia" / "cublas" / "lib" / name
            if library.is_file():
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def _no_whisper(folder: Path, detail: str) -> BadModelFile:
    return BadModelFile(
        f"The folder {folder.name} does not hold a speech network.",
        "Check it with `m2hf-app models verify`, then prepare or bring it again.",
        detail,
    )
