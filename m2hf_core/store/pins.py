"""Pins: which hits the owner called right or wrong for which words. They test a new scorer, and train one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from m2hf_core.store.columns import plain
from m2hf_core.store.models import Pin, Verdict


@dataclass(frozen=True, slots=True)
class PinRow:
    pin_id: int
    text: str
    video_id: int
    start_s: float
    end_s: float
    verdict: Verdict


def put_pin(
    session: Session, text: str, video_id: int, start_s: float, end_s: float, verdict: Verdict
) -> None:
    """Note a verdict; a second one on the same words and times replaces the first.

    Raises `ValueError` for no words or times that do not go forward.
    """
    words = " ".join(plain(text).split())
    if not words or not 0 <= start_s < end_s:
        raise ValueError(f"no pin for {text!r} from {start_s} to {end_s}")
    values = {"text": words, "video_id": video_id, "start_s": start_s, "end_s": end_s, "verdict": verdict}
    statement = insert(Pin).values(added_at=time.time(), **values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["text", "video_id", "start_s", "end_s"], set_={"verdict": verdict}
        )
    )


def list_pins(session: Session, *, text: str | None = None, verdict: Verdict | None = None) -> list[PinRow]:
    """Pins in the order in which they came, of one query or verdict if given."""
    chosen = select(Pin.id, Pin.text, Pin.video_id, Pin.start_s, Pin.end_s, Pin.verdict).order_by(Pin.id)
    if text is not None:
        chosen = chosen.where(Pin.text == " ".join(plain(text).split()))
    if verdict is not None:
        chosen = chosen.where(Pin.verdict == verdict)
    return [PinRow(*row) for row in session.execute(chosen)]


def has_pin(session: Session, verdict: Verdict) -> bool:
    """Whether anything was ever judged so."""
    return session.scalar(select(Pin.id).where(Pin.verdict == verdict).limit(1)) is not None


def remove_pin(session: Session, text: str, video_id: int, start_s: float, end_s: float) -> bool:
    """Take a verdict back; False when there was none."""
    words = " ".join(plain(text).split())
    doomed = delete(Pin).where(
        Pin.text == words, Pin.video_id == video_id, Pin.start_s == start_s, Pin.end_s == end_s
    )
    return session.connection().execute(doomed).rowcount == 1
