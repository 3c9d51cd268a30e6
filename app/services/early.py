"""Opens torch's libraries without holding up the other threads, which `import torch` does for half a second."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

LIBRARIES = (("libtorch_global_deps.so", "RTLD_GLOBAL"), ("libtorch_python.so", "RTLD_LOCAL"))
"""In torch's own order and with its own reach: the first brings what CUDA needs, the second all the rest."""


def open_torch_libraries() -> None:
    """What `import torch` finds open already. On Linux; elsewhere, and where one cannot be opened, it does all itself.

    The interpreter lets no other thread run while it opens an extension, and linking these takes 0.4 to 0.6 s; a
    foreign function, as which the very same call is made here, lets all others run.
    """
    found = importlib.util.find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None or "torch" in sys.modules:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for name, reach in LIBRARIES:
        path = Path(found.origin).parent / "lib" / name
        if not dlopen(os.fsencode(path), os.RTLD_NOW | getattr(os, reach)):
            return  # `import torch` says why
