"""The scorers' dialog, and a training that is started, watched and ended as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor

from app.gui.curves import Curves
from app.gui.own_training import OwnTraining
from app.gui.records import Trouble
from app.gui.scorers_dialog import ScorersDialog
from app.services import own_training
from app.services.own_training import Figures, NothingToLearnFrom
from m2hf_core.errors import KnownError

UNTRAINED = {"id": "untrained", "state": "untrained", "active": False, "test": None}
FAMILY = {
    "id": "family-2",
    "state": "trained:library-2",
    "active": True,
    "test": {"queries": 40, "before": {"R@1": 25.0}, "after": {"R@1": 50.0}},
}
OTHER = {"id": "other", "state": "trained:synthetic", "active": False, "test": {"queries": 0}}

WRITES = 'import json; print(json.dumps({"clips": {"train": 90, "val": 10}}))'
TRAINS = """
import json, pathlib, sys
run = pathlib.Path(sys.argv[1]); run.mkdir(parents=True)
row = {"step": 10, "event": "train", "loss": 3.5, "branches": {"visual": 1.5, "audio": 2.0}}
(run / "metrics.jsonl").write_text(json.dumps(row) + "\\n")
print(json.dumps({"scorer": str(run / "best.safetensors")}))
"""
HANGS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).mkdir(parents=True); time.sleep(600)"
FAILS = "import sys; sys.stderr.write('m2hf-app: No caption or pin belongs to a video. Add some.\\n'); sys.exit(1)"


class Desk:
    """Does at once what the desk thread would do, and brings the outcome later, as the bridge's queued signal does.

    The library is only a folder and a preset.
    """

    def __init__(self, folder: Path) -> None:
        self.library = SimpleNamespace(paths=SimpleNamespace(data=folder), preset=SimpleNamespace(id="demo"))

    def run(self, operation, then=None, sorry=None) -> None:
        try:
            found = operation(self.library)
        except (KnownError, OSError) as error:
            trouble = Trouble.of(error)
            QTimer.singleShot(0, lambda: sorry(trouble))
        else:
            if then is not None:
                QTimer.singleShot(0, lambda: then(found))

    def ask_drive(self, question, then) -> None:
        self.run(lambda _: question(), then)


@pytest.fixture
def commands(monkeypatch):
    """Puts scripts in the place of the program's own two commands."""

    def put(first: str, second: str) -> None:
        def script(words: str, folder: Path) -> list[str]:
            return [sys.executable, "-c", words, str(folder)]

        monkeypatch.setattr(own_training, "write_data_command", lambda run, *_: script(first, run.data))
        monkeypatch.setattr(own_training, "train_command", lambda run, *_: script(second, run.run))

    return put


@pytest.fixture
def training(qapp, tmp_path, monkeypatch):
    monkeypatch.setattr(own_training, "require_captions", lambda _: None)
    made = OwnTraining(Desk(tmp_path))
    yield made
    made.leave()


def test_a_training_shows_its_figures_and_its_scorer_comes_in(
    qtbot, training, commands, tmp_path, monkeypatch
) -> None:
    taken: list[Path] = []
    monkeypatch.setitem(
        sys.modules,
        "app.services.scorers",
        SimpleNamespace(import_scorer=lambda _, file: taken.append(file) or {"id": "own-1"}),
    )
    commands(WRITES, TRAINS)
    training._look.setInterval(3_600_000)  # what comes after the last look
    shown: list[Figures] = []
    training.figures.connect(shown.append)
    with qtbot.waitSignal(training.done, timeout=60_000) as done:
        training.start()
        training.start()  # one at a time
    assert done.args == ["own-1"]
    assert not training.running
    run = next((tmp_path / "training").iterdir())
    assert taken == [run / "run" / "best.safetensors"]
    assert [figures.branches["audio"] for figures in shown] == [((10, 2.0),)], "before it is told to be done"
    assert (run / "run" / "metrics.jsonl").is_file()
    assert not (run / "data").exists(), "the copy of the features goes"


def test_a_training_that_is_stopped_leaves_nothing(qtbot, training, commands, tmp_path) -> None:
    commands(HANGS, TRAINS)
    training.start()
    qtbot.waitUntil(lambda: any(tmp_path.glob("training/*/data")), timeout=60_000)
    process = training._process
    with qtbot.waitSignal(training.stopped, timeout=60_000):
        training.stop()
    assert process.state() == process.ProcessState.NotRunning
    assert not any(tmp_path.glob("training/*"))
    assert not training.running


