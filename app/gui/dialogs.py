"""Dialogs: models, failures, keys, about, and what is asked before. None of them blocks the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QLineEdit, QTextBrowser, QVBoxLayout, QWidget

from app.gui.dialog import Dialog, TableDialog, closing, muted
from app.gui.theme import STEP
from m2hf_core.records import Failure

Document = Mapping[str, Any]


class FailuresDialog(TableDialog):
    """Files that could not be read: why, and what to do."""

    retry_wanted = Signal()
    reveal_wanted = Signal(object)
    save_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        heads = (self.tr("File"), self.tr("Stage"), self.tr("Reason"), self.tr("What to do"))
        super().__init__(self.tr("Files that could not be read"), heads, parent)
        self.failures: Sequence[Failure] = ()
        self.retry = self.add_button(self.tr("Try all again"), self.retry_wanted.emit)
        self.reveal = self.add_button(self.tr("Show in file manager"), self._reveal)
        self.save = self.add_button(self.tr("Save as CSV…"), self.save_wanted.emit)

    def show_failures(self, failures: Sequence[Failure]) -> None:
        self.failures = failures
        self.rows.show(
            [(f.path, (f.path.name, self._stage(f.stage), f.reason, f.hint)) for f in failures],
        )
        for button in (self.retry, self.reveal, self.save):
            button.setEnabled(bool(failures))
        self.table.setColumnWidth(0, 50 * STEP)
        self.table.setColumnWidth(2, 60 * STEP)
        self.say(self.tr("Everything could be read.") if not failures else "")

    def _reveal(self) -> None:
        path = self.chosen()
        if isinstance(path, Path):
            self.reveal_wanted.emit(path)
        else:
            self.say(self.tr("Choose a file first."))

    def _stage(self, stage: str) -> str:
        """What was being done, in the words of the status line."""
        return {
            "probe": self.tr("opening"),
            "decode": self.tr("watching"),
            "clip": self.tr("watching"),
            "audio": self.tr("listening"),
            "vggish": self.tr("listening"),
            "s3d": self.tr("following"),
            "speech": self.tr("reading words"),
            "identify": self.tr("reading it"),
            "length": self.tr("measuring"),
            "save": self.tr("saving"),
            "write": self.tr("saving"),
        }.get(stage, self.tr("working on it"))


class ModelsDialog(TableDialog):
    """The presets with size, licence and state."""

    use_wanted = Signal(str)
    prepare_wanted = Signal(str)
    import_wanted = Signal()
    stop_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        heads = (
            self.tr("Preset"),
            self.tr("State"),
            self.tr("Size"),
            self.tr("Licence"),
            self.tr("What it is"),
        )
        super().__init__(self.tr("Models"), heads, parent)
        self.use = self.add_button(self.tr("Use"), lambda: self._with(self.use_wanted.emit))
        self.prepare = self.add_button(self.tr("Download…"), lambda: self._with(self.prepare_wanted.emit))
        self.bring = self.add_button(self.tr("Import a folder…"), self.import_wanted.emit)
        self.stop = self.add_button(self.tr("Stop"), self.stop_wanted.emit)
        self.busy(False)
        self.say(self.tr("Only a download uses the network. Everything else stays on this machine."))

    def show_presets(self, presets: Sequence[Document], active: str) -> None:
        rows = []
        for preset in presets:
            state = str(preset["state"]) + (self.tr(", in use") if preset["id"] == active else "")
            sentence = f"{preset['title']}. {preset['sentence']}"
            rows.append(
                (
                    preset["id"],
                    (str(preset["id"]), state, str(preset["size"]), str(preset["licence"]), sentence),
                )
            )
        self.rows.show(rows)
        self.table.setColumnWidth(3, 40 * STEP)

    def busy(self, on: bool) -> None:
        """While something is fetched, it can only be stopped."""
        for button in (self.use, self.prepare, self.bring):
            button.setEnabled(not on)
        self.stop.setVisible(on)

    def _with(self, act: Callable[[str], None]) -> None:
        chosen = self.chosen()
        if chosen is None:
            self.say(self.tr("Choose a preset first."))
        else:
            act(str(chosen))


class TextDialog(Dialog):
    """Something to read: keys, or about."""

    def __init__(self, title: str, rich: str, parent: QWidget | None = None, *, wrapped: bool = True) -> None:
        """`wrapped` False: lines stay whole, and the dialog becomes as wide as the longest."""
        super().__init__(parent)
        self.setWindowTitle(title)
        self.words = QLabel(rich)
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(wrapped)
        self.words.setMinimumWidth(100 * STEP)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6 * STEP, 6 * STEP, 6 * STEP, 4 * STEP)
        layout.setSpacing(4 * STEP)
        layout.addWidget(self.words)
        layout.addWidget(closing(self))


class CaptionDialog(Dialog):
    """One line: what happens in the moment."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Add a caption"))
        self.setMinimumWidth(110 * STEP)
        self.field = QLineEdit()
        self.field.setAccessibleName(self.tr("Caption"))
        self.field.setPlaceholderText(self.tr("What happens in this moment, in one sentence"))
        self.field.setMaxLength(2000)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText(self.tr("Add"))
        self.ok.setEnabled(False)
        self.field.textChanged.connect(lambda text: self.ok.setEnabled(bool(text.strip())))
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP, 5 * STEP, 5 * STEP, 4 * STEP)
        layout.setSpacing(3 * STEP)
        layout.addWidget(muted(title))
        layout.addWidget(self.field)
        layout.addWidget(buttons)


