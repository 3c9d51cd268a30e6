"""Makes folders searchable: reconcile with the store, queue what is missing, let the supervisor drain the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.services.folders import resolve_folder
from app.services.holding import LiveSettings, paused_by_owner
from app.services.library import KINDS, Library, Offer, weights_here
from app.workers.messages import Ready, WorkerConfig
from app.workers.supervisor import DrainReport, Supervisor
from m2hf_core.config.settings import DECLARED, Settings
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.ingest.reconcile import Reconciled, reconcile
from m2hf_core.ingest.sidecars import queue_wanted
from m2hf_core.progress import Progress
from m2hf_core.store import WriterLock, failures, files, folders, forget, jobs, status

SETTLE_S, SETTLE_ROUNDS = 1.0, 3
"""A file that changed within the last second may still be written; it is waited for, but not for long."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run of `index` did, for the person and for scripts."""

    found: int
    new: int
    gone: int
    drained: DrainReport
    asleep: dict[str, str]
    took_s: float
    video_s: float
    """Seconds of video made searchable by this run."""
    notices: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, object]:
        return {
            "found": self.found,
            "new": self.new,
            "gone": self.gone,
            "ready": self.drained.ready,
            "failed": self.drained.failed,
            "took_s": round(self.took_s, 2),
            "real_time_factor": round(self.video_s / self.took_s, 2) if self.took_s else 0.0,
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.drained.seconds.items()},
            "peak_memory_mb": round(self.drained.peak_bytes / 1e6),
            "asleep": self.asleep,
        }

    def lines(self) -> Iterable[str]:
        yield (
            f"{self.found} files found, {self.new} new or changed, {self.gone} gone; "
            f"{self.drained.ready} made searchable, {self.drained.failed} failed, in {self.took_s:.1f} s"
        )
        if self.drained.ready:
            yield stage_line(self.drained.seconds)
            speed = self.video_s / self.took_s if self.took_s else 0.0
            memory = self.drained.peak_bytes / 1e6
            yield f"{speed:.1f} times as fast as the videos play; a worker took at most {memory:.0f} MB"
        if self.drained.failed:
            yield "See why: m2hf-app failures"
        if not self.found:
            yield "No video files were found there."
        for kind, reason in self.asleep.items():
            yield f"asleep: {kind}. {reason}"


def stage_line(seconds: Mapping[str, float]) -> str:
    """Where a worker's time went: work by stage, the longest first, then what its two halves waited for."""
    spent = sorted(seconds.items(), key=lambda entry: -entry[1])
    work = [
        f"{stage.replace('_', ' ')} {took:.1f} s" for stage, took in spent if not stage.startswith("waited")
    ]
    waits = [f"{stage.replace('_', ' ')} {took:.1f} s" for stage, took in spent if stage.startswith("waited")]
    return "; ".join(part for part in (", ".join(work), ", ".join(waits)) if part)


def index_folders(
    library: Library, paths: Sequence[Path], *, device: str | None, progress: Progress
) -> IndexReport:
    """Extract everything in `paths` (none: every folder of the library) that this preset has not extracted yet.

    Raises `LibraryBusy` when another program indexes, `Interrupted` when cancelled; what was finished stays.
    """
    began = time.monotonic()
    configs = worker_configs(library, device)  # before anything is remembered of a command that cannot run
    library.paths.data.mkdir(parents=True, exist_ok=True)
    hold = paused_by_owner(library.store)
    if hold() is not None:
        raise KnownError("Indexing is paused.", "Go on with: m2hf-app resume")
    with WriterLock(library.paths.writer_lock):
        targets = _folders_to_index(library, paths)
        reconciled = [_reconcile_settled(library, folder_id, root, progress) for folder_id, root in targets]
        with library.store.library.writing() as session:
            jobs.release_abandoned(session)
            before = status.status(session).seconds_done
        drained = DrainReport()
        if anything_to_do(library):  # the start of a worker takes seconds
            supervisor = Supervisor(
                library.store,
                configs,
                progress,
                on_ready=lambda ready: queue_missing(library, ready),
                hold=hold,
                settle=lambda video_id: set_aside_short(library, video_id),
            )
            drained = supervisor.drain()
        with library.store.library.reading() as session:
            after = status.status(session).seconds_done
    return _report(reconciled, drained, library.offer(), time.monotonic() - began, after - before)


def set_aside_short(
    library: Library, video_id: int | None = None, settings: LiveSettings | None = None
) -> None:
    """Apply the setting `shortest_s`, as it is now (or as `settings` have it), to one video or to all."""
    chosen = settings if settings is not None else Settings.load(library.paths)
    shortest_s = float(str(chosen.get("shortest_s")))
    with library.store.library.writing() as session:
        failures.set_aside_short(session, shortest_s, video_id)


