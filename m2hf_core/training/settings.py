"""Every hyper-parameter of a training run, declared once: type, default, range, one sentence.

The command line, the run's `config.json` and the manual read this declaration. The defaults are the recipe of M2HF for
ViT-B/16; what differs per data set and backbone stands in `recipes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

from m2hf_core.errors import UsageError


def _number(default: float, low: float, high: float, text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def _choice(default: str, choices: tuple[str, ...], text: str) -> Any:
    return field(default=default, metadata={"choices": choices, "help": text})


def _flag(default: bool, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Checked on construction (`UsageError`), so a run never starts on a value that makes no sense."""

    strategy: str = _choice(
        "e2e", ("e2e", "ensemble"), "One model with the balance loss, or a model per branch."
    )
    tune: str = _choice(
        "heads",
        ("heads", "text", "all"),
        "What learns: the heads on stored features, the text tower too (stored frames stay), or all of CLIP.",
    )
    kind: str = _choice(
        "m2hf", ("m2hf", "mean-pooled", "concat-transformer"), "The scorer: M2HF, or a baseline."
    )
    branches: str = field(
        default="visual,audio,motion", metadata={"help": "Branches that are trained, separated by commas."}
    )
    balance: str = _choice(
        "min", ("min", "max", "mean", "sum"), "How branches share the loss (M2HF, Table 14)."
    )
    audio_fusion: str = _choice("mfb", ("mfb", "dual", "none"), "How sound meets the frames (tables 12, 13).")
    motion_fusion: str = _choice("dual", ("mfb", "dual", "none"), "How movement meets the frames.")
    completion: bool = _flag(True, "Fill missing sound or movement with ones (Table 15).")
    one_branch: str = _choice(
        "",
        ("", "multiply", "average", "add"),
        "Make all branches one before the text (Table 11); empty: apart.",
    )
    block_form: str = _choice("post_ln", ("post_ln", "paper"), "Form of the transformer block (Eq. 6).")
    squeeze: str = _choice("none", ("none", "mean"), "Gate per frame, or from the clip's mean.")
    mfb_relu: bool = _flag(False, "A ReLU inside the bilinear fusion, as the paper's text says.")
    dropout: float = _number(0.1, 0.0, 0.9, "Dropout in both early fusions.")
    rho: float = _number(0.5, 0.0, 1.0, "Share of text-to-video in a score (Eq. 1).")
    prior_temperature: float = _number(
        1e-3, 0.0, 1.0, "Lambda of the dual softmax (Eq. 12); 0 is plain InfoNCE."
    )

    frames: int = _number(12, 1, 256, "F: frames per clip.")
    words: int = _number(32, 4, 256, "T': tokens per text.")
    epochs: int = _number(5, 1, 10_000, "Rounds over all captions.")
    captions_per_clip: int = _number(
        0, 0, 1_000, "Captions of a clip used per epoch, drawn anew; 0 takes all."
    )
    batch: int = _number(128, 2, 65_536, "Pairs that are contrasted with each other, over all devices.")
    micro_batch: int = _number(
        0,
        0,
        65_536,
        "Pairs encoded at once per device; the contrast still sees the whole batch. 0: all at once.",
    )
    lr: float = _number(1e-4, 0.0, 1.0, "Learning rate of the heads.")
    clip_lr: float = _number(1e-7, 0.0, 1.0, "Learning rate of CLIP's towers.")
    weight_decay: float = _number(0.2, 0.0, 10.0, "AdamW's weight decay; none on biases and norms.")
    beta2: float = _number(0.98, 0.0, 0.99999, "AdamW's second moment.")
    eps: float = _number(1e-6, 1e-12, 1.0, "AdamW's epsilon.")
    warmup: float = _number(0.1, 0.0, 1.0, "Share of the steps in which the rate rises; then half a cosine.")
    clip_norm: float = _number(1.0, 0.0, 1e6, "Largest norm of all gradients together; 0 does not clip.")

    held_out: int = _number(
        500,
        0,
        1_000_000,
        "Train clips held out to choose the best epoch where the data set has no val split.",
    )
    select: str = _choice(
        "rrf", ("honest", "rrf", "mean-rank"), "Whose R@1 on the held-out clips chooses the best epoch."
    )
    patience: int = _number(0, 0, 10_000, "Epochs without a better one before stopping early; 0 never stops.")
    save_every: int = _number(
        200, 0, 1_000_000, "Steps between checkpoints inside an epoch; 0: at its end only."
    )

    device: str = field(default="auto", metadata={"help": "auto, cpu, mps, cuda or cuda:1."})
    precision: str = _choice(
        "auto", ("auto", "float32", "bf16"), "auto: bf16 on a graphics card, else float32."
    )
    checkpointing: bool = _flag(True, "Compute the vision tower twice instead of keeping what it computed.")
    compiled: bool = _flag(False, "Compile the scorer's reduction; pays on graphics cards, costs a minute.")
    threads: int = _number(0, 0, 1_024, "Threads on the CPU; 0 leaves them to torch.")
    seed: int = _number(0, 0, 2**31 - 1, "Seed of parameters, order and dropout.")

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one, getattr(self, one.name))
        chosen = self.branch_names()
        if not chosen or [name for name in ("visual", "audio", "motion") if name in chosen] != list(chosen):
            raise UsageError(
                f"branches is {self.branches!r}.", "Choose from visual,audio,motion in this order."
            )

    def branch_names(self) -> tuple[str, ...]:
        return tuple(self.branches.split(","))

    def changed(self, values: Mapping[str, Any]) -> TrainSettings:
        """A copy with these values, typed or as text; `UsageError` for an unknown name or a bad value."""
        known = {one.name: one for one in fields(self)}
        if unknown := sorted(set(values) - set(known)):
            raise UsageError(
                f"Training has no setting called {unknown[0]!r}.", f"Settings: {', '.join(known)}."
            )
        return replace(self, **{name: _parse(known[name], value) for name, value in values.items()})


def _parse(one: Field[Any], value: Any) -> Any:
    if not isinstance(value, str) or one.type == "str":
        return value
    try:
        if one.type == "bool":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                value.lower()
            ]
        return int(value) if one.type == "int" else float(value)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{value!r} is no value for {one.name}.", one.metadata["help"]) from error


def _check(one: Field[Any], value: Any) -> None:
    """Type, range and choice; `UsageError` with the setting's own sentence."""
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "bool": (bool,),
        "int": (int,),
        "float": (int, float),
    }
    wrong = not isinstance(value, kinds[str(one.type)])
    if wrong or (one.type != "bool" and isinstance(value, bool)):
        raise UsageError(f"{value!r} is no value for {one.name}: it is a {one.type}.", one.metadata["help"])
    low, high = one.metadata.get("low"), one.metadata.get("high")
    if low is not None and not low <= value <= high:
        raise UsageError(f"{one.name} is {value}, not between {low:g} and {high:g}.", one.metadata["help"])
    choices = one.metadata.get("choices")
    if choices is not None and value not in choices:
        shown = ", ".join(choice or "(empty)" for choice in choices)
        raise UsageError(f"{one.name} is {value!r}, not one of {shown}.", one.metadata["help"])


def describe() -> list[dict[str, Any]]:
    """Every setting as declared: id, type, default, low, high, choices, help."""
    rows = []
    for one in fields(TrainSettings):
        assert one.default is not MISSING
        limits = {name: one.metadata.get(name) for name in ("low", "high", "choices")}
        rows.append(
            {"id": one.name, "type": one.type, "default": one.default, **limits, "help": one.metadata["help"]}
        )
    return rows
