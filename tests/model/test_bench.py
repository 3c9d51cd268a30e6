"""The benchmark reports what it promises; the evaluation keeps its memory."""

import json

import pytest

from m2hf_core.model import bench


def test_the_report_has_its_four_parts():
    report = bench.forward(texts=20, clips=30, candidates=10, repeats=1, memory=False)
    assert json.loads(json.dumps(report)) == report
    assert list(report) == ["machine", "sizes", "figures", "against"]
    assert report["sizes"]["texts"] == 20
    cpu = report["figures"]["cpu"]
    assert cpu["scores_per_second"] > 0
    assert cpu["products_alone_seconds"] > 0


@pytest.mark.slow
def test_a_thousand_by_a_thousand_stays_under_two_gigabytes():
    memory = bench.forward(repeats=1)["figures"]["peak_memory_mb"]
    assert memory["libraries"] < memory["libraries_and_inputs"] <= memory["evaluation"]
    assert memory["evaluation"] < bench.PEAK_TARGET_MB
