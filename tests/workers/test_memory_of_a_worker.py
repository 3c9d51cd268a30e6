"""What a batch needed is handed back, not kept for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
from app.workers.memory import hand_back_large_blocks, memory

if not hand_back_large_blocks():
    raise SystemExit("no such allocator")
for _ in range(2):  # the first time round the allocator would learn to keep such blocks
    before, blocks, between = memory()[0], [], []
    for _ in range(12):
        blocks.append(bytearray(b"x") * (16 << 20))
        between.append(bytearray(2000))
    full = memory()[0]
    del blocks
    kept = memory()[0]
print((full - before) >> 20, (kept - before) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
def test_large_blocks_go_back_though_small_ones_lie_between() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    full, kept = map(int, done.stdout.split())
    assert full >= 150
    assert kept < 20
