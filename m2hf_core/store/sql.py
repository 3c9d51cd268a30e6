"""The one SQL idiom that every subject needs: a list of any length as a single parameter."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute


def among(column: InstrumentedAttribute[Any], values: Iterable[int] | Iterable[str]) -> ColumnElement[bool]:
    """`column IN (values)`, passed as JSON: no limit on their number, one cached statement, the index is used."""
    given = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(given.c.value))
