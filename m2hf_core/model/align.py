"""Sound and motion come at their own pace; here every frame gets the row of each that belongs to its time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]


def align_to_frames(
    values: npt.NDArray[np.floating],
    start_s: Times,
    end_s: Times,
    frame_start_s: Times,
    frame_end_s: Times,
    reach_s: float = math.inf,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Rows [n, d] with spans [n] in seconds -> ([F, d] float32, present [F]).

    A frame's row is the mean over its cell [frame_start, frame_end): rows that overlap it, weighted by the overlap.
    Where none does it is the nearest row in time (the earlier of two equally near), unless that is farther than
    `reach_s` seconds. A frame without a row is zero and not present; the scorer completes it.
    """
    frames = len(frame_start_s)
    if len(values) == 0 or frames == 0:
        width = values.shape[1] if values.ndim == 2 else 0
        return np.zeros((frames, width), np.float32), np.zeros(frames, np.bool_)
    rows = np.asarray(values, np.float64)
    overlap = np.minimum(end_s, frame_end_s[:, None]) - np.maximum(start_s, frame_start_s[:, None])
    weight = np.maximum(overlap, 0.0)
    gap = np.maximum(-overlap, 0.0)
    nearest = gap.argmin(axis=1)
    alone = weight.sum(axis=1) == 0
    weight[alone, nearest[alone]] = 1.0
    aligned = weight @ rows / weight.sum(axis=1, keepdims=True)
    present = ~alone | (gap[np.arange(frames), nearest] <= reach_s)
    return np.where(present[:, None], aligned, 0.0).astype(np.float32), present
