"""Takes moments out of the window: as a table, an editing list, or cut clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.gui.bridge import Bridge
from app.gui.dialog import films
from app.gui.notice import Notice
from app.gui.records import Trouble, counted
from m2hf_core.progress import Progress
from m2hf_core.records import SearchAnswer, SearchHit

if TYPE_CHECKING:
    from app.services.export import Format


class Exporting(QObject):
    """`chosen` gives the answer on screen and those of its hits that are selected."""

    def __init__(
        self,
        window: QWidget,
        bridge: Bridge,
        notice: Notice,
        chosen: Callable[[], tuple[SearchAnswer | None, Sequence[SearchHit]]],
    ) -> None:
        super().__init__(window)
        self._window, self._bridge, self._notice, self._chosen = window, bridge, notice, chosen

    def menu(self, parent: QWidget) -> QMenu:
        """A line per format."""
        menu = QMenu(self.tr("Export"), parent)
        forms: tuple[tuple[Format, str], ...] = (
            ("clips", self.tr("Cut clips into a folder…")),
            ("csv", self.tr("Table (CSV)…")),
            ("edl", self.tr("Editing list (EDL)…")),
            ("fcpxml", self.tr("Final Cut Pro (FCPXML)…")),
            ("otio", self.tr("OpenTimelineIO…")),
        )
        for form, text in forms:
            action = menu.addAction(text)
            action.triggered.connect(lambda _=False, form=form: self._ask(form))
        return menu

    def _ask(self, form: Format) -> None:
        if form == "clips":
            title = self.tr("A folder for the clips")
            target = QFileDialog.getExistingDirectory(self._window, title, films())
        else:
            name = str(Path(films()) / f"moments.{form}")
            target, _ = QFileDialog.getSaveFileName(self._window, self.tr("Export"), name, f"*.{form}")
        if target:
            self.export(form, Path(target))

    def export(self, form: Format, target: Path) -> None:
        """Write the chosen moments; what happened is said below the results."""
        answer, hits = self._chosen()
        if answer is None or not hits:
            return
        kept = replace(answer, hits=tuple(hits))

        def write(progress: Progress) -> tuple[int, Sequence[str]]:
            return write_moments(kept, form, target, progress)

        def done(written: tuple[int, Sequence[str]]) -> None:
            files, notes = written
            folder = target if form == "clips" else target.parent
            said = counted(files, self.tr("{} file written."), self.tr("{} files written."))
            self._notice.say(
                " ".join((said, *notes)), self.tr("Show"), lambda: self._bridge.reveal.emit(folder)
            )

        def sorry(trouble: Trouble) -> None:
            self._notice.say(f"{trouble.sentence} {trouble.hint}")

        self._notice.say(self.tr("Exporting…"))
        self._bridge.run_long(write, Progress(), done, sorry)


def write_moments(
    answer: SearchAnswer, form: Format, target: Path, progress: Progress
) -> tuple[int, Sequence[str]]:
    """The export of `search --json`; how many files there are, and what a person should know. Raises `KnownError`."""
    from app.services.documents import search_json
    from app.services.export import export, read_results, write_texts

    results = read_results(json.dumps(search_json(answer)))
    written = export(results, form, folder=target if form == "clips" else None, progress=progress)
    if form == "clips":
        return len(written.cuts), written.notes
    # Whether a file may be replaced has been asked by the system's own dialog.
    return len(write_texts(written.texts, target, overwrite=True)), written.notes
