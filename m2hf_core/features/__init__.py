"""Extractors: arrays in, arrays out; which network sees, hears or follows movement is the preset's choice."""

from m2hf_core.features.contracts import (
    AudioExtractor,
    ImageExtractor,
    MotionExtractor,
    SpeechExtractor,
    TextReader,
)
from m2hf_core.features.loading import Extractors, load_extractors
from m2hf_core.features.onscreen import lines_on_screen

__all__ = [
    "AudioExtractor",
    "Extractors",
    "ImageExtractor",
    "MotionExtractor",
    "SpeechExtractor",
    "TextReader",
    "lines_on_screen",
    "load_extractors",
]
