"""Training on the library's own captions: the window starts two commands, looks at their figures, and can end them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from app.gui.bridge import Bridge
from app.gui.records import Trouble
from m2hf_core.errors import KnownError

if TYPE_CHECKING:
    from app.services.library import Library
    from app.services.own_training import Figures, OwnRun

LOOK_EVERY_MS = 500
GRACE_MS = 5000
"""A process that was asked to end and has not is killed after this long."""


class OwnTraining(QObject):
    """One at a time. The processes are commands of this very program; what they write is read on the desk thread."""

    said = Signal(str)
    figures = Signal(object)
    """`services.own_training.Figures`, while it runs."""
    done = Signal(str)
    """The id of the scorer that came into the library."""
    failed = Signal(object)
    """`Trouble`."""
    stopped = Signal()
    """It was given up, and what it wrote is gone."""

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._run: OwnRun | None = None
        self._process: QProcess | None = None
        self._planned = self._giving_up = self._taking_in = False
        self._look = QTimer(self, interval=LOOK_EVERY_MS)
        self._look.timeout.connect(self._read)
        self._reading = False

    @property
    def running(self) -> bool:
        return self._planned or self._run is not None

    def start(self) -> None:
        """Write the training data, train, and take the scorer in."""
        if self.running:
            return
        self._planned, self._giving_up = True, False
        keys = self.tr(
            "Choose a moment and press F2 to write what happens in it, or C for similar captions and P for a right one."
        )

        def plan(library: Library) -> tuple[OwnRun, list[str]]:
            from app.services.own_training import (
                NothingToLearnFrom,
                new_run,
                require_captions,
                sweep,
                write_data_command,
            )

            try:
                require_captions(library)
            except NothingToLearnFrom as error:
                raise KnownError(error.sentence, keys) from error
            sweep(library.paths.data)
            run = new_run(library.paths.data)
            return run, write_data_command(run, library.paths.data, library.preset.id)

        def begin(planned: tuple[OwnRun, list[str]]) -> None:
            if not self._planned:
                return  # the window has closed meanwhile
            self._run, command = planned
            self.said.emit(self.tr("Gathering captions and what was seen, heard and done in their moments"))
            self._command(command, self._train)

        self._bridge.run(plan, begin, self._fail)

    def stop(self) -> None:
        """Give it up: the process ends, and what it wrote is deleted."""
        self._giving_up = True
        if self._process is not None:
            self._process.terminate()
            patience = QTimer(self._process, singleShot=True, interval=GRACE_MS)
            patience.timeout.connect(self._process.kill)
            patience.start()

    def leave(self) -> None:
        """The window closes: end at once, since nobody would take the scorer in, and leave nothing behind.

        Also between two commands, when no process runs. A scorer that is being taken in gets there: closing waits for
        that, and it tidies up by itself.
        """
        self._giving_up = True
        if self._process is not None:
            self._process.finished.disconnect()
            self._process.kill()
            self._process.waitForFinished(GRACE_MS)
        run, taking_in = self._run, self._taking_in
        self._end()
        if run is not None and not taking_in:
            from app.services.own_training import tidy

            tidy(run, keep_report=False)

    def _train(self, written: dict[str, Any]) -> None:
        run = self._run

        def plan(library: Library) -> list[str]:
            from app.services.own_training import train_command

            assert run is not None
            return train_command(run, library.paths.data, written)

        def begin(command: list[str]) -> None:
            if self._run is not run:
                return  # the window has closed meanwhile
            self.said.emit(self.tr("Loading what learns"))
            self._look.start()
            self._command(command, self._take_in)

        self._bridge.run(plan, begin, self._fail)

    def _take_in(self, trained: dict[str, Any]) -> None:
        """The scorer comes into the library; it does not answer before it is chosen."""
        run = self._run

        def take(library: Library) -> tuple[str, Figures]:
            from pathlib import Path

            from app.services.own_training import read_figures, tidy
            from app.services.scorers import import_scorer

            assert run is not None
            figures = read_figures(run)  # the last ones: no look at them comes between this and the end
            found = import_scorer(library, Path(trained["scorer"]))
            tidy(run, keep_report=True)
            return str(found["id"]), figures

        def over(taken: tuple[str, Figures]) -> None:
            scorer_id, figures = taken
            self._end()
            self.figures.emit(figures)
            self.done.emit(scorer_id)

        self._taking_in = True
        self.said.emit(self.tr("Taking the scorer in"))
        self._bridge.run(take, over, self._fail)

    def _command(self, command: Sequence[str], then: Callable[[dict[str, Any]], None]) -> None:
        process = QProcess(self)
        process.setStandardInputFile(QProcess.nullDevice())
        process.finished.connect(partial(self._finished, process, then))
        process.errorOccurred.connect(partial(self._not_started, process))
        self._process = process
        if self._giving_up:
            self._give_up()
        else:
            process.start(command[0], list(command[1:]))

    def _finished(
        self,
        process: QProcess,
        then: Callable[[dict[str, Any]], None],
        code: int,
        _status: QProcess.ExitStatus,
    ) -> None:
        self._process = None
        said = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip().splitlines()
        answer = bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace")
        process.deleteLater()
        if self._giving_up:
            self._give_up()
        elif code == 0:
            try:
                told = json.loads(answer)
            except ValueError:
                self._fail(Trouble(self.tr("Training stopped."), self.tr("Its answer made no sense.")))
                return
            then(told)
        else:
            sentence = said[-1].removeprefix("m2hf-app: ") if said else self.tr("It ended without a word.")
            self._fail(Trouble(self.tr("Training stopped."), sentence))

    def _not_started(self, process: QProcess, error: QProcess.ProcessError) -> None:
        """Other errors are followed by `finished`."""
        if error == QProcess.ProcessError.FailedToStart:
            self._fail(Trouble(self.tr("Training could not be started."), process.errorString()))

    def _read(self) -> None:
        """Look at the figures, one look at a time."""
        run = self._run
        if run is None or self._reading:
            return
        self._reading = True

        def read(_: Library) -> Figures:
            from app.services.own_training import read_figures

            return read_figures(run)

        def show(found: Figures | None) -> None:
            self._reading = False
            if self._run is run and found is not None:
                self.figures.emit(found)

        self._bridge.run(read, show, lambda _: show(None))

    def _give_up(self) -> None:
        self._throw_away()
        self.stopped.emit()

    def _fail(self, trouble: Trouble) -> None:
        if self._giving_up:
            self._give_up()
            return
        self._throw_away()
        self.failed.emit(trouble)

    def _throw_away(self) -> None:
        run = self._run

        def tidy_up() -> None:
            from app.services.own_training import tidy

            if run is not None:
                tidy(run, keep_report=False)

        self._end()
        self._bridge.ask_drive(tidy_up, lambda _: None)

    def _end(self) -> None:
        self._look.stop()
        self._process, self._run, self._planned, self._taking_in = None, None, False, False
