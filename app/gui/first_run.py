"""The first minute: which folders, which models, or the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QPainter, QPaintEvent, QPalette, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialog import Dialog, films, muted
from app.gui.theme import STEP

Document = Mapping[str, Any]


class FirstRunDialog(Dialog):
    """`begun` with folders and a preset; `demo_wanted` instead."""

    begun = Signal(object, str)
    demo_wanted = Signal()

    def __init__(self, presets: Sequence[Document], active: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Welcome"))
        self.resize(150 * STEP, 150 * STEP)
        title = QLabel(self.tr("Which videos do you want to search?"))
        title.setObjectName("title")
        self.folders = _Folders()
        self.folders.setAccessibleName(self.tr("Folders"))
        self.folders.setObjectName("boxed")
        self.folders.setFixedHeight(18 * STEP)
        self.add = QPushButton(self.tr("Add folder…"))
        self.add.clicked.connect(self._choose)
        self.take_away = QPushButton(self.tr("Remove"))
        self.take_away.setEnabled(False)
        self.take_away.clicked.connect(self._take_away)
        self.folders.currentRowChanged.connect(lambda row: self.take_away.setEnabled(row >= 0))
        delete = QShortcut(QKeySequence.StandardKey.Delete, self.folders, self._take_away)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        self.presets = QButtonGroup(self)
        self._pace: dict[str, QLabel] = {}
        choices = QWidget()
        choices.setObjectName("panel")
        column = QVBoxLayout(choices)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(STEP)
        for preset in presets:
            if preset["id"] != "demo":  # it knows only the demo's own world
                self._offer(preset, active, column)
        column.addStretch(1)
        area = QScrollArea()
        area.setObjectName("panel")
        area.setWidgetResizable(True)
        area.setWidget(choices)
        self.begin = QPushButton(self.tr("Begin"))
        self.begin.setObjectName("main")
        self.begin.setEnabled(False)
        self.begin.clicked.connect(self._begin)
        self.demo = QPushButton(self.tr("Try the demo first"))
        self.demo.setObjectName("link")
        self.demo.clicked.connect(self._demo)
        head = QLabel(self.tr("MODELS"))
        head.setObjectName("head")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6 * STEP, 6 * STEP, 6 * STEP, 5 * STEP)
        layout.setSpacing(3 * STEP)
        layout.addWidget(title)
        layout.addWidget(
            muted(
                self.tr(
                    "Everything stays on this machine. Folders are watched, so new videos become searchable by "
                    "themselves. Words of subtitles and file names can be searched without any models."
                )
            )
        )
        layout.addWidget(self.folders)
        row = QHBoxLayout()
        row.addWidget(self.add)
        row.addWidget(self.take_away)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addWidget(head)
        layout.addWidget(
            muted(
                self.tr(
                    "Speeds are estimated for this machine's processor, without listening to speech. A graphics card "
                    "is several times faster."
                )
            )
        )
        layout.addWidget(area, 1)
        foot = QHBoxLayout()
        foot.addWidget(self.demo)
        foot.addStretch(1)
        foot.addWidget(self.begin)
        layout.addLayout(foot)

    def take_folder(self, folder: Path) -> None:
        """One more folder to watch."""
        known = [self.folders.item(row).text() for row in range(self.folders.count())]
        if str(folder) not in known:
            item = QListWidgetItem(str(folder))
            item.setToolTip(str(folder))
            self.folders.addItem(item)
        self.begin.setEnabled(True)

    def _take_away(self) -> None:
        """The chosen folder is not meant after all."""
        self.folders.takeItem(self.folders.currentRow())
        self.begin.setEnabled(self.folders.count() > 0)

    def show_pace(self, hours: Mapping[str, float]) -> None:
        """Hours of this machine for an hour of video, by preset."""
        for preset, label in self._pace.items():
            if preset in hours:
                label.setText(self._pace_in_words(hours[preset]))

    def _pace_in_words(self, hours: float) -> str:
        """As coarse as the estimate is."""
        minutes = 60 * hours
        if minutes < 90:
            took = self.tr("{} minutes").format(max(5, 5 * round(minutes / 5)))
        else:
            took = self.tr("{:g} hours").format(round(2 * hours) / 2)
        return self.tr("Speed: about {} for an hour of video").format(took)

    def preset(self) -> str:
        button = self.presets.checkedButton()
        return button.objectName() if button is not None else ""

    def _offer(self, preset: Document, active: str, column: QVBoxLayout) -> None:
        button = QRadioButton(f"{preset['title']}  ({preset['size']}, {preset['state']})")
        button.setObjectName(str(preset["id"]))
        button.setChecked(preset["id"] == active)
        self.presets.addButton(button)
        column.addWidget(button)
        told = muted(self.tr("{} Licence: {}").format(preset["sentence"], preset["licence"]))
        told.setContentsMargins(7 * STEP, 0, 0, 0)
        column.addWidget(told)
        pace = muted(self.tr("Speed: being estimated"))
        pace.setContentsMargins(7 * STEP, 0, 0, 2 * STEP)
        self._pace[str(preset["id"])] = pace
        column.addWidget(pace)

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Add a folder with videos"), films())
        if chosen:
            self.take_folder(Path(chosen))

    def _begin(self) -> None:
        folders = [Path(self.folders.item(row).text()) for row in range(self.folders.count())]
        self.begun.emit(folders, self.preset())
        self.accept()

    def _demo(self) -> None:
        self.demo_wanted.emit()
        self.accept()


class _Folders(QListWidget):
    """Says that it waits for folders while it is empty; a long path loses its middle, not its end."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        if not self.count():
            painter = QPainter(self.viewport())
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            area = self.viewport().rect()
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, self.tr("No folder chosen yet"))
