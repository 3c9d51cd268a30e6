"""Fuse the lanes of one query, and say of each hit why it is one.

The four branches are those of M2HF. Audio and motion are gated by a trained scorer; until there is one they abstain
and the answer says so. File names are searched beside the branches as a labelled lane of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from m2hf_core.model.ranks import ABSTAINED
from m2hf_core.model.receipt import Receipt, weigh_input
from m2hf_core.records import (
    BRANCHES,
    AlignedWord,
    Branch,
    BranchHit,
    Fusion,
    Likelihood,
    SearchHit,
)
from m2hf_core.search.everywhere import rank_beside
from m2hf_core.search.gallery import Gallery
from m2hf_core.search.lanes import DENSE, EncodedQuery, Scored, lanes_of, meeting_of, populations
from m2hf_core.search.order import Pool, pool_receipts, rank_pool


def fuse_lanes(
    gallery: Gallery,
    scored: Scored,
    *,
    k: int,
    fusion: Fusion,
    branches: Collection[str] = BRANCHES,
    explain: bool = False,
) -> tuple[SearchHit, ...]:
    """Rank the clips over the chosen branches; the name lane takes part when none was left out.

    `mean-rank` wants what `score_lanes` draws for it; raises ValueError without.
    """
    pool = pool_of(gallery, scored, branches, fusion)
    return hits_of(gallery, scored, pool, pool_receipts(pool, fusion, k), explain)


def hits_of(
    gallery: Gallery, scored: Scored, pool: Pool, found: Sequence[Receipt], explain: bool
) -> tuple[SearchHit, ...]:
    """The hits of these receipts, each with everything that is said about it."""
    completed = {
        branch: _completed_ranks(gallery, scored, pool, found, branch)
        for branch in (Branch.AUDIO, Branch.MOTION)
        if branch in pool.ranks
    }
    rows = pool.rows[[receipt.item for receipt in found]]
    moments = _best_moments(gallery, scored.query, [lane for lane in DENSE if lane in pool.ranks], rows)
    return tuple(
        hit_of(
            gallery,
            scored,
            pool,
            receipt,
            {name: ranks[n] for name, ranks in completed.items()},
            moments,
            explain,
        )
        for n, receipt in enumerate(found)
    )


def _completed_ranks(
    gallery: Gallery, scored: Scored, pool: Pool, found: Sequence[Receipt], branch: str
) -> list[int | None]:
    """Per hit its rank in the branch with its own sound or movement replaced by the completion.

    None where it abstains, where something was pushed (ranks then say more than scores), or where nothing is kept.
    """
    reading, encoded = scored.query.reading(branch), gallery.encoded
    exact, ranks = scored.lanes[branch].scores[pool.rows], pool.ranks[branch]
    replaced: list[int | None] = [None] * len(found)
    own = [n for n, receipt in enumerate(found) if receipt.ranks.get(branch) is not None]
    rows = pool.rows[[found[n].item for n in own]]
    if reading is None or gallery.former is not None or pool.pushed.any() or not own:
        return replaced
    scores = encoded.score(branch, reading, rows, "muted")
    tested = weigh_input(exact, ranks, pool.ids, np.asarray([found[n].item for n in own]), scores)
    # A place in the pool, which is the rank itself unless ranks are taken among all clips.
    active = ranks != ABSTAINED
    beside = rank_beside(ranks[active], exact[active], tested.replaced_rank, scores)
    for n, rank in zip(own, beside.tolist(), strict=True):
        replaced[n] = rank
    return replaced


def pool_of(gallery: Gallery, scored: Scored, branches: Collection[str], fusion: Fusion) -> Pool:
    """The pool with the ranks of the chosen branches and of the name lane; raises as `fuse_lanes`."""
    chosen = lanes_of(branches)
    active = {name: lane for name, lane in scored.lanes.items() if name in chosen}
    everywhere = scored.everywhere if fusion == "mean-rank" else None
    if fusion == "mean-rank" and everywhere is None and scored.ranks_places:
        raise ValueError("the clips were scored for another fusion than mean-rank")
    size = len(gallery)
    return rank_pool(
        np.arange(size) if scored.pool is None else np.flatnonzero(scored.pool),
        gallery.ids,
        {name: lane.scores for name, lane in active.items()},
        {name: lane.abstain for name, lane in active.items()},
        np.zeros(size, np.bool_) if scored.pushed is None else scored.pushed,
        scored.brought_by,
        scored.passing,
        everywhere,
    )


def hit_of(
    gallery: Gallery,
    scored: Scored,
    pool: Pool,
    receipt: Receipt,
    completed: Mapping[str, int | None],
    moments: Mapping[str, Mapping[int, float]],
    explain: bool,
) -> SearchHit:
    """One pool item with everything that is said about it; `completed` as `_completed_ranks` gives it, `moments` per
    dense branch the best second of each row."""
    row = int(pool.rows[receipt.item])
    clip = gallery.clips[row]
    branches: dict[str, BranchHit | None] = dict.fromkeys(BRANCHES)
    for name, rank in receipt.ranks.items():
        if rank is not None:
            score = float(scored.lanes[name].scores[row])
            moment = moments[name][row] if name in moments else _spoken_moment(gallery, scored, name, row)
            branches[name] = BranchHit(rank, score, moment, completed.get(name))
    shared = gallery.nouns[row] & scored.query.nouns if Branch.SPEECH in pool.ranks else frozenset[str]()
    return SearchHit(
        rank=receipt.rank,
        clip_id=clip.clip_id,
        video=clip.path,
        start_s=clip.start_s,
        end_s=clip.end_s,
        best_s=_moment_of_hit(clip.start_s, receipt, branches),
        title=clip.path.name,
        won_by=receipt.won_by,
        branches=branches,
        without=receipt.without,
        likelihood=_likelihood(scored, row, branches),
        heard=_mattered(branches[Branch.AUDIO]),
        moved=_mattered(branches[Branch.MOTION]),
        words=tuple(sorted(shared)),
        alignment=_alignment(gallery, scored, pool.ranks, row) if explain else (),
    )


def _likelihood(scored: Scored, row: int, branches: Mapping[str, BranchHit | None]) -> Likelihood:
    if scored.calibration is None:
        return "unknown"
    return scored.calibration.likelihood(
        row, {name: hit.score for name, hit in branches.items() if hit is not None}
    )


def _mattered(hit: BranchHit | None) -> bool:
    """Whether the hit falls in its branch once its own sound or movement is gone."""
    return hit is not None and hit.completed_rank is not None and hit.completed_rank > hit.rank


def _moment_of_hit(start_s: float, receipt: Receipt, branches: Mapping[str, BranchHit | None]) -> float:
    """The winning branch's best moment, else that of any branch, else the clip's start."""
    for name in (*receipt.won_by, *branches):
        hit = branches.get(name)
        if hit is not None and hit.best_s is not None:
            return hit.best_s
    return start_s


def _best_moments(
    gallery: Gallery, query: EncodedQuery, branches: Collection[str], rows: npt.NDArray[np.int64]
) -> dict[str, dict[int, float]]:
    """Dense branch -> row -> the second of the nearest frame, for the rows that the branch has something of."""
    found: dict[str, dict[int, float]] = {str(branch): {} for branch in branches}
    for population in populations(gallery, query):
        encoded = population.encoded
        readings = {name: reading for name, reading in population.readings.items() if name in found}
        seen = rows[encoded.seen[rows]]
        for branch, seconds in encoded.moments(readings, seen).items():
            here = encoded.present[branch][seen]
            own = dict(zip(seen[here].tolist(), seconds[here].tolist(), strict=True))
            found[branch] = {**own, **found[branch]}
    return found


def _spoken_moment(gallery: Gallery, scored: Scored, lane: str, row: int) -> float | None:
    """Where the exact words are heard, or the line with most nouns; None for file names."""
    if lane != Branch.SPEECH:
        return None
    if row in scored.said_at:
        return scored.said_at[row]
    line = max(gallery.lines[row], key=lambda line: len(line.nouns & scored.query.nouns), default=None)
    return None if line is None else line.start_s


def _alignment(
    gallery: Gallery, scored: Scored, active: Collection[str], row: int
) -> tuple[AlignedWord, ...]:
    """Per dense branch each word with its frame and weight, the text as a whole last; speech names its nouns."""
    found: list[AlignedWord] = []
    query = scored.query
    for branch in DENSE:
        met = meeting_of(gallery, query, branch, row) if branch in active else None
        if met is None:
            continue
        reading, encoded = met
        times = encoded.times(row)
        found.extend(
            AlignedWord(query.text if word is None else word, branch, float(times[frame]), weight)
            for word, frame, weight in reading.aligned(encoded.frames(row, branch))
        )
    if Branch.SPEECH in active:
        shared = sorted(gallery.nouns[row] & query.nouns)
        for noun in shared:
            line = next(line for line in gallery.lines[row] if noun in line.nouns)
            found.append(AlignedWord(noun, Branch.SPEECH, line.start_s, 1 / len(shared)))
    return tuple(found)
