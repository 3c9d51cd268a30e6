"""Weighted token-wise interaction (M2HF, Eq. 1): how well the words of a text and the frames of a clip meet.

`S = rho * t2v + (1 - rho) * v2t`, where `t2v = sum_p w_p max_q cos` and `v2t = sum_q w_q max_p cos`.

Departures from Eq. 1 as printed: padding is excluded from both maxima (a multiplication by zero would let it
compete with cosine 0), the constant start token is excluded, and the mean of the two directions is `rho`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from m2hf_core.model.inputs import Side

CPU_TILE_BYTES = 6 << 20
"""The cosines of one tile stay in the last-level cache while both maxima read them."""
CUDA_TILE_BYTES = 256 << 20
"""Few launches, full matrix products."""

Reduction = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def reduce_tile(cosines: Tensor, frame_weight: Tensor, token_weight: Tensor, rho: float) -> Tensor:
    """Both weighted maxima of one tile: [v, F, T, t], [v, F], [T, t] -> [v, t].

    Texts are the innermost dimension, so that either maximum runs along contiguous memory.
    """
    score: Tensor | None = None
    if rho > 0:
        score = rho * (cosines.amax(dim=1) * token_weight).sum(dim=1)
    if rho < 1:
        v2t = (1 - rho) * (cosines.amax(dim=2) * frame_weight.unsqueeze(-1)).sum(dim=1)
        score = v2t if score is None else score + v2t
    assert score is not None
    return score


def product_type(x: Tensor) -> torch.dtype:
    """The type in which a matrix product of `x` runs here: autocast's, else its own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def tile_sizes(text: Side, video: Side, tile_bytes: int | None) -> tuple[int, int]:
    """(texts, clips) per tile, so that the cosines of a tile take at most `tile_bytes` (never less than a pair)."""
    if tile_bytes is None:
        tile_bytes = CUDA_TILE_BYTES if text.unit.is_cuda else CPU_TILE_BYTES
    pairs = max(
        1, tile_bytes // (text.unit.shape[1] * video.unit.shape[1] * product_type(text.unit).itemsize)
    )
    texts = min(len(text.unit), max(1, round(pairs**0.5)))
    return texts, max(1, min(len(video.unit), pairs // texts))


def wti_matrix(
    text: Side,
    video: Side,
    rho: float,
    tile_bytes: int | None = None,
    reduction: Reduction = reduce_tile,
) -> Tensor:
    """S [B_t, B_v] of every text with every clip, `S[i, j]` = text i with clip j.

    Without gradients the peak beyond inputs and output is one tile of cosines (`tile_bytes`; 6 MiB on a CPU, 256 MiB
    on a GPU), its maxima (2 / F + 2 / T of it), one transposed group of texts, and the clips once more where the
    products run in another type than the stored one. With gradients autograd keeps all tiles: B_t * B_v * T * F
    numbers. Under autocast the products run in its type, the weighted sums never do.
    """
    dtype = product_type(text.unit)
    texts, clips = tile_sizes(text, video, tile_bytes)
    frames = video.unit.to(dtype)
    (_, T, d), F = text.unit.shape, frames.shape[1]
    rows = []
    for t in range(0, len(text.unit), texts):
        tokens = text.unit[t : t + texts].to(dtype).transpose(0, 1).reshape(-1, d)
        token_weight = text.weight[t : t + texts].T.contiguous()
        columns = []
        for v in range(0, len(frames), clips):
            cosines = frames[v : v + clips].reshape(-1, d) @ tokens.T
            tile = cosines.view(-1, F, T, token_weight.shape[1])
            columns.append(reduction(tile, video.weight[v : v + clips], token_weight, rho).T)
        rows.append(torch.cat(columns, dim=1))
    return torch.cat(rows)


def wti_query(text: Side, video: Side, rho: float, tile_bytes: int | None = None) -> Tensor:
    """S [K] of one text (a `Side` of one item) with K candidates; only its real words are multiplied."""
    return wti_matrix(real_rows(text), video, rho, tile_bytes)[0]


def real_rows(text: Side) -> Side:
    """A `Side` of one item without its padding."""
    real = text.mask[0]
    return Side(text.unit[:, real], text.weight[:, real], text.mask[:, real])


class Alignment(NamedTuple):
    """Where one branch found the words of one query in K clips: WTI's own maxima."""

    position: Tensor
    """[n] the eligible token positions, ascending"""
    weight: Tensor
    """[n] their token weights"""
    frame: Tensor
    """[K, n] the frame each of them matched best"""
    cosine: Tensor
    """[K, n] the cosine there"""
    best_frame: Tensor
    """[K] the frame that fits the weighted words best as a whole: argmax_q sum_p w_p cos"""


def wti_alignment(text: Side, video: Side, position: Tensor) -> Alignment:
    """The receipt of one query (a `Side` of one item) against K clips; `position` as in `Alignment`."""
    text = real_rows(text)
    cosines = torch.einsum("nd,kfd->knf", text.unit[0], video.unit.to(text.unit.dtype))
    # Copies of a real frame may tie with it; the mask makes the real one the answer.
    cosines = cosines.masked_fill(~video.mask.unsqueeze(1), -torch.inf)
    cosine, frame = cosines.max(dim=-1)
    best = torch.einsum("knf,n->kf", cosines, text.weight[0]).argmax(dim=-1)
    return Alignment(position, text.weight[0], frame, cosine, best)
