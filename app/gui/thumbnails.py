"""Pictures of moments for whoever paints: what is here is given at once, what is not is fetched, newest wish first."""

from __future__ import annotations

from collections import OrderedDict

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QImage, QPixmap

from app.gui.bridge import Bridge
from app.gui.records import Moment

KEPT = 600
"""Pictures in memory: at 320 by 180 pixels of 4 bytes, 140 MB at most."""
WAITING = 48
"""Wishes kept while others are fetched; older ones are of cards that were scrolled away, and of places left since."""
AT_ONCE = 2


class Thumbnails(QObject):
    """Only rows that are painted ask, so only visible rows are fetched."""

    arrived = Signal(object)
    """`Moment` whose picture is here now."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.bridge = bridge
        self._kept: OrderedDict[Moment, QPixmap] = OrderedDict()
        self._wanted: OrderedDict[Moment, None] = OrderedDict()
        self._fetching: set[Moment] = set()
        bridge.pictured.connect(self._take)

    def get(self, moment: Moment) -> QPixmap | None:
        """The picture, null where there is none to be had; None while it is fetched."""
        found = self._kept.get(moment)
        if found is not None:
            self._kept.move_to_end(moment)
            return found
        if moment not in self._fetching:
            self._wanted[moment] = None
            self._wanted.move_to_end(moment)
            while len(self._wanted) > WAITING:
                self._wanted.popitem(last=False)
            self._fetch()
        return None

    def forget(self) -> None:
        """Ask again for pictures that were not there, because indexing has made some since."""
        for moment in [moment for moment, picture in self._kept.items() if picture.isNull()]:
            del self._kept[moment]

    def _fetch(self) -> None:
        while self._wanted and len(self._fetching) < AT_ONCE:
            moment, _ = self._wanted.popitem(last=True)
            self._fetching.add(moment)
            self.bridge.picture(moment)

    @Slot(object, QImage)
    def _take(self, moment: Moment, image: QImage) -> None:
        self._fetching.discard(moment)
        self._kept[moment] = QPixmap.fromImage(image) if not image.isNull() else QPixmap()
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self._fetch()
        self.arrived.emit(moment)
