"""From words to moments: what is asked, which answer stands in the middle, and which of its moments is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.bridge import Bridge
from app.gui.looking import Looking
from app.gui.middle import PICTURES, Middle
from app.gui.preview import Preview
from app.gui.records import Trouble
from app.gui.results_model import arranged
from app.gui.results_view import ResultsView
from app.gui.search_bar import SearchBar
from app.services.views import Overview
from m2hf_core.records import SearchAnswer, SearchHit

if TYPE_CHECKING:
    from app.services.live import Answered

LINGER_MS = 1500
"""A query that stands this long goes into the history."""


class Finding(QObject):
    """Knows the answer that is shown; nothing that arrives moves what is looked at."""

    chosen = Signal(object)
    """The moment that is looked at from now on, or None."""
    lingered = Signal(str)
    """These words have stood for a while."""
    troubled = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        search: SearchBar,
        results: ResultsView,
        middle: Middle,
        preview: Preview,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._search, self._results = bridge, search, results
        self._middle, self._preview = middle, preview
        self._looking = Looking(bridge, preview)
        self.overview: Overview | None = None
        self.can_search = False
        """The models are in memory; what is asked before waits for them."""
        self.answer: SearchAnswer | None = None
        self._like: SearchHit | None = None
        """The moment whose likes are shown in place of an answer to words."""
        self._linger = QTimer(self, singleShot=True, interval=LINGER_MS)
        self._linger.timeout.connect(self._tell_lingering)
        bridge.answered.connect(self._take)
        bridge.search_state.connect(self._follow_models)
        search.asked.connect(self._ask)
        search.arranged.connect(self.arrange)
        results.chosen.connect(self.choose)

    def filter(self, words: str) -> None:
        """Ask again with these filters, in the query language."""
        self._search.filters = words
        self._search.ask_now()

    def fuse(self, fusion: str) -> None:
        """Ask again with another fusion."""
        self._search.set_fusion(fusion)
        self._search.ask_now()

    def try_again(self) -> None:
        self._bridge.try_again()
        self._search.ask_now()

    def _ask(self, ask: object) -> None:
        wish = self._search.ask()
        self._like = None
        if not self._search.field.text().strip():
            self.answer = None
            self._search.tell("")
            self._results.results.show(())
            self._linger.stop()
            self.stand()
            return
        if wish.branches:
            self._bridge.ask(wish)
            if not self.can_search:
                self.stand()
        else:
            self.answer = None
            self._results.results.show(())
            self._preview.still_found(False)
            self.stand()

    def _take(self, answered: Answered) -> None:
        if answered.error is not None or answered.answer is None:
            self.answer = None
            if answered.error is not None:
                self.troubled.emit(Trouble.of(answered.error))
            return
        if not self._search.ask().text or (answered.refreshed and self._like is not None):
            return
        self.answer = answered.answer
        self.arrange()
        self._tell_coverage(answered.answer)
        self._search.say_asleep(dict(answered.answer.abstained))
        self.stand()
        self._linger.start()

    def arrange(self) -> None:
        """Show the answer in the form and order that are chosen; the moment that is looked at stays."""
        results, search = self._results, self._search
        results.set_list_form(search.form.isChecked())
        if self.answer is None:
            return
        hits = arranged(self.answer.hits, search.order, one_per_video=search.one_per_video)
        looked_at = self._preview.hit
        results.results.show(hits, by_likelihood=search.order == "best")
        row = None if looked_at is None else results.results.row_of(looked_at.clip_id)
        if row is not None and row != results.currentIndex().row():
            results.setCurrentIndex(results.results.index(row))
        elif row is not None:
            self.choose(results.results.hit(row))
        elif looked_at is not None and self._like is None:
            self._preview.still_found(any(hit.clip_id == looked_at.clip_id for hit in self.answer.hits))

    def choose(self, hit: SearchHit | None) -> None:
        """Look at this moment."""
        self.chosen.emit(hit)
        if hit is None:
            return
        answer = self.answer if self._like is None else None
        self._looking.show(hit, answer.query if answer is not None else "")

    def show_similar(self, hit: SearchHit, answer: SearchAnswer) -> None:
        """Moments like one, in place of the results; typing brings words back."""
        self.answer, self._like = answer, hit
        self.arrange()
        self._middle.tell_likes(hit, answer)
        self.stand()

    def chosen_hits(self) -> tuple[SearchAnswer | None, list[SearchHit]]:
        """The selected moments, from the best to the last."""
        rows = sorted(index.row() for index in self._results.selectionModel().selectedIndexes())
        return self.answer, [hit for row in rows if (hit := self._results.results.hit(row)) is not None]

    def stand(self) -> None:
        """Results in the middle, or the sentence that says why there are none."""
        self._middle.stand(
            self.overview,
            self._search.field.text().strip(),
            self.answer,
            branches=len(self._search.ask().branches),
            filters=bool(self._search.filters),
            loading=not self.can_search,
        )

    def _tell_coverage(self, answer: SearchAnswer) -> None:
        total = self.overview.total if self.overview is not None else answer.videos
        took = round(answer.took_ms + answer.encode_ms)
        self._search.tell(self.tr("{} ms · {} of {} videos").format(took, answer.videos, total), figures=True)
        asleep = self.overview.asleep if self.overview is not None else {}
        self._middle.tell_coverage(answer, without_models=PICTURES in asleep)

    def _follow_models(self, state: str, trouble: Trouble | None) -> None:
        self.can_search = self.can_search or state == "ready"
        if trouble is not None:
            self.troubled.emit(trouble)
        if state == "ready" and not self._search.field.text():
            self._search.tell("")
        elif state == "opening":
            self._search.tell(self.tr("loading the models"))

    def _tell_lingering(self) -> None:
        words = self._search.field.text().strip()
        if words:
            self.lingered.emit(words)
