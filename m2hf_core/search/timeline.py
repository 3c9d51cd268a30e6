"""How well each moment of one video fits a query, branch by branch: what a player shows as strips below the picture."""

from __future__ import annotations

from collections.abc import Sequence

from m2hf_core.records import Branch
from m2hf_core.search.engine import EncodedQuery
from m2hf_core.search.gallery import Gallery


def timeline(
    gallery: Gallery, rows: Sequence[int], query: EncodedQuery
) -> dict[str, list[tuple[float, float]]]:
    """Branch -> (second, score) along the clips in `rows`, in time; branches with nothing to say are left out.

    A dense branch scores each frame (cosine), speech each line that shares a noun (its share of the query's nouns).
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        frames, times = gallery.frames[row], gallery.frame_times[row]
        if query.visual is not None and frames is not None and times is not None:
            scores = frames @ query.visual
            found.setdefault(Branch.VISUAL, []).extend(zip(times.tolist(), scores.tolist(), strict=True))
        for line in gallery.lines[row]:
            if shared := line.nouns & query.nouns:
                point = (line.start_s, len(shared) / len(query.nouns))
                found.setdefault(Branch.SPEECH, []).append(point)
    return found
