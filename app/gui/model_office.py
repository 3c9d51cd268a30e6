"""The models' dialog with the services behind it: which preset is used, fetching and importing weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QFileDialog, QWidget

from app.gui.bridge import Bridge
from app.gui.dialogs import ModelsDialog, SureDialog
from m2hf_core.config.settings import Settings
from m2hf_core.progress import Progress

if TYPE_CHECKING:
    from app.services.library import Library

LOOK_EVERY_MS = 100


class ModelOffice(QObject):
    """Opens the dialog filled by a service, and carries out what it wishes."""

    def __init__(self, window: QWidget, bridge: Bridge) -> None:
        super().__init__(window)
        self._window, self._bridge = window, bridge

    def open(self) -> None:
        dialog = ModelsDialog(self._window)
        dialog.setObjectName("models")
        dialog.use_wanted.connect(lambda preset: self._use(dialog, preset))
        dialog.prepare_wanted.connect(lambda preset: self._prepare(dialog, preset))
        dialog.import_wanted.connect(lambda: self._import(dialog))
        self._fill(dialog)
        dialog.show()

    def _fill(self, dialog: ModelsDialog) -> None:
        self._bridge.run(presets_known, lambda found: dialog.show_presets(*found))

    def _use(self, dialog: ModelsDialog, preset: str) -> None:
        def write(library: Library) -> None:
            Settings.load(library.paths).set("preset", preset)

        said = self.tr("{} is in use from the next start; what it lacks is extracted then.").format(preset)
        self._bridge.run(write, lambda _: dialog.say(said))

    def _prepare(self, dialog: ModelsDialog, preset: str) -> None:
        """Say what would be fetched, from whom and under which licence, and fetch it if that is wished."""

        def describe(_: Library) -> tuple[str, ...]:
            from app.services.models import describe_preparation

            return describe_preparation(preset)

        def ask(lines: tuple[str, ...]) -> None:
            sure = SureDialog(
                self.tr("Download the models of {}?").format(preset),
                lines[-1],
                self.tr("Download"),
                dialog,
                details=lines[:-1],
            )
            sure.accepted.connect(lambda: self._fetch(dialog, preset))
            sure.open()

        self._bridge.run(describe, ask, lambda trouble: dialog.say(f"{trouble.sentence} {trouble.hint}"))

    def _fetch(self, dialog: ModelsDialog, preset: str) -> None:
        def fetch(progress: Progress) -> object:
            from app.services.models import prepare_preset

            return prepare_preset(preset, progress)

        self._work(dialog, fetch)

    def _import(self, dialog: ModelsDialog) -> None:
        chosen = QFileDialog.getExistingDirectory(dialog, self.tr("A folder with weights"))
        if not chosen:
            return

        def bring(progress: Progress) -> object:
            from app.services.models import import_weights

            return import_weights(Path(chosen), progress)

        self._work(dialog, bring)

    def _work(self, dialog: ModelsDialog, work: Callable[[Progress], object]) -> None:
        progress = Progress()
        look = QTimer(dialog, interval=LOOK_EVERY_MS)

        def over(sentence: str) -> None:
            look.stop()
            dialog.busy(False)
            dialog.say(sentence)
            self._fill(dialog)

        def show() -> None:
            now = progress.snapshot()
            share = f" {100 * now.done / now.total:.0f} %" if now.total > 0 else ""
            dialog.say(f"{now.step or now.stage}{share}")

        look.timeout.connect(show)
        dialog.busy(True)
        dialog.stop_wanted.connect(progress.cancel)
        dialog.finished.connect(look.stop)
        look.start()
        self._bridge.run_long(
            work,
            progress,
            lambda _: over(self.tr("Done. New models are noticed within a few seconds.")),
            lambda trouble: over(f"{trouble.sentence} {trouble.hint}"),
        )


def presets_known(library: Library) -> tuple[list[dict[str, object]], str]:
    from app.services.models import list_presets

    return list_presets(), library.preset.id
