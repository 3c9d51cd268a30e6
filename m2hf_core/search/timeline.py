"""How well each moment of one video fits a query, branch by branch: what a player shows as strips below the picture."""

from __future__ import annotations

from collections.abc import Sequence

from m2hf_core.records import Branch
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import DENSE, EncodedQuery, meeting_of


def timeline(
    gallery: Gallery, rows: Sequence[int], query: EncodedQuery
) -> dict[str, list[tuple[float, float]]]:
    """Branch -> (second, score) along the clips in `rows`, in time; branches with nothing to say are left out.

    A dense branch scores each frame (its cosine with the weighted words), speech each line that shares a noun (its
    share of the query's nouns).
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for branch in DENSE:
            if (met := meeting_of(gallery, query, branch, row)) is not None:
                reading, encoded = met
                fit = reading.along(encoded.frames(row, branch)).tolist()
                points = zip(encoded.times(row).tolist(), fit, strict=True)
                found.setdefault(str(branch), []).extend(points)
        for line in gallery.lines[row]:
            if shared := line.nouns & query.nouns:
                point = (line.start_s, len(shared) / len(query.nouns))
                found.setdefault(Branch.SPEECH.value, []).append(point)
    return found
