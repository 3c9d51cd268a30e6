"""For everybody: each word can be translated, each control reached by keys and named to a screen reader."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLineEdit,
    QWidget,
)

import app.gui
from app.gui.dialogs import CaptionDialog, FailuresDialog, ModelsDialog
from app.gui.first_run import FirstRunDialog
from app.gui.records import Work
from app.gui.scorers_dialog import ScorersDialog
from app.gui.settings_dialog import SettingsDialog

SHOWN_BY = {
    "QLabel",
    "QPushButton",
    "QRadioButton",
    "QCheckBox",
    "QAction",
    "addAction",
    "addItem",
    "say",
    "setAccessibleName",
    "setPlaceholderText",
    "setText",
    "setToolTip",
    "setWindowTitle",
    "muted",
}
UNTRANSLATED = {"M2HF", "0:00", "1×"}
"""A name and figures."""
CONTROLS = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView)


def shown_words(source: str) -> Iterator[tuple[int, str]]:
    """Line and words of each literal that goes to the screen without tr()."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in SHOWN_BY:
            continue
        for argument in call.args:
            pieces = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            for piece in pieces:
                words = piece.value if isinstance(piece, ast.Constant) else ""
                if isinstance(words, str) and any(letter.isalpha() for letter in words):
                    yield call.lineno, words


def test_words_that_bypass_translation_are_noticed() -> None:
    source = 'label.setText("Stop")\nlabel.setText(self.tr("Stop"))\nQLabel(f"{n} files")\nsay(f"{a} · {b}")'
    assert list(shown_words(source)) == [(1, "Stop"), (3, " files")]


def test_every_word_on_screen_can_be_translated() -> None:
    folder = Path(app.gui.__file__).parent
    found = [
        f"{file.name}:{line}: {words}"
        for file in sorted(folder.glob("*.py"))
        for line, words in shown_words(file.read_text(encoding="utf-8"))
        if words not in UNTRANSLATED and not words.startswith("<")
    ]
    assert found == []


@pytest.fixture
def dialogs(qtbot, theme, described, presets) -> list[QWidget]:
    made: list[QWidget] = [
        SettingsDialog(described),
        ModelsDialog(),
        FailuresDialog(),
        FirstRunDialog(presets, "fast"),
        ScorersDialog(theme),
        CaptionDialog("clip_00001.mp4, 0:04"),
    ]
    for dialog in made:
        qtbot.addWidget(dialog)
        dialog.show()
    return made


def test_every_control_of_the_dialogs_has_a_name(dialogs) -> None:
    nameless = [
        (type(dialog).__name__, type(control).__name__)
        for dialog in dialogs
        for kind in CONTROLS
        for control in dialog.findChildren(kind)
        if control.isVisible() and not control.objectName().startswith("qt_")
        if not (control.accessibleName() or (isinstance(control, QAbstractButton) and control.text()))
        if type(control).__name__ not in ("QHeaderView", "QTableCornerButton", "QComboBoxListView")
        if not isinstance(control.parentWidget(), QAbstractItemView)
    ]
    assert nameless == []


