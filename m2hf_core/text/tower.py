"""Queries and captions to token features, by the text half of a preset.

Weighted token-wise interaction (M2HF, Eq. 1) needs the projected feature of every position, which open_clip
does not give; so this walks the tower's own modules and applies the final norm and projection everywhere.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from m2hf_core.errors import BadModelFile
from m2hf_core.hub.manifest import Preset
from m2hf_core.model.checkpoint import load_text, read_info
from m2hf_core.text.half import NOT_TEXT, PREFIX, LoadedText, build_text
from m2hf_core.text.short import FEW, walk, walkable
from m2hf_core.text.tokenizers import Pieces, pad

REMEMBERED_TEXTS = 512
"""At most 512 x 77 x 1024 floats = 161 MB for uncut towers; a causal one's queries take a tenth of that."""

BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """What the scorer reads. T: the longest text of the batch, or the whole context where it is not cut."""

    tokens: torch.Tensor
    """float32 [B, T, d], projected, not normalised; rows under a False mask mean nothing."""
    mask: torch.Tensor
    """bool [B, T]: True for the text's own tokens, its end mark and the pooled position, not the start."""
    pooled: torch.Tensor
    """int64 [B]: the position whose feature is the text's own (`encode_text`)."""
    words: tuple[tuple[str | None, ...], ...]
    """[B][T]: the word of the query at each position, None where there is none."""

    @property
    def pooled_vector(self) -> torch.Tensor:
        """float32 [B, d], what `encode_text` gives, not normalised."""
        return self.tokens[torch.arange(len(self.tokens)), self.pooled]


class TextTower:
    """Encodes texts; safe to call from several threads, remembers the latest texts."""

    def __init__(self, loaded: LoadedText, *, bfloat16: bool = False, taught_by: str = "") -> None:
        """The modules of `loaded` are shared, not copied: with `bfloat16` they change too."""
        self.fingerprint = loaded.fingerprint
        """Of the space that texts and frames meet in."""
        self.taught_by = taught_by
        """The scorer whose training taught this text half; empty for the published one."""
        self.logit_scale = loaded.logit_scale
        self.width = loaded.width
        self.tokenizer = loaded.tokenizer
        self._tower = TowerModules(loaded.network, loaded.config)
        self.causal = self._tower.causal
        """Whether a text may be cut after its end mark."""
        if bfloat16:
            self._tower.to(torch.bfloat16)
        self._remembered: OrderedDict[str, _Row] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def words_fingerprint(self) -> str:
        """Of what texts become here; what was encoded under another one is of no use."""
        return f"{self.fingerprint}+{self.taught_by}" if self.taught_by else self.fingerprint

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Features of B texts, B >= 1."""
        if not texts:
            raise ValueError("encode needs at least one text")
        with self._lock:
            rows = {text: self._remembered[text] for text in texts if text in self._remembered}
            unknown = [text for text in dict.fromkeys(texts) if text not in rows]
            for start in range(0, len(unknown), BATCH):
                batch = unknown[start : start + BATCH]
                rows.update(zip(batch, self._encode_rows(batch), strict=True))
            for text, row in rows.items():
                self._remembered[text] = row
                self._remembered.move_to_end(text)
            while len(self._remembered) > REMEMBERED_TEXTS:
                self._remembered.popitem(last=False)
        return _stack([rows[text] for text in texts])

    def _encode_rows(self, texts: Sequence[str]) -> list[_Row]:
        pieces = [self.tokenizer.pieces(text) for text in texts]
        ids = pad(pieces, self.tokenizer.context_length)
        with torch.inference_mode():
            tokens, pooled = self._tower.of_one(ids) if len(texts) == 1 else self._tower(ids)
        tokens = tokens.float()
        rows = []
        for index, piece in enumerate(pieces):
            length = int(pooled[index]) + 1 if self._tower.causal else tokens.shape[1]
            rows.append(_row(piece, tokens[index, :length], int(pooled[index]), self.tokenizer.has_start))
        return rows


def open_text_tower(preset: Preset, *, bfloat16: bool = False, scorer: Path | None = None) -> TextTower:
    """The tower of a preset. Raises `ModelsMissing` or `BadModelFile`.

    `scorer`: a scorer file; if training taught it a text tower of its own, texts go through that one. `bfloat16` halves
    memory and time on processors that have it; cosines differ in the third decimal.
    """
    loaded, taught_by = build_text(preset), ""
    if scorer is not None and (info := read_info(scorer)).own_text:
        _teach(loaded, load_text(scorer), scorer)
        taught_by = info.scorer_id
    return TextTower(loaded, bfloat16=bfloat16, taught_by=taught_by)


def _teach(loaded: LoadedText, taught: Mapping[str, torch.Tensor], scorer: Path) -> None:
    """Put a taught text tower in the place of the published one; it must be whole and of the same shape."""
    named = {name.removeprefix(PREFIX): tensor for name, tensor in taught.items()}
    try:
        loaded.network.load_state_dict(named)
    except RuntimeError as error:
        raise _not_its_own(scorer, str(error)) from error


def text_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """What of a model's state a scorer file keeps when its text tower has learnt."""
    return {name: value for name, value in model.state_dict().items() if not name.startswith(NOT_TEXT)}


