"""`Report a problem`: asks where to save, gathers in the background, and says that nothing is sent."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from app.gui.bridge import Bridge
from app.gui.notice import Notice
from app.gui.records import Trouble
from m2hf_core.progress import Progress


class ReportOffice(QObject):
    """The file is the owner's: to look into, to give to whoever helps, or to delete."""

    def __init__(self, window: QWidget, bridge: Bridge, notice: Notice) -> None:
        super().__init__(window)
        self._window, self._bridge, self._notice = window, bridge, notice

    def ask(self) -> None:
        target, _ = QFileDialog.getSaveFileName(
            self._window, self.tr("Save the report"), "m2hf-report.zip", "Zip (*.zip)"
        )
        if target:
            self.save(Path(target))

    def save(self, target: Path) -> None:
        """Write the report without names of people, folders and videos."""
        data_dir, preset = self._bridge.data_dir, self._bridge.preset

        def write(progress: Progress) -> Path:
            from app.services.library import open_library
            from app.services.report import write_report

            with open_library(data_dir, preset=preset, mode="create") as library:
                return write_report(library, target, progress)

        def over(path: Path) -> None:
            said = self.tr("Saved as {}, without names of people, folders and videos. Nothing was sent.")
            show = self.tr("Show in file manager")
            self._notice.say(said.format(path.name), show, lambda: self._bridge.reveal.emit(path))

        def sorry(trouble: Trouble) -> None:
            self._notice.say(
                f"{trouble.sentence} {trouble.hint}", self.tr("Try again"), lambda: self.save(target)
            )

        self._notice.say(self.tr("Examining the program and the library…"))
        self._bridge.run_long(write, Progress(), over, sorry)
