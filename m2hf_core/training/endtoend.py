"""The model of a run that teaches CLIP too: its text tower alone, whose frames stay stored, or both towers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from m2hf_core.model.config import Scorer
from m2hf_core.text.openclip import LoadedClip
from m2hf_core.text.tokenizers import pad
from m2hf_core.text.tower import TowerModules
from m2hf_core.training.data.dataset import ClipBlock, Ints, Split, TokenStore, batches
from m2hf_core.training.distributed import wrapped
from m2hf_core.training.pictures import PictureSource, load_pictures, source_for
from m2hf_core.training.settings import TrainSettings
from m2hf_core.training.sides import PairEncoder
from m2hf_core.training.towers import LiveBatch, TowerEncoder
from m2hf_core.training.validation import dense_scores, read_split, summary

TEXTS_AT_ONCE, CLIPS_AT_ONCE = 128, 16


class TowerModel:
    """A `Model` for `fit`; `loaded` is changed in place."""

    def __init__(self, scorer: Scorer, loaded: LoadedClip, settings: TrainSettings, device: str) -> None:
        self.scorer, self.device, self._loaded = scorer, device, loaded
        self._words = settings.words
        loaded.model.to(device)
        text = TowerModules(loaded.model, dict(loaded.config["text_cfg"])).requires_grad_(True)
        visual = loaded.model.get_submodule("visual")
        self._learns_to_see = settings.tune == "all"
        visual.requires_grad_(self._learns_to_see)
        pairs = PairEncoder(scorer)
        self.rho = pairs.rho
        self._towers = TowerEncoder(
            pairs, text, visual if self._learns_to_see else None, settings.checkpointing
        ).to(device)
        self.encoder: nn.Module = wrapped(self._towers, device)
        self._sources: dict[str, PictureSource] = {}

    @property
    def clip(self) -> nn.Module:
        """The whole model, both towers."""
        return self._loaded.model

    def parameters(self) -> tuple[list[tuple[str, nn.Parameter]], list[tuple[str, nn.Parameter]]]:
        heads = list(self.scorer.named_parameters())
        towers = list(self._towers.text.named_parameters(prefix="text"))
        if self._towers.visual is not None:
            towers += self._towers.visual.named_parameters(prefix="visual")
        return heads, [(name, parameter) for name, parameter in towers if parameter.requires_grad]

    def batch(self, split: Split, texts: Ints) -> LiveBatch:
        clips = split.clip_of_text[texts]
        stored = split.clips.batch(clips)
        ids, mask, pooled = self._tokens([split.texts[i] for i in texts])
        if not self._learns_to_see:
            seen, frame_mask = stored.frames, stored.frame_mask
            rest = [stored.audio, stored.has_audio, stored.motion, stored.has_motion]
        else:
            seen, frame_mask = self._pictures(split, clips)
            rest = [
                tensor[:, : seen.shape[1]]
                for tensor in (stored.audio, stored.has_audio, stored.motion, stored.has_motion)
            ]
        tensors = (ids, mask, pooled, seen, frame_mask, *rest)
        return LiveBatch(*(tensor.to(self.device) for tensor in tensors))

    def _pictures(self, split: Split, clips: Ints) -> tuple[Tensor, Tensor]:
        if split.name not in self._sources:
            self._sources[split.name] = source_for(split.infos)
        infos = [split.infos[i] for i in clips]
        times_s = [row[~np.isnan(row)].tolist() for row in split.clips.times_s[clips]]
        return load_pictures(self._sources[split.name], infos, times_s, self._loaded.preprocess)

    def _tokens(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """(ids [b, T], mask [b, T], pooled [b]); T is the longest text's where the tower is causal."""
        tokenizer, tower = self._loaded.tokenizer, self._towers.text
        if tower.causal:
            tokenizer.context_length = min(self._words, tokenizer.context_length)
        pieces = [tokenizer.pieces(text) for text in texts]
        ids = pad(pieces, tokenizer.context_length)
        pooled = tower.pooled(ids)
        if tower.causal:
            ids = ids[:, : int(pooled.max()) + 1]
        places = torch.arange(ids.shape[1])
        lengths = torch.tensor([len(piece.ids) for piece in pieces])
        mask = (places < lengths[:, None]) & (places >= int(tokenizer.has_start))
        return ids, mask.scatter(1, pooled[:, None], True), pooled

    def state(self) -> dict[str, Tensor]:
        state = {f"scorer.{name}": value for name, value in self.scorer.state_dict().items()}
        return state | {f"clip.{name}": value for name, value in self._loaded.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        for prefix, module in (("scorer.", self.scorer), ("clip.", self._loaded.model)):
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )

    def train(self) -> None:
        self._towers.train()

    def validate(self, split: Split) -> dict[str, Any]:
        fresh = self.encoded(split)
        return summary(read_split(dense_scores(self.scorer, fresh, self.device), fresh))

    @torch.inference_mode()
    def encoded(self, split: Split) -> Split:
        """The split as the towers see it now."""
        self._towers.eval()
        return replace(split, tokens=self._encoded_texts(split), clips=self._encoded_clips(split))

    def _encoded_texts(self, split: Split) -> TokenStore:
        rows, masks, lengths, ends = [], [], [0], []
        for part in batches(np.arange(len(split.texts)), TEXTS_AT_ONCE):
            ids, mask, pooled = self._tokens([split.texts[i] for i in part])
            tokens = self._towers.text(ids.to(self.device), cut=False)[0].half().cpu().numpy()
            for i in range(len(part)):
                length = int(mask[i].nonzero().max()) + 1
                rows.append(tokens[i, :length])
                masks.append(mask[i, :length].numpy())
                lengths.append(length)
                ends.append(int(pooled[i]))
        starts = np.cumsum(lengths).astype(np.int64)
        return TokenStore(np.concatenate(rows), np.concatenate(masks), starts, np.asarray(ends, np.int64))

    def _encoded_clips(self, split: Split) -> ClipBlock:
        if self._towers.visual is None:
            return split.clips
        frames = np.zeros_like(split.clips.frames)
        for part in batches(np.arange(len(split)), CLIPS_AT_ONCE):
            pictures, mask = self._pictures(split, part)
            rows = self._towers.visual(pictures[mask].to(self.device)).half().cpu().numpy()
            block = np.zeros((len(part), *frames.shape[1:]), np.float16)
            block[:, : mask.shape[1]][mask.numpy()] = rows
            frames[part] = block
        return replace(split.clips, frames=frames)


def save_clip(model: nn.Module) -> bytes:
    """A safetensors file in open_clip's own layout, which loads like any other weights of the preset."""
    return save({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()})
