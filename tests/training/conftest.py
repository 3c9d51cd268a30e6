"""A small prepared piece of the synthetic world, drawn once for all tests of this folder that train or evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: 12 train, 2 val and 6 test clips of the synthetic world under the demo preset."""
    from m2hf_core.training.data.synthetic import Sizes, prepare_synthetic

    folder = tmp_path_factory.mktemp("prepared")
    prepare_synthetic(folder, Sizes(12, 2, 6, captions=2), seed=7)
    return folder
