"""What a synthetic clip says: one or two sentences with their times, as a subtitle track would hold them."""

from __future__ import annotations

from m2hf_core.records import Line, Transcript
from m2hf_core.synthetic.nouns import SENTENCES
from m2hf_core.synthetic.specs import ClipSpec, nuisance_rng

_SPEECH_PART = 3
_FIRST_S, _MIDDLE_S, _LAST_S = (0.2, 0.6), (1.8, 2.2), (3.4, 3.8)
"""A cue begins after the first, changes at the middle if there are two, and ends at the last moment."""


def transcript(spec: ClipSpec) -> Transcript | None:
    """The clip's sentences with cue times in whole milliseconds; None for a clip that says nothing."""
    if not spec.nouns:
        return None
    rng = nuisance_rng(spec, _SPEECH_PART)
    cut = int(rng.integers(0, len(spec.nouns)))
    groups = [group for group in (spec.nouns[:cut], spec.nouns[cut:]) if group]
    first, middle, last = (round(float(rng.uniform(*window)), 3) for window in (_FIRST_S, _MIDDLE_S, _LAST_S))
    spans = [(first, last)] if len(groups) == 1 else [(first, middle), (round(middle + 0.1, 3), last)]
    lines = []
    for nouns, (start, end) in zip(groups, spans, strict=True):
        sentences = SENTENCES[len(nouns)]
        lines.append(Line(sentences[int(rng.integers(len(sentences)))].format(*nouns), start, end))
    return Transcript("embedded", "en", tuple(lines))
