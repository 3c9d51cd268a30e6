"""Nearest vectors by inner product, behind one interface, and arrays that stay on disk between two starts."""

from m2hf_core.index.codes import CodedQuery, CodedRows, coded, coded_query
from m2hf_core.index.codes import quick as quick_codes
from m2hf_core.index.hnsw import HnswIndex
from m2hf_core.index.mapped import MappedIndex, Part
from m2hf_core.index.segments import DamagedSegments, Segment, SegmentFolder
from m2hf_core.index.vectors import VectorIndex

__all__ = [
    "CodedQuery",
    "CodedRows",
    "DamagedSegments",
    "HnswIndex",
    "MappedIndex",
    "Part",
    "Segment",
    "SegmentFolder",
    "VectorIndex",
    "coded",
    "coded_query",
    "quick_codes",
]
