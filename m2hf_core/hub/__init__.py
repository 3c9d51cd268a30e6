"""Weights: what exists, what is here, whether it is genuine, and the program's only network code."""

from m2hf_core.hub.files import locate, missing
from m2hf_core.hub.manifest import Manifest, Preset, WeightFile, get_preset, load_manifest

__all__ = ["Manifest", "Preset", "WeightFile", "get_preset", "load_manifest", "locate", "missing"]
