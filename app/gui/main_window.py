"""The window: three columns between a search bar and a status line, and who listens to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QIcon, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QMainWindow,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.gui.actions import Actions
from app.gui.bridge import Bridge
from app.gui.dialogs import StayDialog
from app.gui.exporting import Exporting
from app.gui.folder_office import FolderOffice
from app.gui.icons import icon
from app.gui.library_panel import LibraryPanel
from app.gui.looking import Looking
from app.gui.menus import Menus
from app.gui.middle import PICTURES, Middle
from app.gui.offices import Offices
from app.gui.preview import Preview
from app.gui.records import Trouble, Work
from app.gui.restoring import keep, restore
from app.gui.results_model import arranged
from app.gui.results_view import ResultsView
from app.gui.search_bar import SearchBar
from app.gui.session import Session
from app.gui.status_bar import StatusBar
from app.gui.theme import STEP, Theme
from app.gui.thumbnails import Thumbnails
from app.services.views import Overview
from m2hf_core.records import SearchAnswer, SearchHit

if TYPE_CHECKING:
    from app.services.live import Answered

LINGER_MS = 1500
"""A query that stands this long goes into the history."""


class MainWindow(QMainWindow):
    """Built from panels that only signal; this class connects them with the bridge."""

    library_wanted = Signal(object, str)
    """Another library to show in place of this one: its data folder and preset."""

    def __init__(self, bridge: Bridge, theme: Theme, session: Session) -> None:
        super().__init__()
        self._in_tray = self._leaving = False
        self._can_search = False
        """The models are in memory; what is asked before waits for them."""
        self.bridge, self.theme, self.session = bridge, theme, session
        self._overview: Overview | None = None
        self.answer: SearchAnswer | None = None
        self._like: SearchHit | None = None
        """The moment whose likes are shown in place of an answer to words."""
        self.setWindowTitle("M2HF")
        self.setWindowIcon(QIcon(icon("app")))
        self.thumbnails = Thumbnails(bridge)
        self.search = SearchBar(theme)
        self.library = LibraryPanel(theme)
        self.results = ResultsView(theme, self.thumbnails)
        self.preview = Preview(theme, self.thumbnails)
        self.status = StatusBar()
        self.middle = Middle(self.results)
        self.receipt, self.empty, self.notice = self.middle.receipt, self.middle.empty, self.middle.notice
        self.looking = Looking(bridge, self.preview)
        self.folder_office = FolderOffice(self, bridge, self.notice)
        self.offices = Offices(self, bridge, self.notice, theme)
        self.exporting = Exporting(self, bridge, self.notice, self._chosen_hits)
        self.actions_here = Actions(
            self, bridge, self.preview, self.notice, self.exporting, self._show_similar
        )
        self._assemble()
        self.menus = self._make_menus()
        self._connect()
        self._linger = QTimer(self, singleShot=True, interval=LINGER_MS)
        self._linger.timeout.connect(self._remember_search)
        restore(self)
        self._show_middle()

    # Building.

    def _assemble(self) -> None:
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.setHandleWidth(1)
        for widget in (self.library, self.middle, self.preview):
            self.columns.addWidget(widget)
        self.columns.setStretchFactor(1, 1)
        self.columns.setCollapsible(1, False)
        self.middle.setMinimumWidth(60 * STEP)
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
        self.library.folders_wanted.connect(self.folder_office.add)
        self.library.dropped.connect(self.folder_office.take)
        self.library.folder_chosen.connect(bridge.look_at)
        middle = self.middle
        middle.folder_wanted.connect(self.library.choose_folder)
        middle.demo_wanted.connect(self.offices.demo)
        middle.look_wanted.connect(bridge.try_again)
        middle.models_wanted.connect(self.offices.models)
        middle.all_branches_wanted.connect(self.search.choose_all)
        middle.no_filters_wanted.connect(self.library.clear_filters)
        middle.search_wanted.connect(self.search.search_for)
        middle.unseen_wanted.connect(lambda: self.folder_office.unseen_first(self.search.ask().text))
        self.results.chosen.connect(self._choose)
        self.results.played.connect(self.preview.play_or_pause)
        self.results.opened.connect(lambda _: self.preview.play_or_pause())
        self.results.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.results.customContextMenuRequested.connect(self._hit_menu)
        menu_key = QShortcut(QKeySequence("Shift+F10"), self.results)  # the Menu key is Qt's own
        menu_key.setContext(Qt.ShortcutContext.WidgetShortcut)
        menu_key.activated.connect(self._menu_by_key)
        self.preview.captions.search_wanted.connect(self.search.search_for)
        self.preview.captions.closed.connect(self.results.setFocus)
        self.offices.fusion_chosen.connect(self._take_fusion)
        self.offices.library_wanted.connect(self.library_wanted)
        self.library.removal_wanted.connect(self.folder_office.remove)
        self.library.forgetting_wanted.connect(self.offices.forget)
        self.library.reveal_wanted.connect(self.actions_here.reveal_path)
        bridge.reveal.connect(self.actions_here.reveal_path)
        self.status.failures_wanted.connect(self.offices.failures)
        self.search.more.setMenu(self.menus.more)
        self.status.retry_wanted.connect(bridge.try_again)
        self.status.pause_wanted.connect(bridge.pause)
        self.status.resume_wanted.connect(bridge.resume)

    def _make_menus(self) -> Menus:
        offices = self.offices
        entries = (
            (self.tr("Add folder…"), "Ctrl+N", self.library.choose_folder),
            (self.tr("Save this search"), "Ctrl+D", self._save_search),
            (self.tr("Models…"), "", offices.models),
            (self.tr("Scorers…"), "", offices.scorers),
            (self.tr("Files that could not be read…"), "", offices.failures),
            (self.tr("Settings…"), "Ctrl+,", offices.settings),
            (self.tr("Keys"), "?", self._show_keys),
            (self.tr("Report a problem…"), "", offices.report),
            (self.tr("About"), "", offices.about),
        )
        player = self.preview.player
        keys = (
            ("Ctrl+F", self._focus_search),
            ("Ctrl+L", self._focus_search),
            (".", lambda: player.step(1)),
            (",", lambda: player.step(-1)),
            *((str(number), chip.toggle) for number, chip in enumerate(self.search.chips.values(), 1)),
        )
        return Menus(self, self.actions_here, entries, keys)

    def _show_keys(self) -> None:
        self.offices.keys(self.menus.all_keys())

    # What comes through the bridge.

    def _show_overview(self, overview: Overview) -> None:
        before, self._overview = self._overview, overview
        if before is None:
            self.search.start_from_fusion(overview.fusion)
        elif overview.videos.get("ready", 0) > before.videos.get("ready", 0):
            self.thumbnails.forget()  # some that had no picture may have one now
            self.results.viewport().update()
        self.library.show_overview(overview)
        self.search.suggest(overview.examples)
        self.status.show_failures(overview.videos.get("failed", 0))
        self.status.show_models(overview.preset_title, overview.scorer)
        self._welcome(overview)
        self._show_middle()

    def _welcome(self, overview: Overview) -> None:
        """Once per library, while it is empty; a window that began in the tray waits with it until it is opened."""
        if overview.folders or self.session.flag("welcomed") or not self.isVisible():
            return
        self.session.put_flag("welcomed", True)
        self.offices.welcome(self.folder_office.add)

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
        self._tell_coverage(answered.answer)
        self.search.say_asleep(dict(answered.answer.abstained))
        self._show_middle()
        self._linger.start()

    def _show_work(self, work: Work) -> None:
        self.status.show_work(work)

    def _search_state(self, state: str, trouble: Trouble | None) -> None:
        self._can_search = self._can_search or state == "ready"
        if trouble is not None:
            self.tell(trouble)
        if state == "ready" and not self.search.field.text():
            self.search.took.setText("")
        elif state == "opening":
            self.search.took.setText(self.tr("loading the models"))

    def tell(self, trouble: Trouble) -> None:
        """A failure that nobody asked for is said below the results; it never stops the work."""
        self.notice.say(f"{trouble.sentence} {trouble.hint}", self.tr("Try again"), self._try_again)

    def _try_again(self) -> None:
        self.bridge.try_again()
        self.search.ask_now()

    # What the panels wish.

    def _take_fusion(self, fusion: str) -> None:
        self.search.set_fusion(fusion)
        self.search.ask_now()

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
            if not self._can_search:
                self._show_middle()
        else:
            self.answer = None
            self.results.results.show(())
            self.preview.still_found(False)
            self._show_middle()

    def _filter(self, words: str) -> None:
        self.search.filters = words
        self.search.ask_now()

    def _arrange(self) -> None:
        self.results.set_list_form(self.search.form.isChecked())
        if self.answer is None:
            return
        hits = arranged(self.answer.hits, self.search.order, one_per_video=self.search.one_per_video)
        chosen = self.preview.hit
        self.results.results.show(hits, by_likelihood=self.search.order == "best")
        row = None if chosen is None else self.results.results.row_of(chosen.clip_id)
        if row is not None and row != self.results.currentIndex().row():
            self.results.setCurrentIndex(self.results.results.index(row))
        elif row is not None:
            self._choose(self.results.results.hit(row))
        elif chosen is not None and self._like is None:
            self.preview.still_found(any(hit.clip_id == chosen.clip_id for hit in self.answer.hits))

    def _choose(self, hit: SearchHit | None) -> None:
        self.actions_here.show_hit(hit)
        if hit is None:
            return
        answer = self.answer if self._like is None else None
        self.looking.show(hit, answer.query if answer is not None else "")

    def _show_similar(self, hit: SearchHit, answer: SearchAnswer) -> None:
        """Moments like one, in place of the results; typing brings words back."""
        self.answer, self._like = answer, hit
        self._arrange()
        self.middle.tell_likes(hit, answer)
        self._show_middle()

    def _chosen_hits(self) -> tuple[SearchAnswer | None, list[SearchHit]]:
        rows = sorted(index.row() for index in self.results.selectionModel().selectedIndexes())
        return self.answer, [hit for row in rows if (hit := self.results.results.hit(row)) is not None]

    def _hit_menu(self, at: QPoint) -> None:
        if self.results.indexAt(at).isValid():
            self.actions_here.menu(self).popup(self.results.viewport().mapToGlobal(at))

    def _menu_by_key(self) -> None:
        """At the chosen moment, which may have been scrolled away."""
        index = self.results.currentIndex()
        self.results.scrollTo(index)
        self._hit_menu(self.results.visualRect(index).center())

    def _save_search(self) -> None:
        words = self.search.field.text().strip()
        saved = self.library.saved_searches()
        if words and words not in saved:
            self.library.show_searches([*saved, words], self.session.texts("recent"))

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

    def _tell_coverage(self, answer: SearchAnswer) -> None:
        total = self._overview.total if self._overview is not None else answer.videos
        took = round(answer.took_ms + answer.encode_ms)
        self.search.took.setText(self.tr("{} ms · {} of {} videos").format(took, answer.videos, total))
        asleep = self._overview.asleep if self._overview is not None else {}
        self.middle.tell_coverage(answer, without_models=PICTURES in asleep)

    def _show_middle(self) -> None:
        self.middle.stand(
            self._overview,
            self.search.field.text().strip(),
            self.answer,
            branches=len(self.search.ask().branches),
            filters=bool(self.search.filters),
            loading=not self._can_search,
        )

    # Opening and closing.

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Whoever opens the window means to search."""
        super().showEvent(event)
        if not event.spontaneous():
            self.search.field.setFocus()
            if self._overview is not None:
                self._welcome(self._overview)

    def offer_tray(self) -> None:
        """There is a tray, so closing may leave indexing at work."""
        self._in_tray = True
        self.stay = self.menus.add_choice(
            self.tr("Go on indexing when the window is closed"),
            self.session.flag("stay"),
            lambda on: self.session.put_flag("stay", on),
        )

    def _asks_before_closing(self) -> bool:
        """Once, while indexing works: whether it shall go on in the tray. The menu can change the answer."""
        if self.session.flag("asked_to_stay") or not self.status.working:
            return False
        self.session.put_flag("asked_to_stay", True)
        dialog = StayDialog(self)
        dialog.setObjectName("closing")
        dialog.finished.connect(self._close_as_chosen)
        dialog.open()
        return True

    def _close_as_chosen(self, choice: int) -> None:
        if choice == QDialog.DialogCode.Rejected:
            self.session.put_flag("asked_to_stay", False)
            return
        self.stay.setChecked(choice == QDialog.DialogCode.Accepted)
        self.close()

    def leave(self) -> None:
        """Close for good, tray or not."""
        self._leaving = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        keep(self)
        if self._in_tray and not self._leaving and self._asks_before_closing():
            event.ignore()
            return
        if self._in_tray and self.stay.isChecked() and not self._leaving:
            self.preview.player.stop()
            self.hide()
            event.ignore()
            return
        self.preview.player.stop()
        self.hide()
        self.offices.leave()
        self.bridge.stop()
        super().closeEvent(event)
