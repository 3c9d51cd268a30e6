r"""The queue: one job per video, which says what the video still needs and who is at it.

    queued -> leased -> done        done -> queued      when something more is wanted
       ^        |  \                failed -> queued    when other things are wanted, or on request
       +--------+   -> failed

`now` is an argument everywhere, in seconds of any clock that all callers share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from m2hf_core.store import files
from m2hf_core.store.models import Job, JobState, Video, VideoPath
from m2hf_core.store.sql import among

JOB_STATES: tuple[JobState, ...] = ("queued", "leased", "done", "failed")

BYTES_PER_SECOND = 1e6
"""Turns a size into a guess of the duration, to order videos that nobody has looked into yet."""

LOOKED_AT, OPENED = 10, 20
"""Priorities: what a search could not see is above what merely lies there, and what somebody opens above both."""

MAX_ABANDONED = 3
"""How often the whole program may end while it reads one file before that file is set aside."""

ABANDONED = {
    "stage": "read",
    "reason": f"The whole program ended {MAX_ABANDONED} times while it read this file.",
    "hint": "Try again with: m2hf-app failures --retry",
}

NO_OTHERS: Mapping[int, str] = MappingProxyType({})

FRESH: dict[str, Any] = {
    "state": "queued",
    "attempts": 0,
    "stage": None,
    "reason": None,
    "hint": None,
    "quarantined": False,
    "lease_owner": None,
    "lease_until": None,
}


@dataclass(frozen=True, slots=True)
class Lease:
    """A video to work on."""

    job_id: int
    video_id: int
    fingerprint: str
    path: str
    wanted: tuple[str, ...]
    done_with: tuple[str, ...]
    attempts: int
    """How often it was leased, this time included: a worker that dies each time shows here."""
    duration_s: float | None


def queue(
    session: Session,
    video_ids: Iterable[int],
    wanted: Collection[str],
    *,
    priority: int = 0,
    also: Mapping[int, str] = NO_OTHERS,
) -> int:
    """Want these extractors for these videos; answers how many jobs became queued by it.

    `also` names one thing more for some of the videos, such as the stamp of what lies beside them.

    Idempotent. A done job is queued again when something wanted is not done yet. A failed one is queued again
    when the wanted set changes, or when it was not quarantined; then it failed for a reason that may pass.
    `priority` is for new jobs only; see `set_priority`.
    """
    ids = list(dict.fromkeys(video_ids))
    common_aim = set(wanted)
    aims = {id_: sorted(common_aim | ({also[id_]} if id_ in also else set())) for id_ in ids}
    jobs = {job.video_id: job for job in session.scalars(select(Job).where(among(Job.video_id, ids)))}
    queued = sum(_want(job, aims[job.video_id]) for job in jobs.values())
    session.flush()
    costs = _costs(session, [video_id for video_id in ids if video_id not in jobs])
    if costs:
        common = {**FRESH, "done_with": [], "turn": -priority}
        rows = [
            {
                **common,
                "video_id": id_,
                "cost": cost,
                "wanted": aims[id_],
                "state": "queued" if aims[id_] else "done",
            }
            for id_, cost in costs
        ]
        session.execute(insert(Job), rows)
    return queued + sum(bool(aims[id_]) for id_, _ in costs)


def wanted_by_video(session: Session) -> dict[int, list[str]]:
    """What every job wants, by its video."""
    return dict(session.execute(select(Job.video_id, Job.wanted)).all())


def _want(job: Job, aim: list[str]) -> bool:
    """Change one job's aim; whether it became queued by it."""
    changed = job.wanted != aim
    if changed:
        job.wanted = aim
    if job.state == "leased":
        return False
    before = job.state
    if set(aim) <= set(job.done_with):
        after = "done"
    elif before == "failed" and job.quarantined and not changed:
        after = "failed"
    else:
        after = "queued"
    if after != before:
        values = dict(FRESH, state=after)
        if before == "failed" and not changed:
            del values["attempts"]
        for name, value in values.items():
            setattr(job, name, value)
    return after == "queued" and before != "queued"


def _costs(session: Session, video_ids: list[int]) -> list[tuple[int, float]]:
    """The videos that exist, each with its duration or a guess of it."""
    size = func.coalesce(func.max(VideoPath.size), 0) / BYTES_PER_SECOND
    rows = session.execute(
        select(Video.id, func.coalesce(Video.duration_s, size))
        .outerjoin(VideoPath, VideoPath.video_id == Video.id)
        .where(among(Video.id, video_ids))
        .group_by(Video.id)
        .order_by(Video.id)
    )
    return [(video_id, float(cost)) for video_id, cost in rows]


