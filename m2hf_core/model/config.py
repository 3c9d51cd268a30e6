"""The scorer's shape as one frozen record: what a checkpoint writes down and a builder reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from m2hf_core.model.baselines import ConcatTransformer, MeanPooled
from m2hf_core.model.gate import Squeeze
from m2hf_core.model.guided import EarlyFusion
from m2hf_core.model.inputs import DENSE_BRANCHES
from m2hf_core.model.m2hf import M2HF, TRAINED_RHO, OneBranch, Tokens
from m2hf_core.model.transformer import BlockForm

Kind = Literal["m2hf", "mean-pooled", "concat-transformer"]
Scorer = M2HF | MeanPooled | ConcatTransformer

_CHOICES: dict[str, tuple[Any, ...]] = {
    "kind": get_args(Kind),
    "audio_fusion": get_args(EarlyFusion),
    "motion_fusion": get_args(EarlyFusion),
    "one_branch": (None, *get_args(OneBranch)),
    "block_form": get_args(BlockForm),
    "squeeze": get_args(Squeeze),
    "tokens": get_args(Tokens),
}
_SIZES = ("width", "audio_width", "motion_width", "heads", "factor", "layers", "longest")
_FLAGS = ("completion", "mfb_relu", "start_token", "renormalise")


@dataclass(frozen=True, slots=True)
class M2HFConfig:
    """Every field is checked on construction (`ValueError`). Meanings stand at the modules' arguments."""

    width: int
    kind: Kind = "m2hf"
    audio_width: int = 128
    motion_width: int = 1024
    branches: tuple[str, ...] = tuple(str(branch) for branch in DENSE_BRANCHES)
    audio_fusion: EarlyFusion = "mfb"
    motion_fusion: EarlyFusion = "dual"
    completion: bool = True
    one_branch: OneBranch | None = None
    block_form: BlockForm = "post_ln"
    squeeze: Squeeze = "none"
    heads: int = 4
    factor: int = 5
    dropout: float = 0.1
    mfb_relu: bool = False
    start_token: bool = True
    tokens: Tokens = "pooled"
    rho: float = 0.0
    renormalise: bool = True
    """mean-pooled only"""
    layers: int = 4
    """concat-transformer only"""
    longest: int = 64
    """concat-transformer only: the largest number of frames"""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {allowed}")
        for name in _SIZES:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}, not a positive whole number")
        for name in _FLAGS:
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not true or false")
        for name, top in (("dropout", 0.99), ("rho", 1.0)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= top:
                raise ValueError(f"{name} is {value!r}, not between 0 and {top}")
        known = [str(branch) for branch in DENSE_BRANCHES]
        if not self.branches or [name for name in known if name in self.branches] != list(self.branches):
            raise ValueError(f"branches is {self.branches!r}, not a choice from {known} in this order")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        if self.tokens == "pooled" and self.rho != 0:
            raise ValueError("a scorer that reads only the pooled token has rho 0")

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"branches": list(self.branches)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> M2HFConfig:
        """Unknown or missing names and wrong types are a `ValueError`."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"fields differ: {sorted(set(values) ^ names)}")
        branches = values["branches"]
        if not isinstance(branches, list) or not all(isinstance(name, str) for name in branches):
            raise ValueError(f"branches is {branches!r}, not a list of names")
        return cls(**{**values, "branches": tuple(branches)})

    def opened(self, rho: float = TRAINED_RHO) -> M2HFConfig:
        """The configuration that `M2HF.open_tokens` leads to."""
        return replace(self, tokens="all", rho=rho)


def build_scorer(config: M2HFConfig) -> Scorer:
    """The module that the configuration describes, with fresh parameters."""
    if config.kind == "mean-pooled":
        return MeanPooled(config.renormalise)
    if config.kind == "concat-transformer":
        return ConcatTransformer(
            width=config.width,
            audio_width=config.audio_width,
            motion_width=config.motion_width,
            layers=config.layers,
            heads=config.heads,
            dropout=config.dropout,
            block_form=config.block_form,
            longest=config.longest,
        )
    return M2HF(
        width=config.width,
        audio_width=config.audio_width,
        motion_width=config.motion_width,
        branches=config.branches,
        audio_fusion=config.audio_fusion,
        motion_fusion=config.motion_fusion,
        completion=config.completion,
        one_branch=config.one_branch,
        block_form=config.block_form,
        squeeze=config.squeeze,
        heads=config.heads,
        factor=config.factor,
        dropout=config.dropout,
        mfb_relu=config.mfb_relu,
        start_token=config.start_token,
        tokens=config.tokens,
        rho=config.rho,
    )


def current_config(config: M2HFConfig, scorer: Scorer) -> M2HFConfig:
    """`config` with what training has changed in the scorer since it was built (opened tokens)."""
    if isinstance(scorer, M2HF):
        return replace(config, tokens=scorer.tokens, rho=scorer.rho)
    return config
