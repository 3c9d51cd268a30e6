"""`kill -9` of the whole group of `index` in every stage of a worker: the next run finishes, nothing doubles."""

from __future__ import annotations

import random

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
STAGES = ("probe", "frames", "speech", "audio", "write")
MOMENTS = 10
SPARE = 6


def test_killed_anywhere_the_next_run_finishes(killed_runs, fault_seed: int) -> None:
    """At the entrance of every stage once, then at random instants after random entrances."""
    rng = random.Random(fault_seed)
    late = [(rng.choice(STAGES), rng.uniform(0.0005, 0.1)) for _ in range(MOMENTS - len(STAGES))]
    moments = [*((stage, 0.0) for stage in STAGES), *late]
    rng.shuffle(moments)
    # A random moment can come after the end of its run; then the spare ones stand in.
    spare = [(STAGES[number % len(STAGES)], 0.0) for number in range(SPARE)]
    killed: list[str] = []
    for stage, delay_s in [*moments, *spare]:
        if len(killed) < MOMENTS:
            died_in = killed_runs.kill(stage, delay_s)
            killed += [died_in] if died_in is not None else []
    assert len(killed) == MOMENTS
    assert set(killed) >= set(STAGES), "some stage was never hit"
    killed_runs.finish_and_check()
