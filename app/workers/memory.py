"""How much memory this process holds, as the operating system counts it, and what the allocator keeps of it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

LARGE_BYTES = 8 << 20
"""With 1 MB the demo's networks take a quarter longer, since their results come from fresh pages each time."""
KEPT_BYTES = 8 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""From glibc's malloc.h."""


def hand_back_large_blocks() -> bool:
    """Let this process return what it frees; False where the system's allocator has no such wish (glibc has).

    glibc raises its own limits with each large block that is freed, up to 32 MB, so that a worker keeps what one batch
    needed: it was seen to hold 837 to 910 MB by turns, and 833 to 861 MB this way.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def memory() -> tuple[int, int]:
    """(resident now, most so far) in bytes. Where the system tells only the peak, that stands for both."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        # Linux: ru_maxrss there survives exec, so a spawned worker would tell its parent's peak.
        resident = int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return resident, max(resident, _high_water())
    if sys.platform == "win32":
        return _windows()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak


def _high_water() -> int:
    """VmHWM, or 0 where a sandboxed /proc leaves it out."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def _windows() -> tuple[int, int]:
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            ("peak_working_set", ctypes.c_size_t),
            ("working_set", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 6),
        )

    counters = Counters()
    counters.size = ctypes.sizeof(counters)
    windll = getattr(ctypes, "windll")  # noqa: B009 - absent elsewhere, also for the type checker
    handle = windll.kernel32.GetCurrentProcess()
    query = windll.kernel32.K32GetProcessMemoryInfo
    query.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    if not query(handle, ctypes.byref(counters), counters.size):
        raise ctypes.WinError()  # type: ignore[attr-defined, unused-ignore]
    return counters.working_set, counters.peak_working_set
