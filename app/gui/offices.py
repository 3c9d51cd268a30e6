"""The window's dialogs with the services behind them: settings, failures, the first run, what is to be forgotten."""

from __future__ import annotations

import csv
import html
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from app.gui.bridge import Bridge
from app.gui.dialogs import FailuresDialog, SureDialog, TextDialog
from app.gui.first_run import FirstRunDialog
from app.gui.model_office import ModelOffice, presets_known
from app.gui.notice import Notice
from app.gui.records import Trouble
from app.gui.report_office import ReportOffice
from app.gui.scorer_office import ScorerOffice
from app.gui.settings_dialog import SettingsDialog
from app.gui.theme import Theme
from m2hf_core.config.settings import Settings
from m2hf_core.progress import Progress
from m2hf_core.records import Failure

if TYPE_CHECKING:
    from app.services.library import Library

LOOK_EVERY_MS = 100


class Offices(QObject):
    """Opens each dialog filled by a service, and carries out what it wishes."""

    fusion_chosen = Signal(str)
    """The setting was changed."""
    library_wanted = Signal(object, str)

    def __init__(self, window: QWidget, bridge: Bridge, notice: Notice, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._bridge, self._notice = window, bridge, notice
        self._models = ModelOffice(window, bridge)
        self._report = ReportOffice(window, bridge, notice)
        self._scorers = ScorerOffice(window, bridge, notice, theme)
        self._demo: Progress | None = None

    def settings(self) -> None:
        def read(library: Library) -> list[dict[str, Any]]:
            from app.services.models import list_presets

            # Which presets there are, the settings below the models do not know.
            presets = {"kind": "choice", "choices": [str(preset["id"]) for preset in list_presets()]}
            described = Settings.load(library.paths).describe()
            return [one | presets if one["id"] == "preset" else one for one in described]

        self._bridge.run(read, self._show_settings)

    def _show_settings(self, described: list[dict[str, Any]]) -> None:
        dialog = SettingsDialog(described, self._window)
        dialog.setObjectName("settings")

        def change(name: str, value: str) -> None:
            def write(library: Library) -> None:
                from app.services.choosing import choose

                choose(library.paths, name, value)

            self._bridge.run(
                write,
                lambda _: self._changed(dialog, name, value),
                lambda trouble: dialog.say(f"{trouble.sentence} {trouble.hint}"),
            )

        dialog.changed.connect(change)
        dialog.open()

    def _changed(self, dialog: SettingsDialog, name: str, value: str) -> None:
        if name == "fusion":
            self.fusion_chosen.emit(value)
        dialog.say(self.tr("In use from the next start.") if name in ("preset", "device") else "")

    def failures(self) -> None:
        dialog = FailuresDialog(self._window)
        dialog.setObjectName("failures")
        dialog.retry_wanted.connect(lambda: self._retry(dialog))
        dialog.reveal_wanted.connect(lambda path: self._bridge.reveal.emit(path))
        dialog.save_wanted.connect(lambda: self._save(dialog))
        self._bridge.run(_failures, dialog.show_failures)
        dialog.show()

    def _retry(self, dialog: FailuresDialog) -> None:
        self._bridge.with_background(
            lambda background: background.retry(),
            lambda count: dialog.say(self.tr("{} will be tried again.").format(count)),
            lambda trouble: dialog.say(f"{trouble.sentence} {trouble.hint}"),
        )

    def _save(self, dialog: FailuresDialog) -> None:
        target, _ = QFileDialog.getSaveFileName(
            dialog, self.tr("Save the list"), "failures.csv", "CSV (*.csv)"
        )
        if target:
            self.save_failures(dialog.failures, Path(target), dialog)

    def save_failures(self, failures: Sequence[Failure], target: Path, dialog: FailuresDialog) -> None:
        """Write the list as CSV, on the desk thread."""
        self._bridge.run(
            lambda _: write_failures(failures, target),
            lambda _: dialog.say(self.tr("Saved as {}.").format(target)),
            lambda trouble: dialog.say(f"{trouble.sentence} {trouble.hint}"),
        )

    def models(self) -> None:
        self._models.open()

    def scorers(self) -> None:
        self._scorers.open()

    def report(self) -> None:
        self._report.ask()

    def leave(self) -> None:
        """The window closes: what these started ends."""
        self._scorers.leave()

    def forget(self, path: Path) -> SureDialog:
        """Ask, then purge everything that is known of a folder or video."""
        dialog = SureDialog(
            self.tr("Forget {}?").format(path.name),
            self.tr(
                "Its features, captions, words and thumbnails are deleted from the library for good. "
                "The files themselves are not touched."
            ),
            self.tr("Forget"),
            self._window,
            careful=True,
        )
        dialog.accepted.connect(lambda: self._forget(path))
        dialog.open()
        return dialog

    def _forget(self, path: Path) -> None:
        def done(count: int) -> None:
            self._notice.say(self.tr("{} videos forgotten.").format(count))
            self._bridge.refresh()

        self._bridge.with_background(lambda background: background.forget(path), done)

    def welcome(self, add_folders: Callable[[list[Path]], None]) -> None:
        """The first run: folders and models, or the demo."""

        def show(found: tuple[list[dict[str, object]], str]) -> None:
            dialog = FirstRunDialog(*found, self._window)
            dialog.setObjectName("welcome")
            dialog.begun.connect(lambda folders, preset: self._begin(folders, preset, found[1], add_folders))
            dialog.demo_wanted.connect(self.demo)
            dialog.open()
            self._bridge.run(_expected_hours, dialog.show_pace)

        self._bridge.run(presets_known, show)

    def _begin(
        self, folders: list[Path], preset: str, active: str, add_folders: Callable[[list[Path]], None]
    ) -> None:
        add_folders(folders)
        if preset and preset != active:
            self._bridge.run(
                lambda library: Settings.load(library.paths).set("preset", preset),
                lambda _: self._notice.say(
                    self.tr("Your models are in use from the next start. Fetch them under: Models"),
                    self.tr("Models"),
                    self.models,
                ),
            )

    def demo(self) -> None:
        """Render and index the demo library in the background, then show it."""
        if self._demo is not None:
            return  # it is being made
        progress = self._demo = Progress()
        look = QTimer(self, interval=LOOK_EVERY_MS)

        def make(progress: Progress) -> Path:
            from app.services.demo import demo_folder, run_demo

            folder = demo_folder(self._bridge.data_dir) / "seed-0"
            run_demo(folder, 0, progress)
            return folder / "library"

        stages = {
            "render": self.tr("drawing its videos"),
            "load models": self.tr("loading the models"),
            "index": self.tr("making them searchable"),
            "search": self.tr("trying its queries"),
        }

        def show() -> None:
            now = progress.snapshot()
            share = f", {100 * now.done / now.total:.0f} %" if now.total > 0 and now.done else ""
            said = stages.get(now.stage, now.stage or "…")
            self._notice.say(self.tr("Making the demo library: {}").format(said) + share)

        def over(folder: Path) -> None:
            look.stop()
            self._demo = None
            self._notice.hide()
            self.library_wanted.emit(folder, "demo")

        def sorry(trouble: Trouble) -> None:
            look.stop()
            self._demo = None
            self.tell(trouble)

        look.timeout.connect(show)
        look.start()
        self._bridge.run_long(make, progress, over, sorry)

    def keys(self, rows: Sequence[tuple[str, str]]) -> None:
        """Every key and what it does."""
        cells = "".join(
            f'<tr><td style="padding-right:24px"><b>{html.escape(key)}</b></td>'
            f'<td style="white-space:nowrap">{html.escape(text)}</td></tr>'
            for key, text in rows
        )
        table = f'<table cellpadding="3">{cells}</table>'
        dialog = TextDialog(self.tr("Keys"), table, self._window, wrapped=False)
        dialog.setObjectName("keys")
        dialog.show()

    def about(self) -> None:
        try:
            number = version("m2hf-app")
        except PackageNotFoundError:
            number = ""
        text = self.tr(
            "Finds moments in your own videos by what is seen, heard, done and said. Everything stays on this "
            "machine: nothing is sent, counted or reported."
        )
        licences = self.tr(
            "The program is under the Apache License 2.0. Qt is used under the LGPL 3. FFmpeg, as bundled with "
            "PyAV, contains parts under the GPL. Weights keep their own licences, shown before they are fetched."
        )
        rich = f"<h3>M2HF {html.escape(number)}</h3><p>{html.escape(text)}</p><p>{html.escape(licences)}</p>"
        dialog = TextDialog(self.tr("About"), rich, self._window)
        dialog.setObjectName("about")
        dialog.show()

    def tell(self, trouble: Trouble) -> None:
        self._notice.say(f"{trouble.sentence} {trouble.hint}")


def _failures(library: Library) -> list[Failure]:
    from app.services.status import list_failures

    return list_failures(library)


def _expected_hours(_: Library) -> dict[str, float]:
    from app.services.pace import expected_hours

    return expected_hours()


def write_failures(failures: Sequence[Failure], target: Path) -> None:
    """One line per file. Raises `OSError`."""
    with target.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "stage", "reason", "what to do"))
        rows.writerows((str(f.path), f.stage, f.reason, f.hint) for f in failures)
