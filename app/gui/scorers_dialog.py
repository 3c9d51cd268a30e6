"""Which scorer answers, what its test said, and training one on the library's own captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.gui.curves import Curves
from app.gui.dialog import TableDialog, muted
from app.gui.records import scorer_name
from app.gui.theme import STEP, Theme

if TYPE_CHECKING:
    from app.services.own_training import Figures

Document = Mapping[str, Any]
TRAINING_HEIGHT = 145 * STEP
"""With the curves below the table."""


class ScorersDialog(TableDialog):
    """Only signals; `ScorerOffice` does what is wished."""

    use_wanted = Signal(str, bool)
    """Scorer and whether it may be worse than the one that answers."""
    rollback_wanted = Signal()
    import_wanted = Signal()
    export_wanted = Signal(str)
    training_wanted = Signal()
    stop_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        heads = (self.tr("Answers"), self.tr("Scorer"), self.tr("State"), self.tr("Test on this library"))
        super().__init__(self.tr("Scorers"), heads, parent)
        self._refused = ""
        self._busy = self._training = False
        self._height_before = 0
        self.use = self.add_button(self.tr("Use"), lambda: self._with(self._use))
        self.back = self.add_button(self.tr("Go back"), self.rollback_wanted.emit)
        self.bring = self.add_button(self.tr("Import…"), self.import_wanted.emit)
        self.carry = self.add_button(self.tr("Export…"), lambda: self._with(self.export_wanted.emit))
        self.train = self.add_button(self.tr("Train on this library"), self.training_wanted.emit)
        self.force = QPushButton(self.tr("Use it all the same"))
        self.force.clicked.connect(lambda: self.use_wanted.emit(self._refused, True))
        self.force.hide()
        self.curves = Curves(theme)
        self.state = muted("")
        self.stop = QPushButton(self.tr("Stop"))
        self.stop.clicked.connect(self.stop_wanted)
        self._room = QWidget()
        room = QVBoxLayout(self._room)
        room.setContentsMargins(0, 0, 0, 0)
        room.setSpacing(2 * STEP)
        room.addWidget(self.curves)
        row = QHBoxLayout()
        row.addWidget(self.state, 1)
        row.addWidget(self.stop)
        room.addLayout(row)
        self._room.hide()
        self.add_below(self.force, Qt.AlignmentFlag.AlignLeft)
        self.add_below(self._room)
        self.explain()

    def explain(self) -> None:
        """What this dialog is about, in place of what was said last."""
        self.say(
            self.tr(
                "A scorer decides how sight, sound and motion are weighed. A new one is tested on this library's "
                "captions and spoken lines before it may answer."
            )
        )

    def show_scorers(self, scorers: Sequence[Document]) -> None:
        self.rows.show(
            [
                (
                    str(one["id"]),
                    (
                        "●" if one["active"] else "",
                        scorer_name(str(one["id"])),
                        _state(one),
                        self._test(one["test"]),
                    ),
                )
                for one in scorers
            ],
            names_key=1,
        )
        self.table.resizeColumnToContents(0)
        self.table.setColumnWidth(1, 36 * STEP)
        self.table.setColumnWidth(2, 60 * STEP)
        self.back.setEnabled(
            not self._busy and any(one["active"] and one["id"] != "untrained" for one in scorers)
        )

    def busy(self, on: bool) -> None:
        """A test or a copy goes on."""
        self._busy = on
        for button in (self.use, self.back, self.bring, self.carry):
            button.setEnabled(not on)
        self.train.setEnabled(not on and not self._training)
        if on:
            self.force.hide()

    def refuse(self, scorer_id: str, why: str) -> None:
        """The test said that it is worse; the person may still wish it."""
        self._refused = scorer_id
        self.say(why)
        self.force.show()

    def show_training(self, on: bool) -> None:
        """Curves and the button that stops, while a training runs; afterwards its last curves stay."""
        self._training = on
        self.train.setEnabled(not on and not self._busy)
        self.stop.setVisible(on)
        if on:
            self.explain()
            self.curves.show_figures(None)
            if self._room.isHidden():
                self._height_before = self.height()
            self._room.show()
            self.resize(self.width(), max(self.height(), TRAINING_HEIGHT))
        elif self.curves.last():
            self.state.setText(self.curves.last())

    def hide_curves(self) -> None:
        """There is nothing to show of it any more; the dialog is as high again as it was."""
        if not self._room.isHidden():
            self._room.hide()
            self.resize(self.width(), self._height_before)

    def show_figures(self, figures: Figures) -> None:
        self.curves.show_figures(figures)
        if self.curves.last():
            self.state.setText(self.curves.last())

    def _use(self, scorer_id: str) -> None:
        self.use_wanted.emit(scorer_id, False)

    def _test(self, test: Document | None) -> str:
        if test is None:
            return self.tr("not tested yet")
        if not test["queries"]:
            return self.tr("nothing to test it with")
        return self.tr("of {} questions {} → {} found first").format(
            test["queries"], _count(test, "before"), _count(test, "after")
        )

    def _with(self, act: Callable[[str], None]) -> None:
        chosen = self.chosen()
        if chosen is None:
            self.say(self.tr("Choose a scorer first."))
        else:
            act(str(chosen))


def _count(test: Document, part: str) -> int:
    """R@1 as a number of questions."""
    return round(float(test[part]["R@1"]) * int(test["queries"]) / 100)


def _state(scorer: Document) -> str:
    """`trained:library-3f2a` as words of a table."""
    return str(scorer["state"]).replace("trained:", "trained: ")
