"""What the training benchmark reports, and that it counts operations as one would by hand."""

import json

import pytest
import torch
from torch import nn

from m2hf_core.training import bench


def test_a_step_on_stored_features_is_measured() -> None:
    report = bench.frozen(4, 3, 5, device="cpu", steps=1)
    assert json.loads(json.dumps(report)) == report
    assert list(report) == ["machine", "sizes", "figures", "against"]
    assert report["figures"]["samples_per_second"] > 0
    assert 0 < report["figures"]["share_of_product"] < 2
    assert report["sizes"]["batch"] == 4


def test_operations_are_those_of_the_products() -> None:
    class OneProduct:
        def __len__(self) -> int:
            return 8

        def encode(self, encoder: nn.Module, part: slice) -> torch.Tensor:
            return encoder(torch.ones(8, 16)[part])

    encoder = nn.Linear(16, 32, bias=False)
    assert bench._operations(encoder, OneProduct(), lambda sides: (sides.sum(), {})) == 3 * 2 * 8 * 16 * 32


@pytest.mark.slow
def test_a_step_that_teaches_clip_is_measured() -> None:
    report = bench.end_to_end(2, 1, 8, device="cpu", steps=1)
    # A picture of ViT-B/16 is about 35 billion operations forward; words and heads add their share.
    pictures = 3 * 2 * 35e9
    assert pictures < report["figures"]["operations_per_step"] < 1.3 * pictures
    assert report["sizes"]["checkpointing"]
