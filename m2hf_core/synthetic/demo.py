"""The clips and queries of the demonstration, drawn by a seed alone, so that nobody picks queries by their result.

A query is well posed when everything it claims is true of exactly one clip of the set. Captions that fit several
clips are drawn again; this looks at labels only, never at what a model ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from m2hf_core.synthetic.captions import Caption, describes, numbered_caption
from m2hf_core.synthetic.specs import ClipSpec, draw_specs

_DEMO_PART = 5
_REDRAWS = 64


@dataclass(frozen=True, slots=True)
class DemoQuery:
    """A query and the position in `DemoSet.specs` of the only clip that it describes."""

    caption: Caption
    clip: int


@dataclass(frozen=True, slots=True)
class DemoSet:
    specs: tuple[ClipSpec, ...]
    queries: tuple[DemoQuery, ...]


def demo_set(seed: int, clips: int = 48, queries: int = 24) -> DemoSet:
    """The first `clips` clips of the test split and `queries` well posed queries, each for another clip.

    A clip none of whose first captions is well posed is passed over for the next. ValueError if too few remain.
    """
    specs = tuple(draw_specs("test", clips, seed))
    rng = np.random.default_rng(np.random.SeedSequence((seed, _DEMO_PART)))
    found: list[DemoQuery] = []
    for clip in (int(number) for number in rng.permutation(clips)):
        if len(found) == queries:
            break
        caption = _well_posed(specs, clip, seed)
        if caption is not None:
            found.append(DemoQuery(caption, clip))
    if len(found) < queries:
        raise ValueError(f"only {len(found)} of {queries} queries are well posed among {clips} clips")
    return DemoSet(specs, tuple(found))


def _well_posed(specs: tuple[ClipSpec, ...], clip: int, seed: int) -> Caption | None:
    """The first of the clip's captions that is true of no other clip."""
    for number in range(_REDRAWS):
        caption = numbered_caption(specs[clip], number, seed)
        if sum(describes(caption.attributes, other) for other in specs) == 1:
            return caption
    return None