def test_a_training_that_fails_says_why_in_the_programs_own_words(qtbot, training, commands) -> None:
    commands(FAILS, TRAINS)
    with qtbot.waitSignal(training.failed, timeout=60_000) as failed:
        training.start()
    assert "No caption or pin" in failed.args[0].hint
    assert not training.running


def test_a_program_that_cannot_be_started_is_told(qtbot, training, monkeypatch) -> None:
    monkeypatch.setattr(own_training, "write_data_command", lambda *_: ["/not/there"])
    with qtbot.waitSignal(training.failed, timeout=60_000) as failed:
        training.start()
    assert "could not be started" in failed.args[0].sentence


def test_closing_ends_a_training_at_once(qtbot, training, commands, tmp_path) -> None:
    commands(HANGS, TRAINS)
    training.start()
    qtbot.waitUntil(lambda: any(tmp_path.glob("training/*/data")), timeout=60_000)
    process = training._process
    training.leave()
    assert process.state() == process.ProcessState.NotRunning
    assert not any(tmp_path.glob("training/*")), "the copy of the features goes"
    assert not training.running


def test_an_answer_without_sense_ends_the_training(qtbot, training, commands) -> None:
    commands("print('Welcome!')", TRAINS)
    with qtbot.waitSignal(training.failed, timeout=60_000) as failed:
        training.start()
    assert "made no sense" in failed.args[0].hint
    assert not training.running


def test_a_training_that_is_being_planned_counts(qtbot, training, monkeypatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(training._bridge, "run", lambda *wish: asked.append(wish))
    training.start()
    training.start()
    assert training.running
    assert len(asked) == 1


def test_closing_between_the_two_commands_leaves_nothing(qtbot, training, commands, tmp_path) -> None:
    commands("import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir(parents=True); print('{}')", HANGS)
    waiting: list[object] = []
    training.start()
    training._bridge.run = lambda *wish: waiting.append(wish)
    qtbot.waitUntil(lambda: bool(waiting), timeout=60_000)
    assert training._process is None
    training.leave()
    assert not any(tmp_path.glob("training/*"))
    _, begin, _ = waiting[0]
    begin(["/not/there"])
    assert training._process is None, "and what was planned is not begun"


def test_stopping_between_the_two_commands_leaves_nothing(qtbot, training, commands, tmp_path) -> None:
    commands(WRITES, TRAINS)
    waiting: list[object] = []
    training.start()
    training._bridge.run = lambda *wish: waiting.append(wish)
    qtbot.waitUntil(lambda: bool(waiting), timeout=60_000)
    _, begin, _ = waiting[0]
    training.stop()
    with qtbot.waitSignal(training.stopped):
        begin(["/not/there"])
    assert not training.running
    assert not training._look.isActive(), "nothing is left to look at"


def test_closing_leaves_a_scorer_that_is_being_taken_in_its_file(qtbot, training, commands, tmp_path) -> None:
    commands(WRITES, TRAINS)
    asked: list[object] = []
    run_now = training._bridge.run

    def run(operation, then=None, sorry=None) -> None:
        if operation.__name__ == "take":
            asked.append(operation)
        else:
            run_now(operation, then, sorry)

    training._bridge.run = run
    training.start()
    qtbot.waitUntil(lambda: bool(asked), timeout=60_000)
    training.leave()
    assert any(tmp_path.glob("training/*/run/metrics.jsonl"))
    assert not training.running


def test_without_captions_the_window_says_which_keys_help(qtbot, training, monkeypatch) -> None:
    def refuse(_: object) -> None:
        raise NothingToLearnFrom

    monkeypatch.setattr(own_training, "require_captions", refuse)
    with qtbot.waitSignal(training.failed) as failed:
        training.start()
    assert "press F2" in failed.args[0].hint
    assert not training.running


def test_the_list_says_who_answers_and_what_its_test_said(qtbot, theme) -> None:
    dialog = ScorersDialog(theme)
    qtbot.addWidget(dialog)
    dialog.show_scorers([UNTRAINED, FAMILY, OTHER])
    shown = [[dialog.rows.data(dialog.rows.index(row, column)) for column in range(4)] for row in range(3)]
    assert [row[0] for row in shown] == ["", "●", ""]
    assert shown[0][3] == "not tested yet"
    assert shown[1][3] == "of 40 questions 10 → 20 found first"
    assert shown[2][3] == "nothing to test it with"
    assert dialog.back.isEnabled()
    dialog.show_scorers([UNTRAINED | {"active": True}])
    assert not dialog.back.isEnabled(), "there is nothing to go back from"


def test_a_scorer_found_worse_is_used_only_when_that_is_wished(window, bridge) -> None:
    bridge.results["_scorers"] = [UNTRAINED, FAMILY, OTHER]
    window.offices.scorers()
    dialog = window.offices._scorers.dialog
    tried: list[str] = []

    def test(_operation, _progress, then, _sorry) -> None:
        tried.append("asked")
        then((len(tried) > 1, "on 40 captions R@1 was 50.0 and becomes 25.0."))

    bridge.run_long = test
    dialog.use.click()
    assert dialog.note.text() == "Choose a scorer first."
    dialog.table.selectRow(2)
    dialog.use.click()
    assert "becomes 25.0" in dialog.note.text()
    assert dialog.force.isVisible()
    dialog.force.click()
    assert tried == ["asked", "asked"]
    assert dialog.note.text().startswith("It answers now")
    assert not dialog.force.isVisible()
    dialog.close()


def test_going_back_importing_and_exporting_are_told(window, bridge, tmp_path, monkeypatch) -> None:
    bridge.results |= {
        "_scorers": [UNTRAINED, FAMILY],
        "back": "untrained",
        "take": {"id": "new-1"},
        "copy": tmp_path / "mine.safetensors",
    }
    window.offices.scorers()
    dialog = window.offices._scorers.dialog
    dialog.back.click()
    assert "untrained answers again" in dialog.note.text()
    file = tmp_path / "new.safetensors"
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getOpenFileName", lambda *_: (str(file), ""))
    dialog.bring.click()
    assert "new-1 is here" in dialog.note.text()
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(file), ""))
    dialog.table.selectRow(1)
    dialog.carry.click()
    assert "mine.safetensors" in dialog.note.text()
    dialog.close()


