"""What is searchable, what waits, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.services.library import KINDS, Library
from app.workers.supervisor import estimated_left
from m2hf_core.records import Failure
from m2hf_core.store import failures, features, scorers, status, transcripts
from m2hf_core.store.status import VideoState

UNTRAINED = "untrained"
"""What answers before a scorer was chosen; named here too, because asking for the status loads no torch."""


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """The figures of `status`, under one preset."""

    videos: Mapping[VideoState, int]
    """ready, queued, running, failed, offline."""
    seconds: Mapping[str, float]
    """Of video: done, and left (estimated from sizes where a file was not opened yet)."""
    coverage: Mapping[str, int]
    """Videos per kind of extraction: clip, vggish, s3d, speech."""
    clips: int
    preset: str
    scorer_id: str
    scorer_state: str
    """`trained` or `untrained`, as in the answers of a search."""
    asleep: Mapping[str, str]

    def document(self) -> dict[str, object]:
        return {
            "videos": dict(self.videos),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "coverage": dict(self.coverage),
            "clips": self.clips,
            "preset": self.preset,
            "scorer": {"id": self.scorer_id, "state": self.scorer_state},
            "asleep": dict(self.asleep),
        }


def library_status(library: Library) -> LibraryStatus:
    offer = library.offer()
    with library.store.library.reading() as session:
        now = status.status(session)
        listened = transcripts.videos_listened_to(session)
        scorer = scorers.active(session, library.preset.id)
    with library.store.features.reading() as session:
        by_extractor = features.coverage(session)
    coverage = {kind: by_extractor.get(fingerprint, 0) for kind, fingerprint in offer.fingerprints.items()}
    coverage["speech"] = listened
    return LibraryStatus(
        videos=dict(now.videos),
        seconds={"done": now.seconds_done, "left": estimated_left(now)},
        coverage={kind: coverage.get(kind, 0) for kind in KINDS},
        clips=now.clips,
        preset=library.preset.id,
        scorer_id=UNTRAINED if scorer is None else scorer.scorer_id,
        scorer_state=UNTRAINED if scorer is None else scorer.state.partition(":")[0],
        asleep=offer.asleep,
    )


def list_failures(library: Library) -> list[Failure]:
    with library.store.library.reading() as session:
        return failures.failures(session)


def retry_failures(library: Library) -> int:
    """Queue every failed file again; answers how many."""
    with library.store.library.writing() as session:
        return failures.retry_failed(session)
