"""The window: three columns between a search bar and a status line, and who listens to whom."""

from __future__ import annotations

import html
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QIcon, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QLabel,
    QMainWindow,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.actions import Actions
from app.gui.bridge import Bridge
from app.gui.empty import EmptyState
from app.gui.exporting import Exporting
from app.gui.icons import icon
from app.gui.library_panel import LibraryPanel, folders_of
from app.gui.notice import Notice
from app.gui.offices import Offices
from app.gui.preview import Preview
from app.gui.records import Trouble, Work, clock, counted
from app.gui.results_view import ResultsView
from app.gui.search_bar import SearchBar
from app.gui.session import Session
from app.gui.status_bar import StatusBar
from app.gui.theme import LIBRARY_WIDTH, PREVIEW_WIDTH, STEP, Theme
from app.gui.thumbnails import Thumbnails
from app.services.views import Overview
from m2hf_core.records import BRANCHES, Line, SearchAnswer, SearchHit

if TYPE_CHECKING:
    from app.services.library import Library
    from app.services.live import Answered
    from app.services.searching import Searcher

LINGER_MS = 1500
"""A query that stands this long goes into the history."""


class MainWindow(QMainWindow):
    """Built from panels that only signal; this class connects them with the bridge."""

    library_wanted = Signal(object, str)
    """Another library to show in place of this one: its data folder and preset."""

    def __init__(self, bridge: Bridge, theme: Theme, session: Session) -> None:
        super().__init__()
        self._in_tray = self._leaving = False
        self.bridge, self.theme, self.session = bridge, theme, session
        self._overview: Overview | None = None
        self.answer: SearchAnswer | None = None
        self._like: SearchHit | None = None
        """The moment whose likes are shown in place of an answer to words."""
        self._drawn: tuple[Path, str] | None = None
        """The video and the words that the strip shows."""
        self.setWindowTitle("M2HF")
        self.setWindowIcon(QIcon(icon("app")))
        self.thumbnails = Thumbnails(bridge)
        self.search = SearchBar(theme)
        self.library = LibraryPanel(theme)
        self.results = ResultsView(theme, self.thumbnails)
        self.preview = Preview(theme, self.thumbnails)
        self.status = StatusBar()
        self.receipt = QLabel()
        self.receipt.setObjectName("muted")
        self.receipt.setContentsMargins(4 * STEP, 3 * STEP, 4 * STEP, STEP)
        self.receipt.setWordWrap(True)
        self.receipt.setTextFormat(Qt.TextFormat.RichText)
        self.receipt.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        self.empty = EmptyState()
        self.notice = Notice()
        self.offices = Offices(self, bridge, self.notice)
        self.exporting = Exporting(self, bridge, self.notice, self._chosen_hits)
        self.actions_here = Actions(
            self, bridge, self.preview, self.notice, self.exporting, self._show_similar
        )
        self._pages = QStackedWidget()
        self._assemble()
        self._connect()
        self._shortcuts()
        self._linger = QTimer(self, singleShot=True, interval=LINGER_MS)
        self._linger.timeout.connect(self._remember_search)
        self._restore()
        self._show_middle()

    # Building.

    def _assemble(self) -> None:
        found = self._ground()
        column = QVBoxLayout(found)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.receipt)
        column.addWidget(self.results, 1)
        self._pages.addWidget(found)
        self._pages.addWidget(self.empty)
        middle = self._ground()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._pages, 1)
        column.addWidget(self.notice)
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.setHandleWidth(1)
        for widget in (self.library, middle, self.preview):
            self.columns.addWidget(widget)
        self.columns.setStretchFactor(1, 1)
        self.columns.setCollapsible(1, False)
        middle.setMinimumWidth(60 * STEP)
        self.preview.setMinimumWidth(70 * STEP)
        self.library.setMinimumWidth(45 * STEP)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.search)
        layout.addWidget(self.columns, 1)
        layout.addWidget(self.status)
        self.setCentralWidget(content)

    def _ground(self) -> QWidget:
        widget = QWidget()
        widget.setObjectName("ground")
        widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        return widget

    def _connect(self) -> None:
        bridge = self.bridge
        bridge.overview.connect(self._show_overview)
        bridge.answered.connect(self._show_answer)
        bridge.working.connect(self._show_work)
        bridge.search_state.connect(self._search_state)
        bridge.failed.connect(self.tell)
        self.search.asked.connect(self._ask)
        self.search.arranged.connect(self._arrange)
        self.search.entered.connect(self._go_to_results)
        self.library.filtered.connect(self._filter)
        self.library.search_wanted.connect(self.search.search_for)
        self.library.folders_wanted.connect(self.add_folders)
        self.library.dropped.connect(self._take_dropped)
        self.library.folder_chosen.connect(bridge.look_at)
        self.receipt.linkActivated.connect(self._unseen_first)
        self.results.chosen.connect(self._choose)
        self.results.played.connect(self.preview.play_or_pause)
        self.results.opened.connect(lambda _: self.preview.play_or_pause())
        self.results.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.results.customContextMenuRequested.connect(self._hit_menu)
        self.preview.captions.search_wanted.connect(self.search.search_for)
        self.offices.fusion_chosen.connect(self._take_fusion)
        self.offices.library_wanted.connect(self.library_wanted)
        self.library.removal_wanted.connect(self._remove_folder)
        self.library.forgetting_wanted.connect(self.offices.forget)
        self.library.reveal_wanted.connect(self.actions_here.reveal_path)
        bridge.reveal.connect(self.actions_here.reveal_path)
        self.status.failures_wanted.connect(self.offices.failures)
        self.search.more.setMenu(self._more_menu())
        self.status.pause_wanted.connect(bridge.pause)
        self.status.resume_wanted.connect(bridge.resume)

    def _shortcuts(self) -> None:
        self._keys: list[QShortcut] = []
        for keys, action in (
            ("Ctrl+F", self._focus_search),
            ("Ctrl+L", self._focus_search),
            (".", lambda: self.preview.player.step(1)),
            (",", lambda: self.preview.player.step(-1)),
            *((str(number), chip.toggle) for number, chip in enumerate(self.search.chips.values(), 1)),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(action)
            self._keys.append(shortcut)

    # What comes through the bridge.

    def _show_overview(self, overview: Overview) -> None:
        before, self._overview = self._overview, overview
        if before is None:
            self.search.start_from_fusion(overview.fusion)
        elif overview.videos.get("ready", 0) > before.videos.get("ready", 0):
            self.thumbnails.forget()  # some that had no picture may have one now
            self.results.viewport().update()
        self.library.show_overview(overview)
        self.status.show_failures(overview.videos.get("failed", 0))
        self.status.show_models(overview.preset_title, overview.scorer)
        self._welcome(overview)
        self._show_middle()

    def _welcome(self, overview: Overview) -> None:
        """Once per library, while it is empty."""
        if overview.folders or self.session.flag("welcomed"):
            return
        self.session.put_flag("welcomed", True)
        self.offices.welcome(self.add_folders)

    def _show_answer(self, answered: Answered) -> None:
        if answered.error is not None or answered.answer is None:
            self.answer = None
            if answered.error is not None:
                self.tell(Trouble.of(answered.error))
            return
        if not self.search.ask().text or (answered.refreshed and self._like is not None):
            return
        self.answer = answered.answer
        self._arrange()
        self._write_coverage(answered.answer)
        self.search.say_asleep(dict(answered.answer.abstained))
        self._show_middle()
        self._linger.start()

    def _show_work(self, work: Work) -> None:
        self.status.show_work(work)

    def _search_state(self, state: str, trouble: Trouble | None) -> None:
        if trouble is not None:
            self.tell(trouble)
        if state == "ready" and not self.search.field.text():
            self.search.took.setText("")
        elif state == "opening":
            self.search.took.setText(self.tr("loading the models"))

    def tell(self, trouble: Trouble) -> None:
        """A failure that nobody asked for is said below the results; it never stops the work."""
        self.notice.say(f"{trouble.sentence} {trouble.hint}")

    # What the panels wish.

    def add_folders(self, folders: list[Path]) -> None:
        """Watch these folders, and make them searchable."""

        self.bridge.add_folders(folders)

    def _take_fusion(self, fusion: str) -> None:
        self.search.set_fusion(fusion)
        self.search.ask_now()

    def _take_dropped(self, paths: list[Path]) -> None:
        self.bridge.ask_drive(partial(folders_of, paths), self.add_folders)

    def _unseen_first(self, _link: str) -> None:
        """What the search could not see is made searchable before the rest."""
        query = self.search.ask().text

        def raise_unseen(library: Library) -> int:
            from app.services.blind_spots import raise_priority

            return raise_priority(library, query)

        def say(count: int) -> None:
            self.notice.say(
                counted(count, self.tr("{} video goes first now."), self.tr("{} videos go first now."))
                if count
                else self.tr("None of them waits for indexing.")
            )

        self.bridge.run(raise_unseen, say)

    def _ask(self, ask: object) -> None:
        wish = self.search.ask()
        self._like = None
        if not self.search.field.text().strip():
            self.answer = None
            self.search.took.setText("")
            self.results.results.show(())
            self._linger.stop()
            self._show_middle()
            return
        if wish.branches:
            self.bridge.ask(wish)
        else:
            self.answer = None
            self.results.results.show(())
            self._show_middle()

    def _filter(self, words: str) -> None:
        self.search.filters = words
        self.search.ask_now()

    def _arrange(self) -> None:
        self.results.set_list_form(self.search.form.isChecked())
        if self.answer is None:
            return
        hits = list(self.answer.hits)
        if self.search.one_per_video:
            hits = list({hit.video: hit for hit in reversed(hits)}.values())
            hits.sort(key=lambda hit: hit.rank)
        if self.search.order == "name":
            hits.sort(key=lambda hit: (hit.video.name.lower(), hit.start_s))
        elif self.search.order == "folder":
            hits.sort(key=lambda hit: (str(hit.video.parent).lower(), hit.rank))
        chosen = self.preview.hit
        self.results.results.show(hits, by_likelihood=self.search.order == "best")
        row = None if chosen is None else self.results.results.row_of(chosen.clip_id)
        if row is not None and row != self.results.currentIndex().row():
            self.results.setCurrentIndex(self.results.results.index(row))
        elif row is not None:
            self._choose(self.results.results.hit(row))

    def _choose(self, hit: SearchHit | None) -> None:
        self.actions_here.show_hit(hit)
        if hit is None:
            return
        if self.preview.hit is None or self.preview.hit.video != hit.video:
            self.bridge.look_at(hit.video)
        self.preview.show_hit(hit)
        video, words = hit.video, self.answer.query if self.answer is not None and self._like is None else ""
        if (video, words) == self._drawn:
            return
        self._drawn = (video, words)

        def curves(searcher: Searcher) -> dict[str, list[tuple[float, float]]]:
            return searcher.timeline(video, words)

        def lines(library: Library) -> tuple[Line, ...]:
            from app.services.overview import spoken_lines

            return spoken_lines(library, video)

        def show_lines(found: tuple[Line, ...]) -> None:
            if self._shows(video):
                self.preview.show_lines(found)

        def show_curves(found: dict[str, list[tuple[float, float]]]) -> None:
            if self._shows(video):
                self.preview.show_curves(found)

        self.bridge.run(lines, show_lines)
        if words:
            # A query that the strip cannot draw has already been told to the person by the search itself.
            self.bridge.with_searcher(curves, show_curves, lambda _: None)

    def _shows(self, video: Path) -> bool:
        return self.preview.hit is not None and self.preview.hit.video == video

    def _show_similar(self, hit: SearchHit, answer: SearchAnswer) -> None:
        """Moments like one, in place of the results; typing brings words back."""
        self.answer, self._like = answer, hit
        self._arrange()
        place = f"{hit.video.name}, {clock(hit.best_s)}"
        said = (self.tr("Moments like {}").format(place), *answer.notes)
        self.receipt.setText("<br>".join(html.escape(part) for part in said))
        self.receipt.show()
        self._show_middle()

    def _chosen_hits(self) -> tuple[SearchAnswer | None, list[SearchHit]]:
        rows = sorted(index.row() for index in self.results.selectionModel().selectedIndexes())
        return self.answer, [hit for row in rows if (hit := self.results.results.hit(row)) is not None]

    def _hit_menu(self, at: QPoint) -> None:
        if self.results.indexAt(at).isValid():
            self.actions_here.menu(self).popup(self.results.viewport().mapToGlobal(at))

    def _more_menu(self) -> QMenu:
        menu = QMenu(self)
        offices = self.offices
        self._entries: list[QAction] = []
        for text, key, act in (
            (self.tr("Add folder…"), "Ctrl+N", self.library.choose_folder),
            (self.tr("Save this search"), "Ctrl+D", self._save_search),
            (self.tr("Models…"), "", offices.models),
            (self.tr("Files that could not be read…"), "", offices.failures),
            (self.tr("Settings…"), "Ctrl+,", offices.settings),
            (self.tr("Keys"), "?", self._show_keys),
            (self.tr("About"), "", offices.about),
        ):
            action = QAction(text, self)
            if key:
                action.setShortcut(QKeySequence(key))
            action.triggered.connect(lambda _=False, act=act: act())
            self.addAction(action)
            self._entries.append(action)
            menu.addAction(action)
        menu.insertAction(self._entries[2], self.actions_here.undo)
        menu.insertAction(self._entries[2], self.actions_here.redo)
        menu.insertSeparator(self._entries[2])
        return menu

    def _show_keys(self) -> None:
        rows = [
            ("Ctrl+F", self.tr("Search field")),
            ("Esc", self.tr("Clear the field")),
            (self.tr("Arrows"), self.tr("Through the moments")),
            (self.tr("Enter, Space"), self.tr("Play or pause")),
            ("1 2 3 4", self.tr("Visual, audio, motion, speech on or off")),
            (", .", self.tr("A frame back, a frame on")),
        ]
        for action in (*self.actions_here.all(), self.actions_here.undo, *self._entries):
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            if keys:
                rows.append((keys, action.text()))
        rows.append(("P, X", self.tr("A caption is right, or wrong, for the moment")))
        self.offices.keys(rows)

    def _save_search(self) -> None:
        words = self.search.field.text().strip()
        saved = self.library.saved_searches()
        if words and words not in saved:
            self.library.show_searches([*saved, words], self.session.texts("recent"))

    def _remove_folder(self, path: Path) -> None:
        """Stop watching; the notice below offers the way back."""

        def done(_: object) -> None:
            self.bridge.refresh()
            self.notice.say(
                self.tr("{} is not watched any more; what was found in it stays searchable.").format(
                    path.name
                ),
                self.tr("Undo"),
                lambda: self.add_folders([path]),
            )

        self.bridge.with_background(lambda background: background.remove_folder(path), done)

    def _go_to_results(self) -> None:
        if self.results.results.rowCount():
            self.results.setFocus()
            if not self.results.currentIndex().isValid():
                self.results.setCurrentIndex(self.results.results.index(0))

    def _focus_search(self) -> None:
        self.search.field.setFocus()
        self.search.field.selectAll()

    def _remember_search(self) -> None:
        words = self.search.field.text().strip()
        if words:
            self.library.show_searches(self.library.saved_searches(), self.session.remember_search(words))

    # What stands in the middle.

    def _write_coverage(self, answer: SearchAnswer) -> None:
        overview = self._overview
        took = round(answer.took_ms + answer.encode_ms)
        total = overview.total if overview is not None else answer.videos
        self.search.took.setText(self.tr("{} ms · {} of {} videos").format(took, answer.videos, total))
        parts = []
        if answer.blind_spots:
            parts.append(html.escape(self.tr("Not searched: {}").format(" · ".join(answer.blind_spots))))
            parts[0] += f' <a href="first">{self.tr("Do these first")}</a>'
        parts.extend(html.escape(note) for note in answer.notes if note.startswith("character"))
        self.receipt.setText("<br>".join(parts))
        self.receipt.setVisible(bool(parts))

    def _show_middle(self) -> None:
        """Results, or the sentence that explains why there are none."""
        overview, text = self._overview, self.search.field.text().strip()
        if self.results.results.rowCount():
            self._pages.setCurrentIndex(0)
            return
        self._pages.setCurrentIndex(1)
        say = self.empty.say
        if overview is None:
            say(self.tr("Opening your library"))
        elif not overview.folders:
            say(
                self.tr("No folder yet"),
                self.tr("Add a folder with videos. Everything stays on this machine."),
                (self.tr("Add folder…"), self.library.choose_folder),
                (self.tr("Try the demo"), self.offices.demo),
            )
        elif all(not folder.online for folder in overview.folders):
            say(
                self.tr("All folders are offline"),
                self.tr("Connect their drives to play what is found; searching works without them."),
                (self.tr("Look again"), self.bridge.refresh),
            )
        elif not any(chip.isChecked() for chip in self.search.chips.values()):
            say(
                self.tr("No branch is chosen"),
                self.tr("Choose at least one of the four beside the search field."),
                (self.tr("Search by all four"), self._all_branches),
            )
        elif text and self.answer is not None:
            say(
                self.tr("Nothing found"),
                html.escape(self._could_not(self.answer)),
                (self.tr("Clear the filters"), self.library.clear_filters) if self.search.filters else None,
            )
        elif text:
            say(self.tr("Searching"))
        else:
            self._invite(overview)

    def _invite(self, overview: Overview) -> None:
        examples = overview.examples
        self.empty.say(
            self.tr("What are you looking for?"),
            self.tr("Try one of these:") if examples else self.tr("Say what is seen, heard, done or said."),
            examples=[(f"“{text}”", partial(self.search.search_for, text)) for text in examples],
        )
        if examples:
            self.search.field.setPlaceholderText(self.tr("Describe a moment, as in: {}").format(examples[0]))

    def _could_not(self, answer: SearchAnswer) -> str:
        spots = [*answer.blind_spots, *(f"{name}: {why}" for name, why in answer.abstained.items())]
        return " · ".join(spots) or self.tr("Other words may find it.")

    def _all_branches(self) -> None:
        for branch in BRANCHES:
            self.search.chips[branch].setChecked(True)

    # Session.

    def _restore(self) -> None:
        self.resize(1440, 900)
        session = self.session
        if not self.restoreGeometry(session.state("geometry")):
            self.resize(1440, 900)
        if not self.columns.restoreState(session.state("columns")):
            self.columns.setSizes([LIBRARY_WIDTH, 1440 - LIBRARY_WIDTH - PREVIEW_WIDTH, PREVIEW_WIDTH])
        self.library.show_searches(session.texts("saved"), session.texts("recent"))
        self.search.form.setChecked(session.flag("rows"))
        self.search.set_one_per_video(session.flag("grouped"))
        self.search.set_order(session.text("order", "best"))
        self.search.set_fusion(session.text("fusion"))
        self.search.field.setFocus()

    def _keep(self) -> None:
        session = self.session
        session.put_state("geometry", self.saveGeometry())
        session.put_state("columns", self.columns.saveState())
        session.put_texts("saved", self.library.saved_searches())
        session.put_flag("rows", self.search.form.isChecked())
        session.put_flag("grouped", self.search.one_per_video)
        session.put_text("order", self.search.order)
        session.put_text("fusion", self.search.own_fusion or "")
        session.write()

    def offer_tray(self) -> None:
        """There is a tray, so closing may leave indexing at work."""
        self.stay = QAction(self.tr("Go on indexing when the window is closed"), self, checkable=True)
        self.stay.setChecked(self.session.flag("stay"))
        self.stay.toggled.connect(lambda on: self.session.put_flag("stay", on))
        self._in_tray = True
        menu = self.search.more.menu()
        if menu is not None:
            menu.addSeparator()
            menu.addAction(self.stay)

    def leave(self) -> None:
        """Close for good, tray or not."""
        self._leaving = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self._keep()
        if self._in_tray and self.stay.isChecked() and not self._leaving:
            self.preview.player.stop()
            self.hide()
            event.ignore()
            return
        self.preview.player.stop()
        self.hide()
        self.bridge.stop()
        super().closeEvent(event)
