"""The captions that are shipped: part of the caption bank, and what scores are calibrated with."""

from __future__ import annotations

from m2hf_core.config.paths import resources_dir


def everyday_captions() -> list[str]:
    """In the file's order, which the calibration's choice depends on."""
    file = resources_dir() / "captions" / "everyday.txt"
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line]
