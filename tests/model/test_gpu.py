"""The same scores on a GPU, in its half precision, with gradients; and the benchmark's figures there."""

import pytest
import torch

from m2hf_core.model import bench
from m2hf_core.model.losses import branch_terms, mmbl

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bf16"])
def test_a_gpu_scores_and_trains_like_the_reference(texts, clips, scorer, expected, close, half):
    model, config = scorer()
    text, video = texts(5), clips(5)
    wanted = expected(model, config, text, video)
    model.cuda()
    with torch.autocast("cuda", torch.bfloat16, enabled=half):
        scores = model(text.to("cuda"), video.to("cuda"))
    close({name: matrix.cpu() for name, matrix in scores.items()}, wanted, 2e-2 if half else 1e-4)
    mmbl(branch_terms(scores, model.logit_scale())).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_benchmark_measures_the_gpu_beside_its_products():
    figures = bench.forward(memory=False)["figures"]["cuda_bf16"]
    assert figures["share_of_products"] > 0
    assert figures["gpu_peak_memory_mb"] < bench.PEAK_TARGET_MB
