"""The program's own icons, tinted for the appearance in use."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from m2hf_core.config.paths import resources_dir

SIZES = (16, 20, 24, 32, 48, 64)


def icon(name: str, colour: str = "#000000") -> QIcon:
    """The icon in one colour, at every size that a screen may ask for."""
    drawing = (
        (resources_dir() / "icons" / f"{name}.svg")
        .read_text(encoding="utf-8")
        .replace("currentColor", colour)
    )
    renderer = QSvgRenderer(QByteArray(drawing.encode()))
    made = QIcon()
    for size in SIZES:
        made.addPixmap(_pixmap(renderer, size))
    return made


def dot(colour: str, *, hollow: bool = False) -> QIcon:
    """A round mark in one colour: a branch, or the state of a folder."""
    made = QIcon()
    for size in SIZES:
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = size * 0.24
        area = QRectF(size / 2 - radius, size / 2 - radius, 2 * radius, 2 * radius)
        if hollow:
            pen = painter.pen()
            pen.setColor(QColor(colour))
            pen.setWidthF(size * 0.09)
            painter.setPen(pen)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
        painter.drawEllipse(area)
        painter.end()
        made.addPixmap(pixmap)
    return made


def _pixmap(renderer: QSvgRenderer, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter)
    painter.end()
    return pixmap