def worker_configs(
    library: Library, device: str | None, settings: LiveSettings | None = None
) -> list[WorkerConfig]:
    """One worker per device, which share the cores. Raises `UsageError` for a word that names none.

    `settings` stand for those that the library was opened with.
    """
    chosen = settings or library.settings
    names = _devices(str(chosen.get("device")), device)
    return [
        WorkerConfig(
            preset=library.preset.id,
            device=name,
            threads=max(1, (os.cpu_count() or 1) // len(names)),
            staging=library.paths.staging,
            posters=library.paths.thumbnails,
            read_text=chosen.get("read_text") == "on",
        )
        for name in names
    ]


def _reconcile_settled(library: Library, folder_id: int, root: Path, progress: Progress) -> Reconciled:
    """Reconcile a folder, and wait a moment for files that were written just now; those still growing are named."""
    ignore = library.settings.get("ignore")
    assert isinstance(ignore, tuple)
    found = reconcile(library.store, folder_id, root, ignore, progress, settle_s=SETTLE_S)
    for _ in range(SETTLE_ROUNDS):
        if not found.unsettled:
            return found
        time.sleep(SETTLE_S)
        again = reconcile(
            library.store, folder_id, root, ignore, progress, only=found.unsettled, settle_s=SETTLE_S
        )
        found = replace(
            found,
            found=found.found + again.found,
            new=found.new + again.new,
            unsettled=again.unsettled,
        )
    growing = [f"{path} is still being written: index again when it is done." for path in found.unsettled]
    return replace(found, notices=(*found.notices, *growing))


def _devices(chosen: str, asked: str | None) -> list[str]:
    """`cuda:0,cuda:1` is one worker on each. Raises `UsageError` for a word that names no device."""
    if asked is None:
        return chosen.split(",")
    try:
        return str(DECLARED["device"].parse(asked)).split(",")
    except ValueError as error:
        raise UsageError(f"{asked!r} is no device: {error}.") from error


def _folders_to_index(library: Library, paths: Sequence[Path]) -> list[tuple[int, Path]]:
    resolved = [resolve_folder(path) for path in paths]
    with library.store.library.writing() as session:
        for path in resolved:
            forget.take_in_again(session, str(path))
        if resolved:
            return [(folders.add_folder(session, path), path) for path in resolved]
    return watchable(library)


def watchable(library: Library) -> list[tuple[int, Path]]:
    """The watched folders. Raises `KnownError` when there is none."""
    with library.store.library.reading() as session:
        known = [(row.folder_id, Path(row.path)) for row in folders.list_folders(session) if row.watched]
    if not known:
        raise KnownError("This library watches no folder yet.", "Name one, as in: m2hf-app index ~/Videos")
    return known


def queue_missing(library: Library, ready: Ready, settings: LiveSettings | None = None) -> None:
    """Queue every video that lacks something the workers offer."""
    asleep = {_KIND_OF_BRANCH.get(branch, branch): reason for branch, reason in ready.asleep.items()}
    library.remember_offer(Offer(ready.offered, asleep, _ingredients(library, settings)))
    present = _present_videos(library)
    with library.store.library.writing() as session:
        queue_wanted(session, present, ready.offered.values())


def anything_to_do(library: Library, settings: LiveSettings | None = None) -> bool:
    """Whether some video lacks what the workers would offer, as far as can be told without starting one."""
    set_aside_short(library, settings=settings)
    present = _present_videos(library)
    offer = library.offer()
    if present and (not offer.fingerprints or list(offer.weights) != _ingredients(library, settings)):
        return True
    with library.store.library.writing() as session:
        queue_wanted(session, present, offer.fingerprints.values())
        counts = jobs.counts(session)
    return counts["queued"] > 0


def _ingredients(library: Library, settings: LiveSettings | None) -> list[tuple[str, str, int, int]]:
    """What decides on the offer of a worker: the weights that are here, and what is asked of it beyond them."""
    reads_text = (settings or library.settings).get("read_text") == "on"
    asked = [("read_text", "on", 0, 0)] if reads_text else []
    return [*weights_here(library.preset), *asked]


def _present_videos(library: Library) -> dict[int, list[str]]:
    """The videos that can be read now, each with where it lies."""
    present: dict[int, list[str]] = {}
    with library.store.library.reading() as session:
        for row in folders.list_folders(session):
            for path, known in files.known_paths(session, row.folder_id).items():
                if known.state == "present" and path not in present.setdefault(known.video_id, []):
                    present[known.video_id].append(path)
    return {video_id: paths for video_id, paths in sorted(present.items()) if paths}


_KIND_OF_BRANCH = {"visual": "clip", "audio": "vggish", "motion": "s3d", "speech": "speech"}
assert tuple(_KIND_OF_BRANCH.values()) == KINDS


def _report(
    reconciled: Sequence[Reconciled], drained: DrainReport, offer: Offer, took_s: float, video_s: float
) -> IndexReport:
    return IndexReport(
        found=sum(entry.found for entry in reconciled),
        new=sum(entry.new for entry in reconciled),
        gone=sum(entry.gone for entry in reconciled),
        drained=drained,
        asleep=dict(offer.asleep),
        took_s=took_s,
        video_s=video_s,
        notices=(*(notice for entry in reconciled for notice in entry.notices), *drained.notices),
    )
