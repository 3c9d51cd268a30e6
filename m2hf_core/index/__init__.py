"""Nearest vectors by inner product, behind one interface, and arrays that stay on disk between two starts."""

from m2hf_core.index.exact import ExactIndex
from m2hf_core.index.hnsw import HnswIndex
from m2hf_core.index.mapped import MappedIndex, Part
from m2hf_core.index.segments import DamagedSegments, Segment, SegmentFolder
from m2hf_core.index.vectors import GrowingIndex, VectorIndex

__all__ = [
    "DamagedSegments",
    "ExactIndex",
    "GrowingIndex",
    "HnswIndex",
    "MappedIndex",
    "Part",
    "Segment",
    "SegmentFolder",
    "VectorIndex",
]
