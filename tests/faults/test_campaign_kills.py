"""Workers killed in every stage by both signals: nobody innocent is set aside, and nothing is lost or doubled."""

from __future__ import annotations

import random
from collections import Counter

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
STAGES = ("probe", "frames", "forward", "speech", "audio", "write")
SIGNALS = ("SIGKILL", "SIGSEGV")
KILLS, SPARED = 50, 10
MISSED = 6
"""Appointments more than needed: a forward pass may be over before its file is the latest to be begun."""


def test_fifty_killed_workers(campaign, fault_seed: int) -> None:
    rng = random.Random(fault_seed)
    files = [path.name for path in campaign.clips(KILLS + MISSED + SPARED)]
    doomed = rng.sample(files, KILLS + MISSED)
    moments = [(stage, name) for stage in STAGES for name in SIGNALS]
    campaign.plan({name: moments[number % len(moments)] for number, name in enumerate(doomed)})
    report = campaign.index()
    struck = campaign.struck()
    assert len(struck) >= KILLS
    kept = Counter((stage, action) for _, stage, action in struck)
    assert set(kept) == set(moments), "every stage was hit by both signals"
    assert min(kept.values()) >= 2
    ready, failed = campaign.check(len(files))
    assert (report.drained.ready, report.drained.failed) == (ready, failed)
    set_aside = {failure.path.name: failure for failure in campaign.failures()}
    assert set(set_aside) <= set(doomed), "nobody is set aside who never killed a worker"
    # Every worker has a successor, but for the last one where its death left nothing to do.
    last_left_nothing = struck[-1][0] in set_aside
    assert report.drained.respawned >= len(struck) - last_left_nothing
    for failure in set_aside.values():
        assert failure.attempts == 2
        assert "SIGKILL" in failure.reason or "SIGSEGV" in failure.reason
        assert failure.quarantined
    assert campaign.index().drained.ready == 0, "what is done or set aside is left alone"
    retry(campaign)
    campaign.index()
    assert campaign.check(len(files)) == (len(files), 0)


def retry(campaign) -> None:
    from app.services.status import retry_failures

    with campaign.library() as library:
        retry_failures(library)
