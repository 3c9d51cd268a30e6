"""What can be done with the chosen moment, in one place for its menu, the buttons below the player and the keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QProcess, QUrl
from PySide6.QtGui import QAction, QDesktopServices, QGuiApplication, QKeySequence, QUndoStack
from PySide6.QtWidgets import QLineEdit, QMenu, QWidget

from app.gui.bridge import Bridge
from app.gui.captions_panel import CaptionsPanel
from app.gui.dialogs import CaptionDialog
from app.gui.exporting import Exporting
from app.gui.notice import Notice
from app.gui.preview import Preview
from app.gui.records import Trouble, clock
from app.gui.undo import Change
from m2hf_core.records import CaptionAnswer, SearchAnswer, SearchHit

if TYPE_CHECKING:
    from app.services.library import Library


class Actions(QObject):
    """Each works on the moment that the preview shows, and is disabled while there is none."""

    def __init__(
        self,
        window: QWidget,
        bridge: Bridge,
        preview: Preview,
        notice: Notice,
        exporting: Exporting,
        show_similar: Callable[[SearchHit, SearchAnswer], None],
    ) -> None:
        super().__init__(window)
        self._window, self._bridge, self._preview, self._notice = window, bridge, preview, notice
        self._show_similar, self._exporting = show_similar, exporting
        self.undo_stack = QUndoStack(self)
        self.captions: CaptionsPanel = preview.captions
        self.play = self._action(self.tr("Play"), preview.play_or_pause, "")
        self.find_captions = self._action(self.tr("Find similar captions"), self.similar_captions, "C")
        self.find_similar = self._action(self.tr("Find similar moments"), self.similar_moments, "S")
        self.caption = self._action(self.tr("Add caption…"), self.add_caption, "F2")
        self.reveal = self._action(self.tr("Show in file manager"), self.show_file, "Ctrl+Shift+R")
        self.open = self._action(self.tr("Open in another player"), self.open_file, "Ctrl+O")
        self.copy_path = self._action(self.tr("Copy path"), self._copy_path, "Ctrl+Shift+C")
        self.copy_time = self._action(self.tr("Copy time"), self._copy_time, "Ctrl+T")
        self.export = self._action(self.tr("Export…"), self.export_menu, "E")
        self.undo = self.undo_stack.createUndoAction(self, self.tr("Undo"))
        self.undo.setShortcut(QKeySequence.StandardKey.Undo)
        self.redo = self.undo_stack.createRedoAction(self, self.tr("Redo"))
        self.redo.setShortcut(QKeySequence.StandardKey.Redo)
        window.addActions([*self.all(), self.export, self.undo, self.redo])
        preview.captions_wanted.connect(self.find_captions.trigger)
        preview.similar_wanted.connect(self.find_similar.trigger)
        preview.export_wanted.connect(self.export.trigger)
        self.captions.judged.connect(self.judge)
        self.show_hit(None)

    def all(self) -> list[QAction]:
        """Those of a moment, in the order of its menu."""
        return [
            self.play,
            self.find_captions,
            self.find_similar,
            self.caption,
            self.reveal,
            self.open,
            self.copy_path,
            self.copy_time,
        ]

    def menu(self, parent: QWidget) -> QMenu:
        """The menu of a moment."""
        menu = QMenu(parent)
        for group in (self.all()[:1], self.all()[1:4], self.all()[4:]):
            menu.addActions(group)
            menu.addSeparator()
        menu.addMenu(self._exporting.menu(menu))
        return menu

    def export_menu(self) -> None:
        """The formats, above the button below the player."""
        menu = self._exporting.menu(self._window)
        button = self._preview.buttons["export"]
        menu.popup(button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    def show_hit(self, hit: SearchHit | None) -> None:
        for action in (*self.all(), self.export):
            action.setEnabled(hit is not None)

    def similar_captions(self) -> None:
        """Fetch the nearest captions and show them in place of the words."""
        hit = self._preview.hit
        if hit is None:
            return
        self.captions.show_captions(())
        self.captions.show_note(self.tr("Comparing captions…"))
        self._preview.show_captions(True)

        def show(answer: CaptionAnswer) -> None:
            if self._preview.hit is not None and self._preview.hit.clip_id == hit.clip_id:
                self.captions.show_captions(answer.hits)
                if not isinstance(self._window.focusWidget(), QLineEdit):  # nobody is taken away from writing
                    self.captions.take_keyboard()

        def sorry(trouble: Trouble) -> None:
            self.captions.show_note(f"{trouble.sentence} {trouble.hint}")

        self._bridge.similar_captions(hit.video, hit.best_s, show, sorry)

    def similar_moments(self) -> None:
        """Show moments that look, sound and move like this one, in place of the results."""
        hit = self._preview.hit
        if hit is None:
            return

        self._bridge.similar_moments(
            hit.video, hit.best_s, lambda answer: self._show_similar(hit, answer), self._tell
        )

    def add_caption(self) -> CaptionDialog | None:
        """Ask for a sentence; adding it can be undone."""
        hit = self._preview.hit
        if hit is None:
            return None
        place = f"{hit.video.name}, {clock(hit.start_s)} – {clock(hit.end_s)}"
        dialog = CaptionDialog(place, self._window)
        dialog.accepted.connect(lambda: self._add_caption(hit, dialog.field.text()))
        dialog.open()
        return dialog

    def _add_caption(self, hit: SearchHit, text: str) -> None:
        def add(library: Library) -> bool:
            from app.services.curating import caption_moment

            return caption_moment(library, text, hit.video, hit.start_s, hit.end_s)

        def remove(library: Library) -> bool:
            from app.services.curating import uncaption_moment

            return uncaption_moment(library, text, hit.video, hit.start_s, hit.end_s)

        def after(done: bool) -> None:
            said = self.tr("Caption added.") if done else self.tr("Caption removed.")
            self._offer_undo(said, done)

        self.undo_stack.push(Change(self.tr("add caption"), self._bridge, add, remove, after))

    def judge(self, text: str, verdict: str) -> None:
        """Pin or reject a caption for the moment: training and the check of a scorer learn from it."""
        hit = self._preview.hit
        if hit is None or verdict not in ("right", "wrong"):
            return

        def keep(library: Library) -> None:
            from app.services.curating import judge

            judge(
                library, text, hit.video, hit.start_s, hit.end_s, "right" if verdict == "right" else "wrong"
            )

        def take_back(library: Library) -> bool:
            from app.services.curating import unjudge

            return unjudge(library, text, hit.video, hit.start_s, hit.end_s)

        def after(done: bool) -> None:
            self.captions.captions.judge(text, verdict if done else "")
            said = {"right": self.tr("Kept as right."), "wrong": self.tr("Kept as wrong.")}[verdict]
            self._offer_undo(said if done else self.tr("Taken back."), done)

        self.undo_stack.push(Change(self.tr("verdict on a caption"), self._bridge, keep, take_back, after))

    def _offer_undo(self, said: str, done: bool) -> None:
        if done:
            self._notice.say(said, self.tr("Undo"), self.undo_stack.undo)
        else:
            self._notice.say(said)

    def show_file(self) -> None:
        if self._preview.hit is not None:
            self.reveal_path(self._preview.hit.video)

    def open_file(self) -> None:
        hit = self._preview.hit
        if hit is not None:
            self._when_there(
                hit.video, lambda _: QDesktopServices.openUrl(QUrl.fromLocalFile(str(hit.video)))
            )

    def reveal_path(self, path: Path) -> None:
        """Show a file or folder in the system's file manager."""
        self._when_there(path, lambda is_folder: _reveal(path, is_folder))

    def _when_there(self, path: Path, act: Callable[[bool], object]) -> None:
        """Act when the path is there, and know whether it is a folder; else say so."""

        def look() -> bool | None:
            return path.is_dir() if path.exists() else None

        def then(is_folder: bool | None) -> None:
            if is_folder is not None:
                act(is_folder)
                return
            self._notice.say(
                self.tr("{} is not there now. If it is on a drive, connect the drive.").format(path.name)
            )

        self._bridge.ask_drive(look, then)

    def _copy_path(self) -> None:
        if self._preview.hit is not None:
            QGuiApplication.clipboard().setText(str(self._preview.hit.video))
            self._notice.say(self.tr("Path copied."))

    def _copy_time(self) -> None:
        hit = self._preview.hit
        if hit is not None:
            QGuiApplication.clipboard().setText(timecode(hit.best_s))
            self._notice.say(self.tr("{} copied.").format(timecode(hit.best_s)))

    def _tell(self, trouble: Trouble) -> None:
        self._notice.say(f"{trouble.sentence} {trouble.hint}")

    def _action(self, text: str, act: Callable[[], object], key: str) -> QAction:
        action = QAction(text, self)
        if key:
            action.setShortcut(QKeySequence(key))
        action.triggered.connect(lambda: act())
        return action


def timecode(seconds: float) -> str:
    """00:01:02.345, as editing programs read it."""
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _reveal(path: Path, is_folder: bool) -> None:
    if QGuiApplication.platformName() == "cocoa":
        QProcess.startDetached("open", ["-R", str(path)])
    elif QGuiApplication.platformName() == "windows":
        QProcess.startDetached("explorer", [f"/select,{path}"])
    else:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path if is_folder else path.parent)))