def lease_next(session: Session, owner: str, now: float, lease_s: float) -> Lease | None:
    """Take the next job: higher priority, then shorter video, then added first. None when nothing can be done.

    Only videos with a present path are taken; those of offline folders wait.
    """
    lying = (
        select(VideoPath.id)
        .where(VideoPath.video_id == Job.video_id, VideoPath.state == "present")
        .order_by(VideoPath.id)
        .limit(1)
        .correlate(Job)
        .scalar_subquery()
    )
    row = session.execute(
        select(
            Job.id,
            Job.video_id,
            Video.fingerprint,
            VideoPath.path,
            Job.wanted,
            Job.done_with,
            Job.attempts + 1,
            Video.duration_s,
        )
        .join(VideoPath, VideoPath.id == lying)
        .join(Video, Video.id == Job.video_id)
        .where(Job.state == "queued")
        .order_by(Job.turn, Job.cost, Job.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    job_id, video_id, fingerprint, path, wanted, done_with, attempts, duration_s = row
    values = {"state": "leased", "lease_owner": owner, "lease_until": now + lease_s, "attempts": attempts}
    session.execute(update(Job).where(Job.id == job_id).values(**values))
    return Lease(job_id, video_id, fingerprint, path, tuple(wanted), tuple(done_with), attempts, duration_s)


def renew(session: Session, job_id: int, owner: str, now: float, lease_s: float) -> bool:
    """Prolong a lease; False when the owner has it no more and should stop."""
    job = session.get(Job, job_id)
    if job is None or job.state != "leased" or job.lease_owner != owner:
        return False
    job.lease_until = now + lease_s
    session.flush()
    return True


def finish(
    session: Session, job_id: int, done_with: Collection[str], info: files.VideoInfo | None = None
) -> bool:
    """End a job with what is now extracted; False when the video was forgotten meanwhile.

    When more was wanted while it ran, the job is queued again for the rest. What is done counts even from an
    owner whose lease ran out.
    """
    job = session.get(Job, job_id)
    if job is None:
        return False
    done = sorted({*job.done_with, *done_with})
    attempts = job.attempts
    for name, value in FRESH.items():
        setattr(job, name, value)
    job.done_with = done
    if set(job.wanted) <= set(done):
        job.state = "done"
    else:
        job.attempts = attempts
    if info is not None:
        files.put_info(session, job.video_id, info)
        job.cost = info.duration_s
    session.flush()
    return True


def fail(
    session: Session, job_id: int, stage: str, reason: str, hint: str, *, quarantine: bool = True
) -> bool:
    """End a job without success; False when the video was forgotten meanwhile.

    Quarantined, it stays failed until its wanted set changes or its owner asks for a retry. Otherwise the next
    `queue` tries again.
    """
    job = session.get(Job, job_id)
    if job is None:
        return False
    job.state, job.quarantined = "failed", quarantine
    job.stage, job.reason, job.hint = stage, reason, hint
    job.lease_owner = job.lease_until = None
    session.flush()
    return True


def release_abandoned(session: Session) -> int:
    """Queue again whatever is leased, for a new owner of the library; answers how many.

    Those who leased it ended with their program, without giving it back as a clean end does. A power cut does that,
    but so does a file that takes everything down with it: each time it goes behind the others, and after
    `MAX_ABANDONED` times it is set aside.
    """
    session.expire_all()
    connection = session.connection()
    leased = update(Job).where(Job.state == "leased")
    nobodys = {"lease_owner": None, "lease_until": None}
    again = leased.where(Job.attempts < MAX_ABANDONED)
    released = connection.execute(again.values(state="queued", turn=Job.turn + 1, **nobodys)).rowcount
    connection.execute(leased.values(state="failed", quarantined=True, **ABANDONED, **nobodys))
    return released


def release(session: Session, job_ids: Iterable[int], *, forgive: bool) -> int:
    """Queue leased jobs again; answers how many. `forgive` takes back the attempt, where the file is not to blame."""
    attempts = func.max(Job.attempts - 1, 0) if forgive else Job.attempts
    turn = Job.turn if forgive else Job.turn + 1
    back = update(Job).where(Job.state == "leased", among(Job.id, job_ids))
    session.expire_all()
    values = {"state": "queued", "lease_owner": None, "lease_until": None, "attempts": attempts, "turn": turn}
    return session.connection().execute(back.values(**values)).rowcount


def waiting(session: Session) -> list[tuple[int, str]]:
    """(video, one of its paths) of every queued job whose file is here."""
    rows = select(Job.video_id, VideoPath.path).join(VideoPath, VideoPath.video_id == Job.video_id)
    here = rows.where(Job.state == "queued", VideoPath.state == "present").order_by(
        Job.video_id, VideoPath.id
    )
    return [(video_id, path) for video_id, path in session.execute(here)]


def set_priority(
    session: Session, video_ids: Iterable[int], priority: int, *, only_raise: bool = False
) -> None:
    """Higher goes first; 0 is ordinary. `only_raise` leaves alone what goes sooner already."""
    chosen = update(Job).where(among(Job.video_id, video_ids))
    if only_raise:
        chosen = chosen.where(Job.turn > -priority)
    session.connection().execute(chosen.values(turn=-priority))
    session.expire_all()


def reset_opened(session: Session) -> None:
    """Back to ordinary for what had been opened; what was put last for its failures stays there."""
    session.connection().execute(update(Job).where(Job.turn <= -OPENED).values(turn=0))
    session.expire_all()


def reopen(session: Session, missing: Iterable[tuple[str, str]]) -> int:
    """Take back that these (fingerprint, extractor) pairs are done, and queue their jobs; answers how many jobs."""
    lost: dict[str, set[str]] = {}
    for fingerprint, extractor in missing:
        lost.setdefault(fingerprint, set()).add(extractor)
    rows = session.execute(select(Job, Video.fingerprint).join(Video).where(among(Video.fingerprint, lost)))
    count = 0
    for job, fingerprint in rows:
        job.done_with = [name for name in job.done_with if name not in lost[fingerprint]]
        count += _want(job, job.wanted)
    session.flush()
    return count


def reopen_all(session: Session) -> int:
    """Take back everything that is done, because the features are gone; answers how many jobs were opened."""
    session.expire_all()
    connection = session.connection()
    emptied = update(Job).values(done_with=[])
    finished = update(Job).where(Job.state == "done", func.json_array_length(Job.wanted) > 0)
    count = connection.execute(finished.values(state="queued", attempts=0)).rowcount
    connection.execute(emptied)
    return count


def counts(session: Session) -> dict[JobState, int]:
    """How many jobs are in each state."""
    found = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
    return {state: found.get(state, 0) for state in JOB_STATES}
