"""Colours, spacing and type in one place, so that every panel looks alike and light and dark differ in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from app.gui.stylesheet import stylesheet

STEP = 4
"""Every distance is a multiple of this many pixels."""
CARD_RADIUS, PICTURE_RADIUS, BADGE_RADIUS = 10, 8, 5
LIBRARY_WIDTH, PREVIEW_WIDTH, TOP_HEIGHT, STATUS_HEIGHT = 232, 400, 64, 34
BODY_PX, SEARCH_PX, SMALL_PX = 13, 16, 11
ANIMATION_MS = 120
READABLE = 4.5
"""The contrast that text needs against its ground (WCAG 2.2, level AA)."""


@dataclass(frozen=True, slots=True)
class Colours:
    """One appearance. Branch colours are for shapes; `ink` says what to write with."""

    dark: bool
    ground: str
    panel: str
    raised: str
    line: str
    text: str
    muted: str
    accent: str
    branches: Mapping[str, str]

    def ink(self, lane: str) -> QColor:
        """A branch's colour for text on its own badge, moved towards the text colour until it can be read."""
        ground = self.wash(lane, over=self.raised).name()
        return _readable(self.branch(lane), self.text, ground, 100 if self.dark else 80)

    def wash(self, lane: str, *, over: str) -> QColor:
        """The quiet ground of a badge or chip."""
        return mix(QColor(self.branch(lane)), QColor(over), 0.2 if self.dark else 0.15)

    def branch(self, lane: str) -> str:
        """A lane's colour; the name lane, which is no branch, has the muted one."""
        return self.branches.get(lane, self.muted)


_BRANCHES = {"visual": "#4C8DFF", "audio": "#A678F0", "motion": "#F2994A", "speech": "#3DB97A"}
DARK = Colours(True, "#15171C", "#1B1E25", "#22262F", "#2C313C", "#E8EAEE", "#9AA2B1", "#4C8DFF", _BRANCHES)
LIGHT = Colours(False, "#F4F5F7", "#FFFFFF", "#F0F2F5", "#DFE3E9", "#1A1D23", "#667085", "#2F6FEB", _BRANCHES)


class Theme(QObject):
    """The appearance in use. Panels ask `colours` whenever they paint and repaint on `changed`."""

    changed = Signal()

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._application = application
        self.colours = LIGHT
        font = QFont(application.font())
        font.setPixelSize(BODY_PX)
        application.setStyle("Fusion")
        application.setFont(font)
        self._hints = QGuiApplication.styleHints()
        self._hints.colorSchemeChanged.connect(self.follow)
        self.follow()

    def follow(self) -> None:
        """Take the system's light or dark appearance."""
        self.use(DARK if self._hints.colorScheme() == Qt.ColorScheme.Dark else LIGHT)

    def use(self, colours: Colours) -> None:
        """Show everything in these colours."""
        self.colours = colours
        self._application.setPalette(_palette(colours))
        self._application.setStyleSheet(stylesheet(colours))
        self.changed.emit()


@cache
def _readable(colour: str, text: str, ground: str, most: int) -> QColor:
    """`most` per cent of the colour, or as much less as can be read. Kept, because each badge asks at each painting."""
    for share in range(most, 0, -5):
        mixed = mix(QColor(colour), QColor(text), share / 100)
        if contrast(mixed, QColor(ground)) >= READABLE:
            return mixed
    return QColor(text)


def mix(colour: QColor, other: QColor, share: float) -> QColor:
    """`share` of the first colour, the rest of the second."""
    return QColor.fromRgbF(
        *(
            share * a + (1 - share) * b
            for a, b in zip(colour.getRgbF()[:3], other.getRgbF()[:3], strict=True)  # type: ignore[index]
        )
    )


def contrast(colour: QColor, ground: QColor) -> float:
    """WCAG's ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(colour), _luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: QColor) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def sized(font: QFont, pixels: int, *, bold: bool = False) -> QFont:
    """The same family in another size."""
    other = QFont(font)
    other.setPixelSize(pixels)
    other.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return other


def _palette(colours: Colours) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for name, colour in (
        (role.Window, colours.panel),
        (role.Base, colours.panel),
        (role.AlternateBase, colours.raised),
        (role.Button, colours.raised),
        (role.ToolTipBase, colours.raised),
        (role.WindowText, colours.text),
        (role.Text, colours.text),
        (role.ButtonText, colours.text),
        (role.ToolTipText, colours.text),
        (role.PlaceholderText, colours.muted),
        (role.Highlight, colours.accent),
        (role.HighlightedText, "#FFFFFF"),
        (role.Link, colours.accent),
        (role.Accent, colours.accent),
    ):
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(colours.muted))
    return palette
