"""Weight files come from strangers: only tensors are read, everything else is refused with a sentence."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from m2hf_core.errors import BadModelFile
from m2hf_core.features.weights import fill, read_state


class Trap:
    """Runs code when unpickled by a careless reader."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('the weight file ran code')",))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(2_000), b"PK\x03\x04 and no more"])
def test_garbage_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadModelFile, match=name) as caught:
        read_state(tmp_path / name)
    assert "models prepare" in caught.value.hint


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModelFile):
        read_state(tmp_path / name)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"layer": Trap()}, protocol=2))
    with pytest.raises(BadModelFile):
        read_state(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(BadModelFile, match="no table of tensors"):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    "state",
    [
        {"weight": torch.zeros(2, 3)},
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)},
        {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
    ],
    ids=["missing key", "unknown key", "other shape"],
)
def test_keys_and_shapes_must_match(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BadModelFile, match="not for Linear"):
        fill(nn.Linear(3, 2), tmp_path / "w.safetensors")


def test_half_precision_files_become_float32_and_frozen(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2, 3, dtype=torch.float16), "bias": torch.zeros(2, dtype=torch.float16)}
    torch.save(state, tmp_path / "w.pth")
    with torch.device("meta"):
        network = nn.Linear(3, 2)
    fill(network, tmp_path / "w.pth")
    assert network.weight.dtype == torch.float32
    assert not network.weight.requires_grad
    assert not network.training
    assert network(torch.ones(3)).tolist() == [3.0, 3.0]
