"""What the window remembers between two starts, beside the library's own data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

HISTORY = 30


class Session:
    """A small file in the data folder. A value that cannot be read counts as not there."""

    def __init__(self, data_dir: Path) -> None:
        self._file = QSettings(str(data_dir / "window.ini"), QSettings.Format.IniFormat)

    def texts(self, key: str) -> list[str]:
        try:
            found = json.loads(str(self._file.value(key, "[]")))
        except json.JSONDecodeError:
            return []
        return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []

    def put_texts(self, key: str, texts: Sequence[str]) -> None:
        self._file.setValue(key, json.dumps(list(texts)))

    def text(self, key: str, default: str = "") -> str:
        return str(self._file.value(key, default))

    def put_text(self, key: str, value: str) -> None:
        self._file.setValue(key, value)

    def flag(self, key: str) -> bool:
        return self.text(key) == "true"

    def put_flag(self, key: str, on: bool) -> None:
        self.put_text(key, "true" if on else "false")

    def state(self, key: str) -> QByteArray:
        found = self._file.value(key)
        return found if isinstance(found, QByteArray) else QByteArray()

    def put_state(self, key: str, state: QByteArray) -> None:
        self._file.setValue(key, state)

    def remember_search(self, text: str) -> list[str]:
        """Put a search first in the history; what it merely continues is replaced."""
        rest = [known for known in self.texts("recent") if known != text and not text.startswith(known)]
        history = [text, *rest][:HISTORY]
        self.put_texts("recent", history)
        return history

    def write(self) -> None:
        self._file.sync()
