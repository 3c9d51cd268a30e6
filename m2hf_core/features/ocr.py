"""Reads what is written in the picture: signs, titles, slides, burnt-in subtitles, with rapidocr's small networks.

Their files come inside rapidocr's package, so this is the one reader that works on a machine without any
prepared weight. The library would fetch a file that it does not like; it is shown only files that were compared.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.features.contracts import UInt8
from m2hf_core.hub.files import digest_of, extractor_fingerprint, genuine
from m2hf_core.hub.manifest import load_manifest

VERSION = 1
"""Raised when the same networks would give other texts."""
SURE = 0.7
"""Share of certainty below which a reading is more often texture than text."""
LONGEST_SIDE = 1280
"""Frames are read at most at this size: smaller letters are hardly ever meant for the viewer."""
GRID = (64, 36)
SAME_CELL = 6.0
"""Of 255: a picture in which no cell of the grid changed more has the text of the one before."""
LIBRARY = "RapidOCR"


class RapidReader:
    """A `TextReader` over the three networks of PP-OCR: where text stands, which way up, which letters."""

    def __init__(self, detection: Path, orientation: Path, recognition: Path, *, threads: int) -> None:
        from rapidocr import RapidOCR

        self._ocr = RapidOCR(
            params={
                "Det.model_path": str(detection),
                "Cls.model_path": str(orientation),
                "Rec.model_path": str(recognition),
                "Global.text_score": SURE,
                "Global.max_side_len": LONGEST_SIDE,
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        # The library is silent about nothing: a frame without text is a warning to it.
        logging.getLogger(LIBRARY).setLevel(logging.CRITICAL)
        self.fingerprint = extractor_fingerprint("text", "pp-ocrv6-small", digest_of(recognition), VERSION)
        self._before: npt.NDArray[np.float32] | None = None
        self._texts: tuple[str, ...] = ()

    def read(self, images: UInt8) -> list[tuple[str, ...]]:
        """uint8 RGB [n, H, W, 3] -> n tuples of texts, each from top to bottom."""
        return [self._read(image) for image in images]

    def _read(self, image: UInt8) -> tuple[str, ...]:
        small = cv2.resize(image, GRID, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._before is not None and float(np.abs(small - self._before).max()) <= SAME_CELL:
            return (
                self._texts
            )  # the picture that was read stays the reference, or slow changes would never be seen
        found: Any = self._ocr(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR))
        self._before, self._texts = small, _in_reading_order(found.boxes, found.txts)
        return self._texts


def open_reader() -> RapidReader:
    """The reader, after its files were compared. Raises `ModelsMissing` where the package is not installed."""
    weights = load_manifest()
    detection, orientation, recognition = (genuine(weights.weights[name]) for name in weights.reader)
    return RapidReader(detection, orientation, recognition, threads=torch.get_num_threads())


def _in_reading_order(boxes: npt.NDArray[np.float32] | None, texts: Sequence[str] | None) -> tuple[str, ...]:
    """Texts by the upper edge of their boxes [n, 4, 2], then from left to right; none gives none."""
    if boxes is None or not texts:
        return ()
    corners = np.asarray(boxes).min(axis=1)
    return tuple(texts[i] for i in np.lexsort((corners[:, 0], corners[:, 1])))
