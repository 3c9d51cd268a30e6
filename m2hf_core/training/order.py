"""Which pairs meet in which batch: drawn from (seed, epoch) alone, so a resumed run sees what the killed one would."""

from __future__ import annotations

import numpy as np

from m2hf_core.training.data.dataset import Ints, Split


def epoch_batches(split: Split, epoch: int, seed: int, batch: int, captions_per_clip: int = 0) -> list[Ints]:
    """Caption numbers, a batch each: no clip is twice in one batch, where it would be its own negative.

    Captions are used in rounds, one of every clip that has one left. `captions_per_clip` rounds, or as many as there
    are captions (0). What is left of a round after its last full batch is left out, and so is a later round that is
    short as a whole: another epoch draws it. A split smaller than a batch is one batch.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, epoch)))
    owned = [rng.permutation(texts) for texts in split.texts_of_clips()]
    longest = max(len(texts) for texts in owned)
    rounds = min(longest, captions_per_clip) if captions_per_clip else longest
    found: list[Ints] = []
    for number in range(rounds):
        texts = rng.permutation(np.asarray([own[number] for own in owned if len(own) > number], np.int64))
        whole = len(texts) // batch
        if whole:
            found += np.split(texts[: whole * batch], whole)
        elif number < 1 or len(texts) == len(owned):
            found.append(texts)
    return [found[i] for i in rng.permutation(len(found))]


def own_part(texts: Ints, rank: int, world: int) -> Ints:
    """This process's pairs of a batch; the few that do not divide by the number of processes are left out."""
    each = len(texts) // world
    return texts[rank * each : (rank + 1) * each]
