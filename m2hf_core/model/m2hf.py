"""The M2HF scorer: text tokens and clip features in, one score matrix per branch out.

`encode_video` does everything that does not depend on a query, once per clip; `score` is all that a query costs.
The speech branch compares words (`speech`), fusion of the branches works on ranks (`fusion`); neither has parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from m2hf_core.model.gate import Squeeze
from m2hf_core.model.guided import EarlyFusion, GuidedVisual
from m2hf_core.model.heads import (
    WeightedTokenInteraction,
    eligible_tokens,
    fill_padding,
    pooled_side,
    unit_rows,
)
from m2hf_core.model.inputs import DENSE_BRANCHES, JOINT, EncodedVideo, Side, TextFeatures, VideoFeatures
from m2hf_core.model.scale import LogitScale
from m2hf_core.model.transformer import BlockForm
from m2hf_core.model.wti import Alignment, wti_alignment, wti_matrix, wti_query
from m2hf_core.records import Branch

OneBranch = Literal["multiply", "average", "add"]
Tokens = Literal["pooled", "all"]

TRAINED_RHO = 0.5


class M2HF(nn.Module):
    """Every variant of the paper's tables 11 to 15 is an argument.

    `branches` any of visual, audio, motion: one alone, all, or all without one. `audio_fusion`, `motion_fusion`
    (tables 12, 13), `completion` (15), `one_branch` (11: the features of all `branches` become one set of frames).
    `tokens="pooled"` with `rho=0` is the scorer before training: mean-pooled CLIP.
    """

    def __init__(
        self,
        width: int,
        audio_width: int = 128,
        motion_width: int = 1024,
        branches: Sequence[str] = DENSE_BRANCHES,
        audio_fusion: EarlyFusion = "mfb",
        motion_fusion: EarlyFusion = "dual",
        completion: bool = True,
        one_branch: OneBranch | None = None,
        block_form: BlockForm = "post_ln",
        squeeze: Squeeze = "none",
        heads: int = 4,
        factor: int = 5,
        dropout: float = 0.1,
        mfb_relu: bool = False,
        start_token: bool = True,
        tokens: Tokens = "pooled",
        rho: float = 0.0,
    ) -> None:
        super().__init__()
        self.senses = tuple(Branch(name) for name in branches)
        self.one_branch = one_branch
        self.branches: tuple[str, ...] = self.senses if one_branch is None else (JOINT,)
        self.start_token, self.tokens, self.rho = start_token, tokens, rho
        self.guided = nn.ModuleDict()
        for sense, guide_width, fusion in (
            (Branch.AUDIO, audio_width, audio_fusion),
            (Branch.MOTION, motion_width, motion_fusion),
        ):
            if sense in self.senses:
                self.guided[sense] = GuidedVisual(
                    guide_width,
                    width,
                    fusion,
                    completion,
                    block_form,
                    squeeze,
                    heads,
                    factor,
                    dropout,
                    mfb_relu,
                )
        self.wti = nn.ModuleDict({name: WeightedTokenInteraction(width) for name in self.branches})
        self.logit_scale = LogitScale()

    def open_tokens(self, rho: float = TRAINED_RHO) -> None:
        """Begin training: match all words, both directions; the pooled token starts with 90 % of the weight."""
        self.tokens, self.rho = "all", rho

    def features(self, video: VideoFeatures) -> dict[str, Tensor]:
        """Per branch the un-normalised frame features [B, F, d] that meet the text (v, av, mv)."""
        # Padding is emptied first: what attention and gates compute from it must at least be finite.
        visual = video.frames.masked_fill(~video.frame_mask.unsqueeze(-1), 0.0)
        made = {}
        for sense in self.senses:
            if sense is Branch.VISUAL:
                made[str(sense)] = visual
            elif sense is Branch.AUDIO:
                made[str(sense)] = self.guided[sense](video.audio, video.has_audio, visual, video.frame_mask)
            else:
                made[str(sense)] = self.guided[sense](
                    video.motion, video.has_motion, visual, video.frame_mask
                )
        return made if self.one_branch is None else {JOINT: join(list(made.values()), self.one_branch)}

    def encode_video(self, video: VideoFeatures) -> EncodedVideo:
        """What a library stores per clip. Each clip needs a frame (`ValueError`)."""
        if not bool(video.frame_mask.any(dim=1).all()):
            raise ValueError("a clip without a real frame cannot be scored")
        sides = {
            name: self._meeting(name).video_side(frames, video.frame_mask)
            for name, frames in self.features(video).items()
        }
        return EncodedVideo(sides, presence(video, self.branches))

    def encode_text(self, text: TextFeatures, branches: Sequence[str] | None = None) -> dict[str, Side]:
        """The text side per branch: the same tokens, each branch's own weights."""
        names = self.branches if branches is None else branches
        if self.tokens == "pooled":
            side = pooled_side(text.tokens, text.pooled)
            return dict.fromkeys(names, side)
        eligible = eligible_tokens(text.mask, text.pooled, self.start_token)
        rows = fill_padding(text.tokens, eligible, text.pooled)
        unit = unit_rows(rows)
        return {
            name: Side(unit, self._meeting(name).token_weight(rows, eligible, text.pooled), eligible)
            for name in names
        }

    def _meeting(self, name: str) -> WeightedTokenInteraction:
        module = self.wti[name]
        assert isinstance(module, WeightedTokenInteraction)
        return module

    def score(
        self,
        text: TextFeatures,
        encoded: EncodedVideo,
        branches: Sequence[str] | None = None,
        tile_bytes: int | None = None,
    ) -> dict[str, Tensor]:
        """Per branch S [B_t, B_v]; a single query takes the shorter way over its real words only."""
        scores = {}
        for name, side in self.encode_text(text, branches).items():
            clips = encoded.branches[name]
            if len(text) == 1:
                scores[name] = wti_query(side, clips, self.rho, tile_bytes).unsqueeze(0)
            else:
                scores[name] = wti_matrix(side, clips, self.rho, tile_bytes)
        return scores

    def forward(self, text: TextFeatures, video: VideoFeatures) -> dict[str, Tensor]:
        """Per branch S [B_t, B_v], from features to scores in one step, as training needs it."""
        return self.score(text, self.encode_video(video))

    def query_vectors(self, text: TextFeatures) -> dict[str, Tensor]:
        """Per branch [B, d]; its product with `EncodedVideo.vectors` finds candidates (before training: the score)."""
        return {name: side.vector() for name, side in self.encode_text(text).items()}

    def align(self, text: TextFeatures, encoded: EncodedVideo) -> dict[str, Alignment]:
        """Per branch, for one query: the frame and weight of each word in each of K clips, and the best frame."""
        if len(text) != 1:
            raise ValueError("an alignment belongs to one query")
        if self.tokens == "pooled":
            position = text.pooled
        else:
            position = eligible_tokens(text.mask, text.pooled, self.start_token)[0].nonzero().squeeze(1)
        sides = self.encode_text(text)
        return {name: wti_alignment(side, encoded.branches[name], position) for name, side in sides.items()}


def join(features: list[Tensor], how: OneBranch) -> Tensor:
    """Table 11: the branches' frame features [B, F, d] as one. A cosine sees no difference between average and add;
    the frame head, which reads lengths, does."""
    stack = torch.stack(features)
    if how == "multiply":
        return stack.prod(dim=0)
    return stack.mean(dim=0) if how == "average" else stack.sum(dim=0)


def presence(video: VideoFeatures, branches: Sequence[str]) -> dict[str, Tensor]:
    """Per branch [B]: whether the clip has the input at all; a searching program abstains where it has not."""
    flags = {Branch.AUDIO: video.has_audio, Branch.MOTION: video.has_motion}
    return {
        name: (video.frame_mask & flags[Branch(name)] if name in flags else video.frame_mask).any(dim=1)
        for name in branches
    }
