"""The settings, drawn from their declaration: a field each, with what it does below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from app.gui.dialog import Choice, Dialog, Hint, closing, muted
from app.gui.records import fusion_names
from app.gui.theme import STEP

Document = Mapping[str, Any]


class SettingsDialog(Dialog):
    """A field per declared setting; `changed` as soon as one is chosen or left."""

    changed = Signal(str, str)

    def __init__(self, described: Sequence[Document], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Settings"))
        self.resize(160 * STEP, 150 * STEP)
        self.fields: dict[str, QComboBox | QLineEdit] = {}
        form = QFormLayout()
        form.setContentsMargins(0, 0, 2 * STEP, 0)
        form.setVerticalSpacing(2 * STEP)
        form.setHorizontalSpacing(4 * STEP)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignTop)
        for setting in described:
            name = str(setting["id"])
            field = self._field(name, setting)
            field.setAccessibleName(str(setting["title"]))
            self.fields[name] = field
            explained = QWidget()
            column = QVBoxLayout(explained)
            column.setContentsMargins(0, 0, 0, 2 * STEP)
            column.setSpacing(STEP)
            column.addWidget(field)
            column.addWidget(Hint(str(setting["help"])))
            form.addRow(str(setting["title"]), explained)
        self.trouble = muted("")
        self.trouble.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP, 5 * STEP, 5 * STEP, 4 * STEP)
        fields = QWidget()
        fields.setObjectName("panel")
        fields.setLayout(form)
        area = QScrollArea()
        area.setObjectName("panel")
        area.setWidgetResizable(True)
        area.setWidget(fields)
        layout.addWidget(area, 1)
        layout.addWidget(self.trouble)
        layout.addWidget(closing(self))

    def say(self, sentence: str) -> None:
        """Why a value was refused."""
        self.trouble.setText(sentence)
        self.trouble.setVisible(bool(sentence))

    def _field(self, name: str, setting: Document) -> QComboBox | QLineEdit:
        value = setting["value"]
        if setting["kind"] == "choice":
            names = self._names() | (fusion_names() if name == "fusion" else {})
            box = Choice()
            for choice in dict.fromkeys([*map(str, setting["choices"]), str(value)]):
                box.addItem(names.get(choice, choice), choice)
            box.setCurrentIndex(box.findData(str(value)))
            box.currentIndexChanged.connect(lambda _: self.changed.emit(name, str(box.currentData())))
            return box
        line = QLineEdit(", ".join(value) if isinstance(value, tuple | list) else str(value))
        line.editingFinished.connect(lambda: self._edited(name, line))
        return line

    def _names(self) -> dict[str, str]:
        """How choices are shown; others as they are declared."""
        return {
            "on": self.tr("on"),
            "off": self.tr("off"),
            "work": self.tr("it goes on"),
            "wait": self.tr("it waits"),
        }

    def _edited(self, name: str, line: QLineEdit) -> None:
        if line.isModified():
            line.setModified(False)
            self.changed.emit(name, line.text())
