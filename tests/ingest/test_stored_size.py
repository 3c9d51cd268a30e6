"""What an hour of video takes on the disk with ViT-B/16, S3D and VGGish: at most 15 MB, the database included."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from m2hf_core.config.paths import open_paths
from m2hf_core.ingest.extract import grid_spans
from m2hf_core.records import Feature
from m2hf_core.store import features, open_store

HOUR_S = 3600.0
NETWORKS = {"clip": (512, 1.0), "motion": (1024, 1.0), "audio": (128, 0.96)}
"""Width of a row, and seconds from one row to the next."""


def test_an_hour_of_features_stays_below_fifteen_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with open_store(open_paths(tmp_path)) as store:
        with store.features.reading() as session:
            empty = features.bytes_used(session)
        with store.features.writing() as session:
            for name, (width, step_s) in NETWORKS.items():
                count = int(HOUR_S / step_s)
                values = rng.normal(size=(count, width)).astype(np.float16)
                features.put(session, "hour", name, Feature(values, *grid_spans(count, step_s, HOUR_S)))
        with store.features.reading() as session:
            used = features.bytes_used(session) - empty
    assert 12e6 < used < 15e6, used
