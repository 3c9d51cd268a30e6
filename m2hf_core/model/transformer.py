"""The dual-modal transformer (M2HF, Eq. 6 to 8): each sense attends to itself, then to the other, then both merge."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

BlockForm = Literal["post_ln", "paper"]


class EncoderBlock(nn.Module):
    """One encoder block of Eq. 6 with a separate query and key/value input.

    `post_ln`: H = LN(Q~ + MHA); out = LN(H + FFN(H)). `paper`, the literal equation: out = LN(X + Y) with
    X = MHA, Y = FFN(LN(X + Q~)), which has no path around the attention. Q~, K~ and V~ are the attention's own input
    projections (a second linear map behind them would add nothing); the heads end in an output projection.
    """

    def __init__(self, width: int, heads: int = 4, dropout: float = 0.1, form: BlockForm = "post_ln") -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads, self.form, self.drop_rate = heads, form, dropout
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        self.first_norm = nn.LayerNorm(width)
        self.last_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """[B, n, d] attends to [B, m, d] under [B, m] -> [B, n, d]. Each item has a real source row."""
        q = self.query(query)
        attended = self.dropout(self._attend(q, source, source_mask))
        inner = self.first_norm(q + attended)
        grown = self.dropout(self.ffn(inner))
        result: Tensor = self.last_norm((inner if self.form == "post_ln" else attended) + grown)
        return result

    def _attend(self, q: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

        mixed = scaled_dot_product_attention(
            split(q),
            split(self.key(source)),
            split(self.value(source)),
            attn_mask=source_mask[:, None, None, :],
            dropout_p=self.drop_rate if self.training else 0.0,
        )
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined


class DualModalTransformer(nn.Module):
    """Guide [B, F, d] and visual [B, F, d] -> fused [B, F, d] (Eq. 7 and 8), five separate blocks.

    No positional code: permuting the frames permutes the output, order comes from S3D alone.
    """

    def __init__(self, width: int, heads: int = 4, dropout: float = 0.1, form: BlockForm = "post_ln") -> None:
        super().__init__()
        self.guide_self = EncoderBlock(width, heads, dropout, form)
        self.visual_self = EncoderBlock(width, heads, dropout, form)
        self.guide_cross = EncoderBlock(width, heads, dropout, form)
        self.visual_cross = EncoderBlock(width, heads, dropout, form)
        self.fusion = EncoderBlock(width, heads, dropout, form)

    def forward(self, guide: Tensor, visual: Tensor, mask: Tensor) -> Tensor:
        twice = torch.cat([mask, mask], dim=1)
        guide_self = self.guide_self(guide, guide, mask)
        visual_self = self.visual_self(visual, visual, mask)
        guide_cross = self.guide_cross(guide, torch.cat([guide, visual_self], dim=1), twice)
        visual_cross = self.visual_cross(visual, torch.cat([visual, guide_self], dim=1), twice)
        both = torch.cat([guide_cross, visual_cross], dim=1)
        fused: Tensor = self.fusion(guide_cross * visual_cross, both, twice)
        return fused