def _not_its_own(scorer: Path, detail: str) -> BadModelFile:
    return BadModelFile(
        f"The text tower in the scorer {scorer.name} does not fit the preset's model.",
        "Choose the preset that it was trained with, or export the scorer again.",
        detail,
    )


class TowerModules(nn.Module):
    """A text half (ours or an open_clip model's) as one differentiable module: ids -> features of every position."""

    def __init__(self, model: nn.Module, text_config: Mapping[str, Any]) -> None:
        super().__init__()
        unsupported = ("hf_model_name", "embed_cls", "use_pad_mask")
        if any(text_config.get(key) for key in unsupported):
            raise ValueError("text towers of Hugging Face, CoCa or with a padding mask are not supported")
        source: Any = getattr(model, "text", model)
        self.token_embedding: nn.Embedding = source.token_embedding
        self.positional_embedding: nn.Parameter = source.positional_embedding
        self.transformer: nn.Module = source.transformer
        self.ln_final: nn.Module = source.ln_final
        self.text_projection: nn.Parameter | nn.Linear | None = source.text_projection
        self.pool_type: str = text_config.get("pool_type", "argmax")
        self.end_id: int = text_config.get("eos_id", 2)
        self.causal = not text_config.get("no_causal_mask", False) and self.pool_type in ("argmax", "eos")
        self._blocks: tuple[nn.Module, ...] = tuple(source.transformer.resblocks)
        mask = source.attn_mask
        self.register_buffer("attn_mask", None if mask is None else mask.clone(), persistent=False)

    def forward(self, ids: torch.Tensor, cut: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """int64 [B, C] -> features [B, T, d] and pooled positions [B].

        In a causal tower no position sees a later one, so with `cut` only those up to the last end mark of
        the batch are computed (T <= C); a tower that sees its padding is always computed whole.
        """
        pooled = self.pooled(ids)
        x, mask = self._begin(ids[:, : int(pooled.max()) + 1] if cut and self.causal else ids)
        return self._end(self.transformer(x, attn_mask=mask)), pooled

    def of_one(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`forward` of one text, [1, C], the quick way where it is short and the blocks allow it; no gradients."""
        pooled = self.pooled(ids)
        if not self.causal or int(pooled) >= FEW or not walkable(self._blocks):
            return self.forward(ids)
        x, mask = self._begin(ids[:, : int(pooled) + 1])
        return self._end(walk(self._blocks, x[0], mask)[None]), pooled

    def _begin(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the first block reads, and the mask of all."""
        length = ids.shape[1]
        x = self.token_embedding(ids).to(self.positional_embedding.dtype) + self.positional_embedding[:length]
        mask: torch.Tensor | None = self.attn_mask  # type: ignore[assignment]
        return x, None if mask is None else mask[:length, :length]

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        x = self.ln_final(x)
        if isinstance(self.text_projection, nn.Linear):
            projected: torch.Tensor = self.text_projection(x)
            return projected
        return x if self.text_projection is None else x @ self.text_projection

    def pooled(self, ids: torch.Tensor) -> torch.Tensor:
        """int64 [B]: the end mark (the largest id in CLIP's vocabulary), or the last position for SigLIP."""
        if self.pool_type == "argmax":
            return ids.argmax(dim=-1)
        if self.pool_type == "eos":
            return (ids == self.end_id).int().argmax(dim=-1)
        if self.pool_type == "last":
            return torch.full((len(ids),), ids.shape[1] - 1, device=ids.device)
        raise ValueError(f"pooling {self.pool_type!r} has no single position")


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    tokens: torch.Tensor
    mask: torch.Tensor
    pooled: int
    words: tuple[str | None, ...]


def _row(pieces: Pieces, tokens: torch.Tensor, pooled: int, has_start: bool) -> _Row:
    mask = torch.zeros(len(tokens), dtype=torch.bool)
    mask[1 if has_start else 0 : len(pieces.ids)] = True
    mask[pooled] = True
    words = (*pieces.words, *(None for _ in range(len(tokens) - len(pieces.ids))))[: len(tokens)]
    return _Row(tokens.clone(), mask, pooled, words)


def _stack(rows: Sequence[_Row]) -> TextFeatures:
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.zeros(len(rows), longest, rows[0].tokens.shape[1])
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = row.tokens
        mask[index, : len(row.mask)] = row.mask
    words = tuple((*row.words, *(None,) * (longest - len(row.words))) for row in rows)
    return TextFeatures(tokens, mask, torch.tensor([row.pooled for row in rows]), words)
