"""Working without holding up the other threads, of which the window's is one.

Two things do that while torch is imported: linking its libraries, and looking for garbage among a million new objects.
Afterwards it is threads that compute: each keeps the interpreter for as long as Python lets it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

GARBAGE_EVERY = (20_000, 10, 100)
"""New objects until the youngest are looked through, such looks until the next older, and those until all. A look takes
2, 20 and some 200 ms. Python's own 700 objects cost a fifth of the time of importing torch."""
TURN_S = 0.001
"""For how long a thread that computes keeps the interpreter while others wait. Python's own 5 ms, with four threads
that load a library, made a window wait 20 to 40 ms for its next turn."""
LIBRARIES = (("libtorch_global_deps.so", "RTLD_GLOBAL"), ("libtorch_python.so", "RTLD_LOCAL"))
"""In torch's own order and with its own reach: the first brings what CUDA needs, the second all the rest."""


def seek_garbage_seldom() -> None:
    """For the whole process, from its start."""
    gc.set_threshold(*GARBAGE_EVERY)


def take_short_turns() -> None:
    """For a program with a window."""
    sys.setswitchinterval(TURN_S)


@cache
def leave_out_of_garbage() -> None:
    """What is loaded by now stays to the end, so nobody looks through it again.

    Once: what a second library took the place of would never be found to be garbage.
    """
    gc.freeze()


def open_torch_libraries() -> None:
    """What `import torch` finds open already. On Linux; elsewhere, and where one cannot be opened, it does all itself.

    The interpreter lets no other thread run while it opens an extension, and linking these takes 0.4 to 0.6 s; a
    foreign function, as which the very same call is made here, lets all others run.
    """
    found = importlib.util.find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None or "torch" in sys.modules:
        return
    dlopen = getattr(ctypes.CDLL(None), "dlopen", None)
    if dlopen is None:
        return
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for name, reach in LIBRARIES:
        path = Path(found.origin).parent / "lib" / name
        if not dlopen(os.fsencode(path), os.RTLD_NOW | getattr(os, reach)):
            return  # `import torch` says why
