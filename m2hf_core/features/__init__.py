"""Extractors: arrays in, arrays out; which network sees, hears or follows movement is the preset's choice."""

from m2hf_core.features.contracts import AudioExtractor, ImageExtractor, MotionExtractor
from m2hf_core.features.loading import Extractors, load_extractors

__all__ = ["AudioExtractor", "Extractors", "ImageExtractor", "MotionExtractor", "load_extractors"]
