"""What M2HF is compared with, behind the same interface: frames alone averaged, and everything in one transformer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m2hf_core.model.guided import Completion
from m2hf_core.model.heads import pooled_side, unit_rows
from m2hf_core.model.inputs import EncodedVideo, Side, TextFeatures, VideoFeatures
from m2hf_core.model.scale import LogitScale
from m2hf_core.model.transformer import BlockForm, EncoderBlock
from m2hf_core.model.wti import wti_matrix
from m2hf_core.records import Branch


def _mean(rows: Tensor, mask: Tensor) -> Tensor:
    """[B, F, d], [B, F] -> [B, d]: the mean of real rows."""
    shares = mask.to(rows.dtype)
    kept = rows.masked_fill(~mask.unsqueeze(-1), 0.0)
    return kept.sum(dim=1) / shares.sum(dim=1, keepdim=True)


class OneVector(nn.Module, ABC):
    """A scorer with one vector per clip, met by the pooled token."""

    branches: tuple[str, ...] = (Branch.VISUAL,)

    def __init__(self) -> None:
        super().__init__()
        self.logit_scale = LogitScale()

    @abstractmethod
    def clip_vectors(self, video: VideoFeatures) -> Tensor:
        """[B, d], used as it is: its length counts."""

    def encode_video(self, video: VideoFeatures) -> EncodedVideo:
        vector = self.clip_vectors(video).unsqueeze(1)
        ones = torch.ones(vector.shape[:2], dtype=vector.dtype, device=vector.device)
        present = video.frame_mask.any(dim=1)
        return EncodedVideo({Branch.VISUAL: Side(vector, ones, ones.bool())}, {Branch.VISUAL: present})

    def score(
        self,
        text: TextFeatures,
        encoded: EncodedVideo,
        branches: Sequence[str] | None = None,
        tile_bytes: int | None = None,
    ) -> dict[str, Tensor]:
        """{"visual": S [B_t, B_v]}; `branches` other than that is an error."""
        if branches is not None and tuple(branches) != self.branches:
            raise ValueError("a one-vector scorer has the visual branch only")
        side = pooled_side(text.tokens, text.pooled)
        return {
            Branch.VISUAL: wti_matrix(side, encoded.branches[Branch.VISUAL], rho=0.0, tile_bytes=tile_bytes)
        }

    def forward(self, text: TextFeatures, video: VideoFeatures) -> dict[str, Tensor]:
        return self.score(text, self.encode_video(video))


class MeanPooled(OneVector):
    """CLIP4Clip's meanP: the mean of the unit frame embeddings against the pooled token.

    `renormalise` divides the mean by its length, as CLIP4Clip does; without it the score is the untrained M2HF's.
    The frames have no parameters here: only the logit scale (and CLIP itself, end to end) can learn.
    """

    def __init__(self, renormalise: bool = True) -> None:
        super().__init__()
        self.renormalise = renormalise

    def clip_vectors(self, video: VideoFeatures) -> Tensor:
        frames = video.frames.masked_fill(~video.frame_mask.unsqueeze(-1), 0.0)
        mean = _mean(unit_rows(frames), video.frame_mask)
        return unit_rows(mean) if self.renormalise else mean


class ConcatTransformer(OneVector):
    """In the manner of MMT: all features of all senses side by side through one transformer encoder.

    Rows of each sense are projected to d and get the sense's own code and a code for their place in time; one summary
    row, which starts as the mean of the frames, reads them all and is the clip's vector. Missing rows are masked out.
    """

    def __init__(
        self,
        width: int,
        audio_width: int = 128,
        motion_width: int = 1024,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        block_form: BlockForm = "post_ln",
        longest: int = 64,
    ) -> None:
        super().__init__()
        self.audio_input, self.motion_input = Completion(audio_width), Completion(motion_width)
        self.project_visual = nn.Linear(width, width)
        self.project_audio = nn.Linear(audio_width, width)
        self.project_motion = nn.Linear(motion_width, width)
        self.senses = nn.Parameter(torch.randn(3, width) * 0.02)
        self.places = nn.Parameter(torch.randn(longest, width) * 0.02)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, dropout, block_form) for _ in range(layers))

    def clip_vectors(self, video: VideoFeatures) -> Tensor:
        mask = video.frame_mask
        F = mask.shape[1]
        if len(self.places) < F:
            raise ValueError(f"{F} frames, but this transformer knows {len(self.places)} places")
        frames = video.frames.masked_fill(~mask.unsqueeze(-1), 0.0)
        audible, moving = mask & video.has_audio, mask & video.has_motion
        rows = torch.stack(
            [
                self.project_visual(frames),
                self.project_audio(self.audio_input(video.audio, audible)),
                self.project_motion(self.motion_input(video.motion, moving)),
            ],
            dim=1,
        )
        rows = rows + self.senses[:, None, :] + self.places[:F]
        state = torch.cat([_mean(frames, mask).unsqueeze(1).to(rows.dtype), rows.flatten(1, 2)], dim=1)
        summary_mask = torch.ones_like(mask[:, :1])
        state_mask = torch.cat([summary_mask, mask, audible, moving], dim=1)
        for block in self.blocks:
            state = block(state, state, state_mask)
        return unit_rows(state[:, 0])
