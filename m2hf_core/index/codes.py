"""Vectors in numbers of one byte: a quarter of what a product has to fetch, and fetching is what it costs.

A row is divided by a 127th of its largest number and rounded, so the numbers of unit rows are wrong by 0.1 % of their
length at most. That is enough to find candidates; whoever wants scores takes a few more and scores those exactly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from m2hf_core.index.vectors import FloatArray

CodeArray = npt.NDArray[np.int8]

LARGEST = 127


def coded(vectors: FloatArray) -> tuple[CodeArray, FloatArray]:
    """(codes [n, d], the step [n] that one unit of each row's codes stands for); a row of zeros has step 0."""
    step = np.abs(vectors).max(axis=1, initial=0.0).astype(np.float32) / np.float32(LARGEST)
    codes = np.rint(vectors / np.maximum(step, np.float32(1e-30))[:, None])
    return codes.astype(np.int8), step


@dataclass(frozen=True, slots=True, eq=False)
class CodedQuery:
    """A query in the same bytes: made once, multiplied with many matrices."""

    column: torch.Tensor
    """[d, 1] int8."""
    step: float


def coded_query(query: FloatArray) -> CodedQuery:
    """A query [d] rounded as a row is."""
    codes, step = coded(query[None])
    return CodedQuery(torch.from_numpy(codes.T), float(step[0]))


class CodedRows:
    """Codes [n, d] that may lie in a mapped file, ready for products."""

    def __init__(self, codes: CodeArray, step: FloatArray) -> None:
        with warnings.catch_warnings():
            # Mapped files are read-only and torch has no such tensors; nothing here writes.
            warnings.simplefilter("ignore", UserWarning)
            self._codes = torch.from_numpy(codes)
        self.step = step
        """[n] what one unit of each row's codes stands for."""

    def __len__(self) -> int:
        return len(self.step)

    def sums(self, query: CodedQuery) -> npt.NDArray[np.int32]:
        """Products [n] of whole numbers; times both steps they are inner products, right to 0.002 for unit rows."""
        # A column is taken out of the array: torch takes twice as long to say where it lies.
        whole: npt.NDArray[np.int32] = torch._int_mm(self._codes, query.column).numpy()
        return whole[:, 0]


def quick() -> bool:
    """Whether this processor multiplies bytes quicker than floats, and right.

    That takes oneDNN and VNNI. Without VNNI sums of two products are cut off at 16 bits on the way, which may
    lose candidates without a sign.
    """
    return torch._C._has_mkldnn and torch.cpu._is_vnni_supported()