class SureDialog(Dialog):
    """Asked before what cannot be undone: what goes, and what stays. `details` are read in a field that scrolls."""

    def __init__(
        self,
        sentence: str,
        consequence: str,
        verb: str,
        parent: QWidget | None = None,
        *,
        details: Sequence[str] = (),
        careful: bool = False,
    ) -> None:
        """`careful`: Enter takes the way back, since what goes is gone for good."""
        super().__init__(parent)
        self.setWindowTitle(verb)
        self.setMinimumWidth((160 if details else 110) * STEP)
        title = QLabel(sentence)
        title.setWordWrap(True)
        self.details = QTextBrowser()
        self.details.setObjectName("boxed")
        self.details.setAccessibleName(sentence)
        self.details.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.details.setMinimumHeight(70 * STEP)
        self.details.setPlainText("\n\n".join(details))
        self.details.setVisible(bool(details))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.sure = buttons.addButton(verb, QDialogButtonBox.ButtonRole.AcceptRole)
        self.cancel = buttons.button(QDialogButtonBox.StandardButton.Cancel)
        (self.cancel if careful else self.sure).setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP, 5 * STEP, 5 * STEP, 4 * STEP)
        layout.setSpacing(3 * STEP)
        for widget in (title, muted(consequence), self.details, buttons):
            layout.addWidget(widget)
        (self.cancel if careful else self.sure).setFocus()


class StayDialog(Dialog):
    """Asked once, when the window is closed while indexing works. Accepted: it goes on in the tray; `QUIT`: it ends;
    rejected: the window is not closed at all.
    """

    QUIT = 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Close"))
        self.setMinimumWidth(110 * STEP)
        title = QLabel(self.tr("Some videos are not searchable yet."))
        buttons = QDialogButtonBox()
        self.stay = buttons.addButton(
            self.tr("Go on in the background"), QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.quit = buttons.addButton(self.tr("Quit"), QDialogButtonBox.ButtonRole.DestructiveRole)
        buttons.accepted.connect(self.accept)
        self.quit.clicked.connect(lambda: self.done(self.QUIT))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP, 5 * STEP, 5 * STEP, 4 * STEP)
        layout.setSpacing(3 * STEP)
        explained = muted(
            self.tr(
                "The icon in the tray brings the window back. If you quit, what is finished stays, and the next "
                "start goes on from there."
            )
        )
        for widget in (title, explained, buttons):
            layout.addWidget(widget)
