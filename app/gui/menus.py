"""The keys of the window and the menu of everything that no panel has a button for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.actions import Actions

Act = Callable[[], object]


class Menus(QObject):
    """`entries` are (words, key, what to do); the key may be empty."""

    def __init__(
        self,
        window: QWidget,
        actions: Actions,
        entries: Sequence[tuple[str, str, Act]],
        keys: Sequence[tuple[str, Act]],
    ) -> None:
        super().__init__(window)
        self._actions = actions
        self.more = QMenu(window)
        self.entries: list[QAction] = []
        for text, key, act in entries:
            action = QAction(text, window)
            if key:
                action.setShortcut(QKeySequence(key))
            action.triggered.connect(lambda _=False, act=act: act())
            window.addAction(action)
            self.entries.append(action)
            self.more.addAction(action)
        after_searching = self.entries[2]
        self.more.insertActions(after_searching, [actions.undo, actions.redo])
        self.more.insertSeparator(after_searching)
        for key, act in keys:
            QShortcut(QKeySequence(key), window).activated.connect(act)

    def add_choice(self, text: str, on: bool, changed: Callable[[bool], object]) -> QAction:
        """One more entry, that is on or off."""
        action = QAction(text, self, checkable=True)
        action.setChecked(on)
        action.toggled.connect(changed)
        self.more.addSeparator()
        self.more.addAction(action)
        return action

    def all_keys(self) -> list[tuple[str, str]]:
        """Every key and what it does, for the person."""
        rows = [
            ("Ctrl+F", self.tr("Search field")),
            ("Esc", self.tr("Clear the field")),
            (self.tr("Arrows"), self.tr("Through the moments")),
            (self.tr("Enter, Space"), self.tr("Play or pause")),
            (self.tr("+ −"), self.tr("Unfold or fold what is probably not meant")),
            ("1 2 3 4", self.tr("Visual, audio, motion, speech on or off")),
            (", .", self.tr("A frame back, a frame on")),
            (self.tr("Menu, Shift+F10"), self.tr("Everything that can be done with the moment")),
        ]
        rows.extend(
            (_key(action), action.text().removesuffix("…"))
            for action in (*self._actions.all(), self._actions.export, *self.entries)
            if not action.shortcut().isEmpty()
        )
        # Their own words name what would be taken back now.
        rows.append((_key(self._actions.undo), self.tr("Undo")))
        rows.append((_key(self._actions.redo), self.tr("Redo")))
        rows.append(("P, X", self.tr("A caption is right, or wrong, for the moment")))
        return rows


def _key(action: QAction) -> str:
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
