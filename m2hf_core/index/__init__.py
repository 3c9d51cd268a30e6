"""Nearest vectors by inner product, behind one interface."""

from m2hf_core.index.exact import ExactIndex
from m2hf_core.index.vectors import VectorIndex

__all__ = ["ExactIndex", "VectorIndex"]
