"""From a preset to its extractors; what has no weights here sleeps and says how to wake it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from m2hf_core.errors import ModelsMissing
from m2hf_core.features.contracts import (
    AudioExtractor,
    ImageExtractor,
    MotionExtractor,
    SpeechExtractor,
    TextReader,
)
from m2hf_core.hub.files import require
from m2hf_core.hub.manifest import Preset
from m2hf_core.records import Branch

Extractor = TypeVar("Extractor")


@dataclass(frozen=True, slots=True)
class Extractors:
    """What a worker runs over each video. None where the branch sleeps; then `asleep` has the reason."""

    clip: ImageExtractor | None
    audio: AudioExtractor | None
    motion: MotionExtractor | None
    speech: SpeechExtractor | None = None
    """For videos without subtitles. Subtitles are read in any case, so while it sleeps the branch is not empty."""
    text: TextReader | None = None
    """Reads what is written in the picture; only when it was asked for."""
    asleep: dict[str, str] = field(default_factory=dict)
    """Branch -> a sentence with the command that wakes it."""
    notices: list[str] = field(default_factory=list)
    """Sentences for the person, such as that a card was full; more may come while extractors work."""


def load_extractors(preset: Preset, device: str = "cpu", *, ocr: bool = False) -> Extractors:
    """Load what is on this machine onto `device` ("cpu", "cuda:0", ...); `ocr` asks for the reader of pictures too.

    A missing file puts its branch to sleep; a wrong or truncated one raises `BadModelFile`, since a person
    who brought a file wants to know that it is not used.
    """
    asleep: dict[str, str] = {}
    notices: list[str] = []
    return Extractors(
        clip=_load_or_sleep(_open_clip, preset, device, Branch.VISUAL, asleep, notices),
        audio=_load_or_sleep(_open_audio, preset, device, Branch.AUDIO, asleep, notices),
        motion=_load_or_sleep(_open_motion, preset, device, Branch.MOTION, asleep, notices),
        speech=_speech_or_sleep(preset, device, asleep, notices),
        text=_reader_or_notice(notices) if ocr else None,
        asleep=asleep,
        notices=notices,
    )


def _speech_or_sleep(
    preset: Preset, device: str, asleep: dict[str, str], notices: list[str]
) -> SpeechExtractor | None:
    """Subtitles are read in any case, so what sleeps here is only listening, and the reason says so."""
    from m2hf_core.features.speech import open_speech

    try:
        speech = open_speech(preset, device, notices.append)
    except ModelsMissing as error:
        asleep[Branch.SPEECH] = f"Only subtitles are read, nothing is listened to. {error}"
        return None
    if speech is None:
        asleep[Branch.SPEECH] = (
            f"Only subtitles are read: the preset {preset.id!r} has no network for speech."
        )
    return speech


def _reader_or_notice(notices: list[str]) -> TextReader | None:
    from m2hf_core.features.ocr import open_reader

    try:
        return open_reader()
    except ModelsMissing as error:
        notices.append(f"Text in the picture is not read. {error}")
        return None


def _load_or_sleep(
    load: Callable[[Preset, str, Callable[[str], None]], Extractor | None],
    preset: Preset,
    device: str,
    branch: Branch,
    asleep: dict[str, str],
    notices: list[str],
) -> Extractor | None:
    try:
        extractor = load(preset, device, notices.append)
    except ModelsMissing as error:
        asleep[branch] = str(error)
        return None
    if extractor is None:
        asleep[branch] = f"The preset {preset.id!r} has no network for {branch}."
    return extractor


def _open_clip(preset: Preset, device: str, announce: Callable[[str], None]) -> ImageExtractor:
    from m2hf_core.features.clip import open_image_tower

    return open_image_tower(preset, device, announce)


def _open_audio(preset: Preset, device: str, announce: Callable[[str], None]) -> AudioExtractor | None:
    from m2hf_core.features.tiny import TinyAudioExtractor
    from m2hf_core.features.vggish import VGGishExtractor

    if preset.audio is None:
        return None
    known: dict[str, Callable[..., AudioExtractor]] = {
        "vggish": VGGishExtractor,
        "demo-audio": TinyAudioExtractor,
    }
    return known[preset.audio](require(preset.audio, preset), device, announce=announce)


def _open_motion(preset: Preset, device: str, announce: Callable[[str], None]) -> MotionExtractor | None:
    from m2hf_core.features.s3d import S3DExtractor
    from m2hf_core.features.tiny import TinyMotionExtractor

    if preset.motion is None:
        return None
    known: dict[str, Callable[..., MotionExtractor]] = {
        "s3d-kinetics400": S3DExtractor,
        "demo-motion": TinyMotionExtractor,
    }
    return known[preset.motion](require(preset.motion, preset), device, announce=announce)