def test_the_training_is_shown_and_stopped_from_the_dialog(window, bridge) -> None:
    bridge.results["_scorers"] = [UNTRAINED]
    office = window.offices._scorers
    office.training.start = lambda: None
    window.offices.scorers()
    dialog = office.dialog
    height = dialog.height()
    dialog.train.click()
    assert dialog.stop.isVisible()
    assert dialog.height() > height
    assert not dialog.train.isEnabled()
    office.training.figures.emit(Figures(((10, 3.5),), {"visual": ((10, 1.5),)}, ((10, 25.0),)))
    assert "Step 10, loss 3.50" in dialog.state.text()
    assert "25 %" in dialog.curves.accessibleDescription()
    office.training.stopped.emit()
    assert "stopped" in dialog.note.text()
    assert not dialog.curves.isVisible()
    assert dialog.height() == height
    dialog.train.click()
    office.training.failed.emit(Trouble("Training stopped.", "The disk is full."))
    assert "disk is full" in dialog.note.text()
    assert dialog.train.isEnabled()
    dialog.close()
    office.training.done.emit("own-1")
    assert "own-1 has been trained" in window.notice.words.text(), (
        "told where the dialog was closed meanwhile"
    )
    window.notice.button.click()
    assert dialog.isVisible()
    dialog.close()


def test_curves_are_drawn_from_the_first_figure_on(qtbot, theme) -> None:
    curves = Curves(theme)
    qtbot.addWidget(curves)
    curves.resize(400, 160)
    empty = curves.grab().toImage()
    curves.show_figures(Figures(((10, 3.0),), {"visual": ((10, 3.0), (20, 2.0))}, ((20, 40.0),)))
    assert curves.grab().toImage() != empty


def test_the_loss_fills_its_chart_and_curves_on_each_other_are_all_seen(qtbot, theme) -> None:
    curves = Curves(theme)
    qtbot.addWidget(curves)
    curves.resize(800, 160)
    falling = ((10, 4.7), (20, 4.6), (30, 4.4))
    curves.show_figures(Figures(falling, dict.fromkeys(("visual", "audio", "motion"), falling)))
    image = curves.grab().toImage()
    for branch in ("visual", "audio", "motion"):
        colour = QColor(theme.colours.branch(branch))
        rows = [
            y for y in range(28, 150) if any(near(image.pixelColor(x, y), colour) for x in range(40, 395))
        ]
        assert rows, f"{branch} is hidden"
        assert max(rows) - min(rows) > 60, "a small fall is seen over the whole height"


def near(one: QColor, other: QColor) -> bool:
    """Much the same; the edges of a line are mixed with what is below it."""
    return all(abs(a - b) < 30 for a, b in zip(one.getRgb(), other.getRgb(), strict=True))