def test_tab_reaches_every_button_of_the_window(window, qtbot, type_query) -> None:
    type_query()
    window._go_to_results()
    out_of_reach = [
        button.accessibleName() or button.text()
        for button in window.findChildren(QAbstractButton)
        if button.isVisible() and not button.objectName().startswith("qt_")
        if not button.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert out_of_reach == []


@pytest.mark.qt_log_ignore("systemTrayWindowChanged", "raise\\(\\)", extend=True)
def test_the_tray_opens_pauses_resumes_and_quits(qtbot, qapp, theme, monkeypatch, tmp_path) -> None:
    from PySide6.QtWidgets import QSystemTrayIcon

    from app.gui.bridge import Bridge
    from app.gui.start import Program

    called: list[str] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(Bridge, "start", lambda self: None)
    monkeypatch.setattr(Bridge, "pause", lambda self: called.append("pause"))
    monkeypatch.setattr(Bridge, "resume", lambda self: called.append("resume"))
    monkeypatch.setattr(qapp, "exit", lambda code: called.append(f"exit {code}"), raising=False)
    program = Program(qapp)
    assert program.open(tmp_path, "demo", hidden=True)
    window = program.window
    assert window is not None
    assert not window.isVisible(), "started at login, it begins in the tray"
    opens, pauses, resumes, quits = program._tray.contextMenu().actions()
    opens.trigger()
    assert window.isVisible()
    assert (pauses.isVisible(), resumes.isVisible()) == (True, False)
    pauses.trigger()
    window.bridge.working.emit(Work("paused", "Paused"))
    assert (pauses.isVisible(), resumes.isVisible()) == (False, True)
    resumes.trigger()
    window.hide()
    program._tray.activated.emit(QSystemTrayIcon.ActivationReason.Context)
    assert not window.isVisible(), "the other button is for the menu"
    program._tray.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
    assert window.isVisible()
    quits.trigger()
    assert called == ["pause", "resume", "exit 0"]
    assert not window.isVisible()
    window.deleteLater()


@pytest.mark.qt_log_ignore("systemTrayWindowChanged", "raise\\(\\)", extend=True)
def test_a_tray_that_comes_later_is_waited_for(qtbot, qapp, monkeypatch, tmp_path) -> None:
    import shiboken6
    from PySide6.QtWidgets import QSystemTrayIcon

    from app.gui import start
    from app.gui.bridge import Bridge

    there: list[bool] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: bool(there)))
    monkeypatch.setattr(Bridge, "start", lambda self: None)
    monkeypatch.setattr(start, "TRAY_LOOK_MS", 10)
    program = start.Program(qapp)
    assert program.open(tmp_path / "one", "demo", hidden=True)
    first = program.window
    assert not first.isVisible()
    there.append(True)
    qtbot.waitUntil(lambda: program._tray is not None)
    assert not first.isVisible()
    there.clear()
    monkeypatch.setattr(start, "TRAY_LOOKS", 3)
    assert program.open(tmp_path / "two", "demo", hidden=True)
    qtbot.waitUntil(program.window.isVisible)
    qtbot.waitUntil(lambda: not shiboken6.isValid(first))  # with all its pictures
    program.close()
    program.window.deleteLater()


def test_the_wheel_scrolls_past_a_choice(qtbot, theme, described, monkeypatch) -> None:
    dialog = SettingsDialog(described)
    qtbot.addWidget(dialog)
    dialog.show()
    box = dialog.fields["fusion"]
    before = box.currentText()
    for focused in (False, True):
        monkeypatch.setattr(box, "hasFocus", lambda focused=focused: focused)
        place = QPointF(10, 10)
        turn = QWheelEvent(
            place,
            box.mapToGlobal(place),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(box, turn)
        assert (box.currentText() != before) == focused


def test_every_stop_of_the_tab_key_has_a_name(window, type_query) -> None:
    type_query()
    window.results.setCurrentIndex(window.results.results.index(0))
    stops, here = [], window.search.field
    while here not in stops:
        stops.append(here)
        here = here.nextInFocusChain()
        while not (here.isVisible() and here.focusPolicy() & Qt.FocusPolicy.TabFocus and here.isEnabled()):
            here = here.nextInFocusChain()
    named = [QAccessible.queryAccessibleInterface(stop).text(QAccessible.Text.Name) for stop in stops]
    assert len(stops) > 20
    assert all(named), [type(stop) for stop, name in zip(stops, named, strict=True) if not name]
    assert window.library not in stops
    assert window.middle.receipt in stops, "its links are reached by keys"


def test_what_has_the_keyboard_looks_so(window, type_query) -> None:
    type_query()
    window.activateWindow()
    for view in (window.library.tree, window.results):
        view.setCurrentIndex(view.model().index(0, 0))
        looks = []
        for widget in (window.search.field, view):
            widget.setFocus()
            QApplication.processEvents()
            looks.append(view.grab().toImage())
        assert looks[0] != looks[1], view.accessibleName()
