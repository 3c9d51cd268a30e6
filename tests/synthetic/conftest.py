"""Clips that several tests of the synthetic world look at."""

from __future__ import annotations

import pytest

from m2hf_core.synthetic import ClipSpec, draw_specs


@pytest.fixture(scope="session")
def train_specs() -> list[ClipSpec]:
    return draw_specs("train", 600, seed=11)


@pytest.fixture(scope="session")
def test_specs() -> list[ClipSpec]:
    return draw_specs("test", 300, seed=11)
