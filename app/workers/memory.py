"""How much memory this process holds, as the operating system counts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
    import ctypes
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
