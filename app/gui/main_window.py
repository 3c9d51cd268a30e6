"""The window: three columns between a search bar and a status line, and who listens to whom."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QCloseEvent, QIcon, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QMainWindow, QSplitter, QVBoxLayout, QWidget

from app.gui.actions import Actions
from app.gui.bridge import Bridge
from app.gui.exporting import Exporting
from app.gui.finding import Finding
from app.gui.folder_office import FolderOffice
from app.gui.icons import icon
from app.gui.leaving import Leaving
from app.gui.library_panel import LibraryPanel
from app.gui.menus import Menus
from app.gui.middle import Middle
from app.gui.offices import Offices
from app.gui.preview import Preview
from app.gui.records import Trouble
from app.gui.restoring import keep, restore
from app.gui.results_view import ResultsView
from app.gui.search_bar import SearchBar
from app.gui.session import Session
from app.gui.status_bar import StatusBar
from app.gui.theme import STEP, Theme
from app.gui.thumbnails import Thumbnails
from app.services.views import Overview
from m2hf_core.records import SearchAnswer


class MainWindow(QMainWindow):
    """Built from panels that only signal; this class connects them with the bridge."""

    library_wanted = Signal(object, str)
    """Another library to show in place of this one: its data folder and preset."""

    def __init__(self, bridge: Bridge, theme: Theme, session: Session) -> None:
        super().__init__()
        self.bridge, self.theme, self.session = bridge, theme, session
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
        self.finding = Finding(bridge, self.search, self.results, self.middle, self.preview, self)
        self.leaving = Leaving(self, session, self.status)
        self.folder_office = FolderOffice(self, bridge, self.notice)
        self.offices = Offices(self, bridge, self.notice, theme)
        self.exporting = Exporting(self, bridge, self.notice, self.finding.chosen_hits)
        self.actions_here = Actions(
            self, bridge, self.preview, self.notice, self.exporting, self.finding.show_similar
        )
        self._assemble()
        self.menus = self._make_menus()
        self._connect()
        restore(self)
        self.finding.stand()

    @property
    def answer(self) -> SearchAnswer | None:
        """What is shown, whatever was asked."""
        return self.finding.answer

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
        bridge.working.connect(self.status.show_work)
        bridge.failed.connect(self.tell)
        self.finding.chosen.connect(self.actions_here.show_hit)
        self.finding.lingered.connect(self._remember_search)
        self.finding.troubled.connect(self.tell)
        self.search.entered.connect(self._go_to_results)
        self.library.filtered.connect(self.finding.filter)
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
        self.results.played.connect(self.preview.play_or_pause)
        self.results.opened.connect(lambda _: self.preview.play_or_pause())
        self.results.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.results.customContextMenuRequested.connect(self._hit_menu)
        menu_key = QShortcut(QKeySequence("Shift+F10"), self.results)  # the Menu key is Qt's own
        menu_key.setContext(Qt.ShortcutContext.WidgetShortcut)
        menu_key.activated.connect(self._menu_by_key)
        self.preview.captions.search_wanted.connect(self.search.search_for)
        self.preview.captions.closed.connect(self.results.setFocus)
        self.offices.fusion_chosen.connect(self.finding.fuse)
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
        before, self.finding.overview = self.finding.overview, overview
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
        self.finding.stand()

    def _welcome(self, overview: Overview) -> None:
        """Once per library, while it is empty; a window that began in the tray waits with it until it is opened."""
        if overview.folders or self.session.flag("welcomed") or not self.isVisible():
            return
        self.session.put_flag("welcomed", True)
        self.offices.welcome(self.folder_office.add)

    def tell(self, trouble: Trouble) -> None:
        """A failure that nobody asked for is said below the results; it never stops the work."""
        self.notice.say(f"{trouble.sentence} {trouble.hint}", self.tr("Try again"), self.finding.try_again)

    # What the panels wish.

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

    def _remember_search(self, words: str) -> None:
        self.library.show_searches(self.library.saved_searches(), self.session.remember_search(words))

    # Opening and closing.

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Whoever opens the window means to search."""
        super().showEvent(event)
        if not event.spontaneous():
            self.search.field.setFocus()
            if self.finding.overview is not None:
                self._welcome(self.finding.overview)

    def offer_tray(self) -> None:
        """There is a tray, so closing may leave indexing at work."""
        self.leaving.offer_tray(self.menus)

    def leave(self) -> None:
        """Close for good, tray or not."""
        self.leaving.for_good = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        keep(self)
        if self.leaving.asks():
            event.ignore()
            return
        if self.leaving.only_hides:
            self.preview.player.stop()
            self.hide()
            event.ignore()
            return
        self.preview.player.stop()
        self.hide()
        self.offices.leave()
        self.bridge.stop()
        super().closeEvent(event)
