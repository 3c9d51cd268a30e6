"""How long each preset would take on this machine: asked before anything is fetched, so nothing of it can be run.

A short matrix product tells how fast this processor is; what one second of video costs was measured once, with random
weights, on a machine whose product is known (`m2hf-app bench extract --random-weights`, m2hf_core/ingest/README.md).
The answer is good to a factor of about two; `bench extract` measures it once the weights are here.
"""

from __future__ import annotations

import time

import numpy as np

from m2hf_core.hub.manifest import load_manifest

SIDE, TRIES = 512, 12
KNOWN_GFLOPS = 112.0
"""This product on the machine where the costs below were measured: two cores, AVX-512, 2026."""
MOTION_S = 71 / 69
"""Seconds for a second of video: S3D looks at every frame of it."""
AUDIO_S = 2 / 69
IMAGE_S = 22 / 69
"""ViT-B/16 at 224 pixels, one frame a second."""
IMAGE_GFLOP = {
    "ViT-B-32-256": 11.2,
    "ViT-B-16-quickgelu": 34.9,
    "PE-Core-B-16": 34.9,
    "ViT-B-16-SigLIP2": 34.9,
    "ViT-L-14-quickgelu": 162.0,
    "PE-Core-L-14-336": 381.0,
}
"""Of one frame, from width, depth and number of patches: 24 d^2 per token and layer, and 4 n^2 d per layer."""


def expected_hours() -> dict[str, float]:
    """Hours of this machine's processor for an hour of video, by preset; without the demo, which needs no guess.

    Listening to speech is not in it, because it depends on how much is said; a graphics card needs a fraction.
    """
    slower = KNOWN_GFLOPS / _gflops()
    found = {}
    for preset in load_manifest().presets.values():
        if preset.architecture is None:
            continue
        image = IMAGE_S * IMAGE_GFLOP[preset.architecture] / IMAGE_GFLOP["ViT-B-16-quickgelu"]
        found[preset.id] = slower * (MOTION_S + AUDIO_S + image)
    return found


def _gflops() -> float:
    """The best of a few products, so that a busy machine counts as what it is when it is quiet."""
    matrix = np.ones((SIDE, SIDE), np.float32)
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best / 1e9
