"""Frames without a picture: black leaders, fades, blue screens. They resemble each other and nothing that one seeks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

CELLS = 32
"""The picture is averaged down to this many cells a side: noise goes, a title or a lamp stays."""
SPREAD = 8
"""Of 255 levels. Compressed black spreads over 0-3, a starless night sky over a dim street over 20 and more."""


def is_flat(image: npt.NDArray[np.uint8]) -> bool:
    """Whether uint8 [H, W, 3] is one colour all over, within what compression leaves of it."""
    cells = np.asarray(cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.int16)
    return bool((cells.max(axis=(0, 1)) - cells.min(axis=(0, 1))).max() <= SPREAD)
