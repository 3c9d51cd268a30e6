"""Small facts about the library itself, by key; what needs a table of its own does not belong here."""

from __future__ import annotations

from sqlalchemy.orm import Session

from m2hf_core.store.models import Meta


def get_value(session: Session, key: str) -> str | None:
    row = session.get(Meta, key)
    return None if row is None else row.value


def put_value(session: Session, key: str, value: str) -> None:
    session.merge(Meta(key=key, value=value))
