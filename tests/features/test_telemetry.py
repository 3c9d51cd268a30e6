"""Nothing is counted: a library that would keep a number of this machine and what it is used for is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

USE = """
import m2hf_core
import onnxruntime
from faster_whisper.vad import get_vad_model
get_vad_model()
"""


@pytest.mark.skipif(os.name == "nt", reason="onnxruntime keeps its number in the registry there")
def test_onnxruntime_gives_this_machine_no_number(tmp_path: Path) -> None:
    """Without the first import it writes .cache/Microsoft/DeveloperTools/.onnxruntime/deviceid below the home."""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    kept = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    subprocess.run([sys.executable, "-c", USE], env={**kept, **home}, check=True)
    assert list(tmp_path.rglob("*deviceid*")) == []
    assert list(tmp_path.rglob("*onnxruntime*")) == []
