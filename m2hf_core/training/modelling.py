"""A fresh scorer for a run: the untrained M2HF of the backbone, opened for training, or a baseline."""

from __future__ import annotations

import math

import torch

from m2hf_core.model.baselines import ConcatTransformer
from m2hf_core.model.config import M2HFConfig, Scorer, build_scorer
from m2hf_core.model.guided import Completion
from m2hf_core.model.m2hf import M2HF
from m2hf_core.training.data.dataset import PairedData, Split
from m2hf_core.training.settings import TrainSettings


def config_for(data: PairedData, settings: TrainSettings, branches: tuple[str, ...]) -> M2HFConfig:
    """The scorer that these settings describe over this data's features."""
    return M2HFConfig(
        width=data.width,
        kind=settings.kind,  # type: ignore[arg-type]
        audio_width=data.audio_width,
        motion_width=data.motion_width,
        branches=branches,
        audio_fusion=settings.audio_fusion,  # type: ignore[arg-type]
        motion_fusion=settings.motion_fusion,  # type: ignore[arg-type]
        completion=settings.completion,
        one_branch=settings.one_branch or None,  # type: ignore[arg-type]
        block_form=settings.block_form,  # type: ignore[arg-type]
        squeeze=settings.squeeze,  # type: ignore[arg-type]
        dropout=settings.dropout,
        mfb_relu=settings.mfb_relu,
        start_token=data.has_start,
        longest=max(64, settings.frames),
    )


def fresh_scorer(config: M2HFConfig, data: PairedData, train: Split, settings: TrainSettings) -> Scorer:
    """Parameters by the seed, statistics of sound and movement from train, CLIP's own logit scale, tokens opened."""
    torch.manual_seed(settings.seed)
    scorer = build_scorer(config)
    for name, completion in _completions(scorer).items():
        completion.set_statistics(*train.clips.statistics(name))
    with torch.no_grad():
        scorer.logit_scale.log.fill_(math.log(data.logit_scale))
    scorer.logit_scale.limit()
    if isinstance(scorer, M2HF):
        scorer.open_tokens(settings.rho)
    return scorer


def _completions(scorer: Scorer) -> dict[str, Completion]:
    if isinstance(scorer, M2HF):
        return {str(name): guided.completion for name, guided in scorer.guided.items()}  # type: ignore[misc]
    if isinstance(scorer, ConcatTransformer):
        return {"audio": scorer.audio_input, "motion": scorer.motion_input}
    return {}


def merged(parts: dict[str, Scorer], whole: M2HFConfig) -> M2HF:
    """The ensemble's models, one per branch, as one scorer: branches share no parameter but the text's encoder.

    The logit scale, which ranks do not see, is that of the first.
    """
    scorer = build_scorer(whole)
    assert isinstance(scorer, M2HF)
    states = [part.state_dict() for part in parts.values()]
    gathered = {key: value for state in reversed(states) for key, value in state.items()}
    scorer.load_state_dict(gathered)
    first = next(iter(parts.values()))
    assert isinstance(first, M2HF)
    scorer.open_tokens(first.rho)
    return scorer.eval()
