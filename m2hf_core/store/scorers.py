"""Trained scorers: which there are, and which one answers for a preset."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2hf_core.store.models import Scorer


@dataclass(frozen=True, slots=True)
class ScorerRow:
    scorer_id: str
    preset: str
    state: str
    file: str | None
    info: Mapping[str, object]
    active: bool
    added_at: float


def register(
    session: Session, scorer_id: str, preset: str, state: str, file: str | None, info: Mapping[str, object]
) -> None:
    """Note a scorer; one that is known gets the new particulars and stays as active as it was."""
    values = {"preset": preset, "state": state, "file": file, "info": dict(info)}
    statement = insert(Scorer).values(id=scorer_id, added_at=time.time(), **values)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def list_scorers(session: Session, preset: str | None = None) -> list[ScorerRow]:
    """All scorers, or those of a preset, in the order in which they came."""
    chosen = select(Scorer).order_by(Scorer.added_at, Scorer.id)
    if preset is not None:
        chosen = chosen.where(Scorer.preset == preset)
    leaders = dict(
        session.execute(select(Scorer.preset, func.max(Scorer.activation)).group_by(Scorer.preset)).all()
    )
    rows = session.scalars(chosen.execution_options(populate_existing=True))
    return [
        ScorerRow(
            row.id,
            row.preset,
            row.state,
            row.file,
            row.info,
            row.activation is not None and row.activation == leaders[row.preset],
            row.added_at,
        )
        for row in rows
    ]


def active(session: Session, preset: str) -> ScorerRow | None:
    """The scorer that answers for this preset, None before any was activated."""
    return next((row for row in list_scorers(session, preset) if row.active), None)


def activate(session: Session, scorer_id: str) -> bool:
    """Let this scorer answer for its preset; False when it is not known."""
    highest = session.scalar(select(func.max(Scorer.activation))) or 0
    chosen = update(Scorer).where(Scorer.id == scorer_id).values(activation=highest + 1)
    return session.connection().execute(chosen).rowcount == 1


def roll_back(session: Session, preset: str) -> ScorerRow | None:
    """Let the scorer before the active one answer again and return it; None, and no change, if there is none."""
    last = session.scalars(
        select(Scorer.id)
        .where(Scorer.preset == preset, Scorer.activation.is_not(None))
        .order_by(Scorer.activation.desc())
        .limit(2)
    ).all()
    if len(last) < 2:
        return None
    session.connection().execute(update(Scorer).where(Scorer.id == last[0]).values(activation=None))
    return active(session, preset)


def deactivate(session: Session, preset: str) -> None:
    """Let no trained scorer answer for this preset, and forget which ones did."""
    session.execute(update(Scorer).where(Scorer.preset == preset).values(activation=None))


def remove(session: Session, scorer_id: str) -> bool:
    """Forget a scorer; its file is the caller's. False when it is not known."""
    return session.connection().execute(delete(Scorer).where(Scorer.id == scorer_id)).rowcount == 1
