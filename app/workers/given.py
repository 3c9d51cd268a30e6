"""What lies with a worker, and whether there is room for more.

Enough that it never waits: while its networks look at one file it decodes the next, and a batch is filled from many
short clips. And no more: what lies there is done before anything that its owner opens in the meantime, so behind a
long film lies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from m2hf_core.store.jobs import BYTES_PER_SECOND, Lease

MOST, LEFT_S = 16, 60.0
"""Up to how many tasks are given while less than so many seconds of video are left to do."""


@dataclass(slots=True)
class Given:
    """A task that lies with a worker; it has begun when the worker has said so."""

    lease: Lease
    expected_s: float = 0.0
    """How long the video is, as far as is known before it is opened."""
    stage: str = ""
    done_s: float = 0.0
    total_s: float = 0.0
    began: float = 0.0

    @property
    def begun(self) -> bool:
        return bool(self.stage)

    @property
    def left_s(self) -> float:
        return max(0.0, (self.total_s or self.expected_s) - self.done_s)


def given(lease: Lease) -> Given:
    """A task that is about to be given, with a guess of its length by its size where nobody knows it yet."""
    if lease.duration_s is not None:
        return Given(lease, lease.duration_s)
    try:
        return Given(lease, os.stat(lease.path).st_size / BYTES_PER_SECOND)
    except OSError:
        return Given(lease)  # the worker will say what is wrong with it


def has_room(lying: Collection[Given], readers: int) -> bool:
    """Whether a worker that decodes `readers` files at once should be given another one."""
    if len(lying) < readers:
        return True
    return len(lying) < MOST and sum(task.left_s for task in lying) < LEFT_S
