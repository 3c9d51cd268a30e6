"""Opening torch's libraries ahead: they are there before `import torch`, which then works as ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
from app.services.early import open_torch_libraries

def opened():
    return "libtorch_python.so" in Path("/proc/self/maps").read_text()

before = opened()
open_torch_libraries()
print(before, opened(), "torch" in sys.modules)
import torch
print(torch.ones(3).sum().item(), torch.linalg.inv(torch.eye(2) * 2)[0, 0].item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there are they opened ahead")
def test_the_libraries_are_open_before_the_import() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False True False", "3.0 0.5"]
    assert done.stderr == ""


def test_what_is_loaded_is_left_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.services import early

    frozen: list[int] = []
    monkeypatch.setattr(early.gc, "freeze", lambda: frozen.append(1))
    early.leave_out_of_garbage.cache_clear()
    early.leave_out_of_garbage()
    early.leave_out_of_garbage()
    assert frozen == [1]


def test_an_imported_torch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: F401 - it is loaded

    from app.services import early

    monkeypatch.setattr(early.ctypes, "CDLL", lambda _: pytest.fail("a library was opened"))
    early.open_torch_libraries()
