"""Draws the icon files that Windows and macOS want from the program's own SVG: `python make_icons.py`."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

SVG = Path(__file__).resolve().parents[2] / "resources" / "icons" / "app.svg"
TARGET = Path(__file__).resolve().parent / "icons"
SIDES = (16, 24, 32, 48, 64, 128, 256, 512, 1024)


def main() -> int:
    """Write an .ico (up to 256 pixels) and an .icns into `icons/`."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PIL import Image
    from PySide6.QtCore import QBuffer, QRectF
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication(sys.argv[:1])
    TARGET.mkdir(exist_ok=True)
    renderer = QSvgRenderer(str(SVG))
    drawn = []
    for side in SIDES:
        image = QImage(side, side, QImage.Format.Format_ARGB32)
        image.fill(0)
        painter = QPainter(image)
        renderer.render(painter, QRectF(0, 0, side, side))
        painter.end()
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")
        drawn.append(Image.open(io.BytesIO(buffer.data().data())))
    del application
    small = [image for image in drawn if image.width <= 256]
    small[-1].save(TARGET / "m2hf-app.ico", append_images=small, sizes=[image.size for image in small])
    drawn[-1].save(TARGET / "m2hf-app.icns", append_images=drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
