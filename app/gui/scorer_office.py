"""The scorers' dialog with the services behind it: use, go back, bring in, carry away, train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QFileDialog, QWidget

from app.gui.bridge import Bridge
from app.gui.notice import Notice
from app.gui.own_training import OwnTraining
from app.gui.records import Trouble
from app.gui.scorers_dialog import ScorersDialog
from app.gui.theme import Theme
from m2hf_core.progress import Progress

if TYPE_CHECKING:
    from app.services.library import Library

LOOK_EVERY_MS = 100
FILTER = "Scorer (*.safetensors)"


class ScorerOffice(QObject):
    """One dialog, kept while a training runs, so that closing and opening it again shows the same curves."""

    def __init__(self, window: QWidget, bridge: Bridge, notice: Notice, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._bridge, self._notice, self._theme = window, bridge, notice, theme
        self._dialog: ScorersDialog | None = None
        self.training = OwnTraining(bridge, self)
        self.training.said.connect(self._say_training)
        self.training.figures.connect(lambda figures: self.dialog.show_figures(figures))
        self.training.done.connect(self._trained)
        self.training.failed.connect(self._not_trained)
        self.training.stopped.connect(self._stopped)

    @property
    def dialog(self) -> ScorersDialog:
        if self._dialog is None:
            dialog = ScorersDialog(self._theme, self._window)
            dialog.setObjectName("scorers")
            dialog.use_wanted.connect(self.use)
            dialog.rollback_wanted.connect(self._go_back)
            dialog.import_wanted.connect(self._choose_import)
            dialog.export_wanted.connect(self._choose_export)
            dialog.training_wanted.connect(self._train)
            dialog.stop_wanted.connect(self.training.stop)
            self._dialog = dialog
        return self._dialog

    def open(self) -> None:
        self._fill()
        self.dialog.show()
        self.dialog.raise_()

    def leave(self) -> None:
        """The window closes."""
        self.training.leave()

    def _fill(self) -> None:
        self._bridge.run(_scorers, self.dialog.show_scorers)

    def use(self, scorer_id: str, force: bool) -> None:
        """Test a scorer in the background; it answers if it is not worse, or is wished all the same."""
        dialog, data_dir, preset = self.dialog, self._bridge.data_dir, self._bridge.preset

        def test(progress: Progress) -> tuple[bool, str]:
            from app.services.library import open_library
            from app.services.scorers import WorseScorer, use_scorer

            with open_library(data_dir, preset=preset, mode="write") as library:
                try:
                    used = use_scorer(library, scorer_id, force=force, progress=progress)
                except WorseScorer as error:
                    return False, error.sentence
            return True, used.test.sentence()

        progress = Progress()
        look = QTimer(dialog, interval=LOOK_EVERY_MS)

        def show() -> None:
            now = progress.snapshot()
            share = f" {100 * now.done / now.total:.0f} %" if now.total > 0 else ""
            dialog.say(self.tr("Testing it on this library: {}").format(now.step or now.stage or "…") + share)

        def over() -> None:
            look.stop()
            dialog.busy(False)
            self._fill()

        def tested(found: tuple[bool, str]) -> None:
            over()
            answers, sentence = found
            if answers:
                dialog.say(self.tr("It answers now: {}").format(sentence))
                self._bridge.refresh()
            else:
                dialog.refuse(scorer_id, sentence)

        def sorry(trouble: Trouble) -> None:
            over()
            self._tell(trouble)

        look.timeout.connect(show)
        look.start()
        dialog.busy(True)
        self._bridge.run_long(test, progress, tested, sorry)

    def _go_back(self) -> None:
        def back(library: Library) -> str:
            from app.services.scorers import roll_back

            return roll_back(library)

        def over(scorer_id: str) -> None:
            self.dialog.say(self.tr("The scorer {} answers again.").format(scorer_id))
            self._fill()
            self._bridge.refresh()

        self._bridge.run(back, over, self._tell)

    def _choose_import(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self.dialog, self.tr("A scorer's file"), "", FILTER)
        if chosen:
            self.bring(Path(chosen))

    def bring(self, file: Path) -> None:
        """Take a scorer's file into the library."""

        def take(library: Library) -> dict[str, Any]:
            from app.services.scorers import import_scorer

            return import_scorer(library, file)

        def over(found: dict[str, Any]) -> None:
            self.dialog.say(self.tr("The scorer {} is here. Choose it and press Use.").format(found["id"]))
            self._fill()

        self._bridge.run(take, over, self._tell)

    def _choose_export(self, scorer_id: str) -> None:
        name = f"{scorer_id}.safetensors"
        chosen, _ = QFileDialog.getSaveFileName(self.dialog, self.tr("Save the scorer"), name, FILTER)
        if chosen:
            self.carry(scorer_id, Path(chosen))

    def carry(self, scorer_id: str, target: Path) -> None:
        """Copy a scorer's file to where it is wished."""

        def copy(library: Library) -> Path:
            from app.services.scorers import export_scorer

            return export_scorer(library, scorer_id, target)

        self._bridge.run(copy, lambda path: self.dialog.say(self.tr("Saved as {}.").format(path)), self._tell)

    def _train(self) -> None:
        self.dialog.show_training(True)
        self.training.start()

    def _say_training(self, sentence: str) -> None:
        self.dialog.state.setText(sentence)

    def _trained(self, scorer_id: str) -> None:
        self.dialog.show_training(False)
        said = self.tr("The scorer {} has been trained. Choose it and press Use to test it.").format(
            scorer_id
        )
        self.dialog.say(said)
        self._fill()
        if not self.dialog.isVisible():
            self._notice.say(said, self.tr("Scorers"), self.open)

    def _not_trained(self, trouble: Trouble) -> None:
        self.dialog.show_training(False)
        self.dialog.hide_curves()
        self._tell(trouble)
        if not self.dialog.isVisible():
            self._notice.say(f"{trouble.sentence} {trouble.hint}", self.tr("Scorers"), self.open)

    def _stopped(self) -> None:
        self.dialog.show_training(False)
        self.dialog.hide_curves()
        self.dialog.say(self.tr("Training was stopped; what it had written is deleted."))

    def _tell(self, trouble: Trouble) -> None:
        self.dialog.say(f"{trouble.sentence} {trouble.hint}")


def _scorers(library: Library) -> list[dict[str, Any]]:
    from app.services.scorers import list_scorers

    return list_scorers(library)
