"""The top bar: the search field, the four branches, how ranks become one, and how results are shown."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QMenu, QToolButton, QWidget

from app.gui.icons import dot, icon
from app.gui.records import Ask, fusion_names
from app.gui.theme import STEP, TOP_HEIGHT, Theme
from m2hf_core.records import BRANCHES, FUSIONS, Branch, Fusion

THROTTLE_MS = 40
ROOM_FOR_FIGURES = 265 * STEP
"""A bar that is as wide has the room for some words and for what their search took."""
RECOMMENDED: Fusion = "rrf"
"""Finds more than the paper's fusion once a scorer is trained; the figures are in m2hf_core/training/README.md."""


class SearchBar(QFrame):
    """`asked` while typing and at every change of what is asked; an empty text is asked too."""

    asked = Signal(object)
    arranged = Signal()
    """Sorting, grouping or the form of the list changed."""
    entered = Signal()
    """Enter or the down key: the person goes on to the results."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("top")
        self.setFixedHeight(TOP_HEIGHT)
        self._theme = theme
        self.filters = ""
        """Filter words of the left panel, asked with every text."""
        self.fusion: Fusion = "mmbf"
        self.own_fusion: Fusion | None = None
        """What was chosen here, in place of the library's setting."""
        self._asleep: dict[str, str] = {}
        self.field = QLineEdit()
        self.field.setAccessibleName(self.tr("Search"))
        self.field.setPlaceholderText(self.tr("Describe a moment"))
        self.took = QLabel()
        self._figures = False
        self.took.setObjectName("muted")
        self._frame = QFrame()
        self._frame.setObjectName("field")
        self._frame.setFixedHeight(10 * STEP)
        self._glass = QLabel()
        inner = QHBoxLayout(self._frame)
        inner.setContentsMargins(3 * STEP, 0, 3 * STEP, 0)
        inner.setSpacing(2 * STEP)
        for widget in (self._glass, self.field, self.took):
            inner.addWidget(widget)
        self.chips = {branch: self._chip(branch) for branch in BRANCHES}
        self.fusing = self._menu_button(self.tr("How the branches become one list"))
        self.ordering = self._menu_button(self.tr("Sorting and grouping"))
        self.form = self._icon_button(self.tr("Cards or rows"))
        self.form.setCheckable(True)
        self.form.toggled.connect(self._rearrange)
        self.more = self._icon_button(self.tr("More"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._fusion_menu()
        self._order_menu()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4 * STEP, 0, 3 * STEP, 0)
        layout.setSpacing(3 * STEP)
        layout.addWidget(self._frame, 1)
        chips = QHBoxLayout()
        chips.setSpacing(2 * STEP)
        for chip in self.chips.values():
            chips.addWidget(chip)
        layout.addLayout(chips)
        for button in (self.fusing, self.ordering, self.form, self.more):
            layout.addWidget(button)
        self._throttle = QTimer(self, singleShot=True, interval=THROTTLE_MS)
        self._throttle.timeout.connect(self.ask_now)
        self.field.textChanged.connect(lambda _: self._throttle.start())
        self.field.installEventFilter(self)
        theme.changed.connect(self._dress)
        self._dress()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def tell(self, sentence: str, *, figures: bool = False) -> None:
        """Beside the words. On a narrow window these have the room, not figures."""
        self.took.setText(sentence)
        self._figures = figures
        self._fit()

    def _fit(self) -> None:
        self.took.setVisible(not self._figures or self.width() >= ROOM_FOR_FIGURES)

    def ask(self) -> Ask:
        """What is wished at this moment."""
        chosen = tuple(branch for branch, chip in self.chips.items() if chip.isChecked())
        words = self.field.text().strip()
        return Ask(" ".join(part for part in (words, self.filters) if part), chosen, self.fusion)

    def ask_now(self) -> None:
        self._throttle.stop()
        self.asked.emit(self.ask())

    def search_for(self, text: str) -> None:
        """Put words into the field, as if typed. Of a long sentence its beginning is shown."""
        self.field.setText(text)
        self.field.setCursorPosition(0)
        self.ask_now()

    def choose_all(self) -> None:
        """All four branches."""
        for chip in self.chips.values():
            chip.setChecked(True)

    def suggest(self, examples: Sequence[str]) -> None:
        """Show in the empty field what could be asked."""
        if examples:
            self.field.setPlaceholderText(self.tr("Describe a moment, as in: {}").format(examples[0]))

    @property
    def order(self) -> str:
        """best, name or folder."""
        action = self._orders.checkedAction()
        return str(action.data()) if action is not None else "best"

    @property
    def one_per_video(self) -> bool:
        return self._grouped.isChecked()

    def set_one_per_video(self, on: bool) -> None:
        self._grouped.setChecked(on)

    def set_order(self, order: str) -> None:
        for action in self._orders.actions():
            if action.data() == order:
                action.setChecked(True)
        self._name_order()

    def set_fusion(self, fusion: str) -> None:
        """Choose one for this window."""
        for known in FUSIONS:
            if known == fusion:
                self.fusion = self.own_fusion = known
        self._name_fusion()

    def start_from_fusion(self, fusion: str) -> None:
        """That of the library's settings, unless another was chosen here."""
        if self.own_fusion is not None or fusion == self.fusion:
            return
        self.fusion = next(known for known in FUSIONS if known == fusion)
        self._name_fusion()
        if self.field.text().strip():
            self.ask_now()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if watched is not self.field:
            return False
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self._frame.setProperty("focused", event.type() == QEvent.Type.FocusIn)
            self._frame.style().unpolish(self._frame)
            self._frame.style().polish(self._frame)
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:
                self.field.clear()
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Down):
                if event.key() != Qt.Key.Key_Down:
                    self.ask_now()
                self.entered.emit()
                return True
        return False

    def _chip(self, branch: Branch) -> QToolButton:
        chip = QToolButton()
        chip.setText(self.branch_name(branch))
        chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        chip.setIconSize(QSize(16, 16))
        chip.setCheckable(True)
        chip.setChecked(True)
        number = BRANCHES.index(branch) + 1
        chip.setAccessibleName(self.tr("Search by {}").format(self.branch_name(branch)))
        chip.setToolTip(self.tr("Search by {} ({})").format(self.branch_name(branch).lower(), number))
        chip.toggled.connect(self._dress)
        chip.toggled.connect(self.ask_now)
        return chip

    def branch_name(self, branch: Branch) -> str:
        return {
            Branch.VISUAL: self.tr("Visual"),
            Branch.AUDIO: self.tr("Audio"),
            Branch.MOTION: self.tr("Motion"),
            Branch.SPEECH: self.tr("Speech"),
        }[branch]

    def say_asleep(self, reasons: dict[str, str]) -> None:
        """Chips of branches that could not take part say why."""
        if reasons == self._asleep:
            return  # a style that is set again is worked out again, with every answer
        self._asleep = reasons
        for branch, chip in self.chips.items():
            number = BRANCHES.index(branch) + 1
            plain = self.tr("Search by {} ({})").format(self.branch_name(branch).lower(), number)
            reason = reasons.get(branch, "")
            chip.setToolTip(f"{plain}\n{reason}" if reason else plain)
            chip.setProperty("asleep", bool(reason))
        self._dress()

    def _menu_button(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return button

    def _icon_button(self, name: str) -> QToolButton:
        button = self._menu_button(name)
        button.setIconSize(QSize(18, 18))
        return button

    def _fusion_menu(self) -> None:
        menu = QMenu(self)
        group = QActionGroup(menu)
        for fusion in FUSIONS:
            name = fusion_names()[fusion]
            title = self.tr("{} (recommended)").format(name) if fusion == RECOMMENDED else name
            action = QAction(title, menu, checkable=True)
            action.setData(fusion)
            action.setChecked(fusion == self.fusion)
            group.addAction(action)
            menu.addAction(action)
        group.triggered.connect(self._take_fusion)
        self._fusions = group
        self.fusing.setMenu(menu)
        self._name_fusion()

    def _take_fusion(self, action: QAction) -> None:
        self.set_fusion(str(action.data()))
        self.ask_now()

    def _name_fusion(self) -> None:
        for action in self._fusions.actions():
            action.setChecked(action.data() == self.fusion)
        self.fusing.setText(f"{fusion_names()[self.fusion]} ▾")

    def _order_menu(self) -> None:
        menu = QMenu(self)
        self._orders = QActionGroup(menu)
        for key, text in (
            ("best", self.tr("Best first")),
            ("name", self.tr("By file name")),
            ("folder", self.tr("By folder")),
        ):
            action = QAction(text, menu, checkable=True)
            action.setData(key)
            action.setChecked(key == "best")
            self._orders.addAction(action)
            menu.addAction(action)
        menu.addSeparator()
        self._grouped = QAction(self.tr("One moment per video"), menu, checkable=True)
        menu.addAction(self._grouped)
        self._orders.triggered.connect(self._rearrange)
        self._grouped.toggled.connect(self._rearrange)
        self.ordering.setMenu(menu)
        self._name_order()

    def _rearrange(self) -> None:
        self._dress()
        self._name_order()
        self.arranged.emit()

    def _name_order(self) -> None:
        name = self.tr("By video") if self.one_per_video else self.tr("By moment")
        self.ordering.setText(f"{name} ▾")

    def _dress(self) -> None:
        colours = self._theme.colours
        self._glass.setPixmap(icon("search", colours.muted).pixmap(QSize(18, 18)))
        self.form.setIcon(icon("grid" if self.form.isChecked() else "list", colours.muted))
        self.more.setIcon(icon("menu", colours.muted))
        for branch, chip in self.chips.items():
            colour = colours.branch(branch)
            on = chip.isChecked()
            wash = colours.wash(branch, over=colours.panel).name() if on else "transparent"
            border = colour if on else colours.line
            text = colours.text if on else colours.muted
            chip.setIcon(dot(colour, hollow=not on or bool(chip.property("asleep"))))
            chip.setStyleSheet(
                f"QToolButton {{ background: {wash}; border: 1px solid {border}; border-radius: 15px;"
                f" padding: 5px 6px 5px 6px; color: {text}; }}"
                f"QToolButton:focus {{ border: 2px solid {colour}; padding: 4px 5px 4px 5px; }}"
            )
