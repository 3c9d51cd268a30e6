"""Column types for what people's disks really hold: odd file names and text that is not quite text."""

from __future__ import annotations

import os
import re
from typing import Any

from sqlalchemy import LargeBinary, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class PathBytes(TypeDecorator[str]):
    """A path as the operating system's own bytes, so that names which are not UTF-8 survive unchanged.

    In Python it is `str` with surrogate escapes, as `os.fsdecode` gives it; comparisons are by byte,
    which is what makes "everything below this folder" a range of the unique index.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else os.fsdecode(value)


class PlainText(TypeDecorator[str]):
    """Text that SQLite can hold and search: see `plain`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else plain(value)


SURROGATE = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` with unencodable characters shown as U+FFFD and without NUL, which ends a string inside SQLite."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).replace("\0", "")


def shown(path: str | os.PathLike[str]) -> str:
    """A path for a sentence: odd bytes become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")
