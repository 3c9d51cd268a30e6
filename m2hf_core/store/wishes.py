"""What the owner wants of whichever program indexes at present, told through the library itself.

The window, a terminal and a service may all be open on one library; only one of them extracts. Each writes its wish
here, and the one that extracts looks several times a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from m2hf_core.store import meta
from m2hf_core.store.models import Meta

PAUSED, RESCAN = "wish:paused", "wish:rescan"


@dataclass(frozen=True, slots=True)
class Wishes:
    paused: bool
    rescans: int
    """Counts upwards; a change asks for a look at every folder."""


def wishes(session: Session) -> Wishes:
    rows = dict(session.execute(select(Meta.key, Meta.value).where(Meta.key.in_((PAUSED, RESCAN)))).all())
    return Wishes(PAUSED in rows, int(rows.get(RESCAN, "0")))


def set_paused(session: Session, paused: bool) -> bool:
    """Pause or go on; whether that changed anything."""
    before = wishes(session).paused
    if paused:
        meta.put_value(session, PAUSED, "1")
    else:
        session.execute(delete(Meta).where(Meta.key == PAUSED))
    session.flush()
    return before != paused


def ask_for_rescan(session: Session) -> None:
    meta.put_value(session, RESCAN, str(wishes(session).rescans + 1))
    session.flush()
