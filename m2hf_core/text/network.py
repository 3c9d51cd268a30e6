"""The text half of a contrastive model, in open_clip's layout: the same names, shapes and numbers.

A search needs nothing of open_clip but this and the byte pairs, and loading that package (with torchvision and timm,
which its image halves need) takes longer than everything else between a start and the first answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

READ = frozenset(
    {
        "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "ls_init_value", "no_causal_mask",
        "eos_id", "pool_type", "proj_type", "proj_bias", "act_kwargs", "norm_kwargs",
    }
)  # fmt: skip
"""What of a text half's description this network follows."""
OF_TOKENS = frozenset({"hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs", "pad_id", "output_tokens"})
"""What tokenizers follow, or what changes no number here."""


class Block(nn.Module):
    """One layer: attention, then two products, each before its norm and added to what came in."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        scale: float | None,
        activation: Callable[[], nn.Module],
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.ln_1 = norm(width)
        self.attn: Any = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ls_1 = nn.Identity() if scale is None else LayerScale(width)
        self.ln_2 = norm(width)
        self.mlp: Any = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, hidden), gelu=activation(), c_proj=nn.Linear(hidden, width))
        )
        self.ls_2 = nn.Identity() if scale is None else LayerScale(width)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        """[B, T, d] -> [B, T, d]; `attn_mask` [T, T] is added to the attention."""
        normed, mask = self.ln_1(x), None if attn_mask is None else attn_mask.to(x.dtype)
        x = x + self.ls_1(self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0])
        added: torch.Tensor = x + self.ls_2(self.mlp(self.ln_2(x)))
        return added


class Blocks(nn.Module):
    """The layers one after another."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        for block in self.resblocks:
            x = block(x, attn_mask)
        return x


class LayerScale(nn.Module):
    """A factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class LayerNorm(nn.LayerNorm):
    """The usual norm, in the type of what comes in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).to(x.dtype)


class QuickGELU(nn.Module):
    """The activation of OpenAI's own networks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class TextNetwork(nn.Module):
    """The modules of one text half, as they are described; `TowerModules` walks them.

    `config`: open_clip's `model_cfg`. Raises `ValueError` where it describes a network of another kind (Hugging Face's,
    CoCa's, one with a padding mask or with attention of its own).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        text = dict(config["text_cfg"])
        unknown = sorted(key for key in text.keys() - READ - OF_TOKENS if text[key])
        if unknown:
            raise ValueError(f"text halves with {', '.join(unknown)} are not supported")
        width, layers, length = text.get("width", 512), text.get("layers", 12), text.get("context_length", 77)
        activation = partial(
            QuickGELU if config.get("quick_gelu") else nn.GELU, **(text.get("act_kwargs") or {})
        )
        norm: Callable[[int], nn.Module] = partial(LayerNorm, **(text.get("norm_kwargs") or {}))
        self.token_embedding = nn.Embedding(text.get("vocab_size", 49408), width)
        self.positional_embedding = nn.Parameter(torch.empty(length, width))
        self.transformer = Blocks(
            [
                Block(
                    width,
                    text.get("heads", 8),
                    text.get("mlp_ratio", 4.0),
                    text.get("ls_init_value"),
                    activation,
                    norm,
                )
                for _ in range(layers)
            ]
        )
        self.ln_final = norm(width)
        self.text_projection = _projection(text, width, config["embed_dim"])
        self.causal_length = None if text.get("no_causal_mask") else length

    @property
    def attn_mask(self) -> torch.Tensor | None:
        """float32 [T, T], minus infinity above the diagonal: no position sees a later one. None: each sees all."""
        if self.causal_length is None:
            return None
        return torch.full((self.causal_length, self.causal_length), float("-inf")).triu(1)


def _projection(text: Mapping[str, Any], width: int, joint: int | None) -> nn.Module | nn.Parameter | None:
    if text.get("proj_type", "linear") == "none" or not joint:
        return None
    return nn.Linear(width, joint) if text.get("proj_bias") else nn.Parameter(torch.empty(width, joint))
