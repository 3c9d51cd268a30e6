"""The middle column: moments below what the search could not see, or a sentence that says why there are none."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QStackedWidget, QVBoxLayout, QWidget

from app.gui.empty import EmptyState
from app.gui.notice import Notice
from app.gui.records import clock, counted
from app.gui.results_view import ResultsView
from app.gui.theme import STEP
from app.services.views import Overview
from m2hf_core.records import BRANCHES, SearchAnswer, SearchHit

PICTURES = "clip"
"""What looks at frames; without it hardly anything is found."""


class Middle(QWidget):
    """Says what it stands for; what its buttons wish, the window does."""

    folder_wanted = Signal()
    demo_wanted = Signal()
    look_wanted = Signal()
    models_wanted = Signal()
    all_branches_wanted = Signal()
    no_filters_wanted = Signal()
    search_wanted = Signal(str)
    unseen_wanted = Signal()
    """What the search could not see is to be made searchable first."""

    def __init__(self, results: ResultsView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _make_ground(self)
        self._results = results
        self.receipt = QLabel()
        self.receipt.setObjectName("muted")
        self.receipt.setContentsMargins(4 * STEP, 3 * STEP, 4 * STEP, STEP)
        self.receipt.setWordWrap(True)
        self.receipt.setTextFormat(Qt.TextFormat.RichText)
        by_mouse, by_keys = (
            Qt.TextInteractionFlag.LinksAccessibleByMouse,
            Qt.TextInteractionFlag.LinksAccessibleByKeyboard,
        )
        self.receipt.setTextInteractionFlags(by_mouse | by_keys)
        self.receipt.linkActivated.connect(self._follow)
        self.empty = EmptyState()
        self.notice = Notice()
        self._found = QWidget()
        _make_ground(self._found)
        found = _column(self._found)
        found.addWidget(self.receipt)
        found.addWidget(results, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._found)
        self._pages.addWidget(self.empty)
        column = _column(self)
        column.addWidget(self._pages, 1)
        column.addWidget(self.notice)

    def tell_coverage(self, answer: SearchAnswer, *, without_models: bool) -> None:
        """What this answer could not look at, with the wish to have that done first."""
        parts = []
        if without_models:
            told = html.escape(
                self.tr("Only file names and subtitles were searched: the models are not here yet.")
            )
            parts.append(f'{told} <a href="models">{self.tr("Models…")}</a>')
        if answer.blind_spots:
            told = " · ".join(_plain(spot) for spot in answer.blind_spots)
            spots = html.escape(self.tr("Not searched: {}").format(told))
            parts.append(f'{spots} <a href="first">{self.tr("Do these first")}</a>')
        parts.extend(html.escape(note) for note in answer.notes if note.startswith("character"))
        self.receipt.setText("<br>".join(parts))
        self.receipt.setVisible(bool(parts))

    def _follow(self, link: str) -> None:
        wanted = self.models_wanted if link == "models" else self.unseen_wanted
        wanted.emit()

    def tell_likes(self, hit: SearchHit, answer: SearchAnswer) -> None:
        """These are moments like one, not an answer to words."""
        place = f"{hit.video.name}, {clock(hit.best_s)}"
        said = (self.tr("Moments like {}").format(place), *answer.notes)
        self.receipt.setText("<br>".join(html.escape(part) for part in said))
        self.receipt.show()

    def stand(
        self,
        overview: Overview | None,
        text: str,
        answer: SearchAnswer | None,
        *,
        branches: int,
        filters: bool,
        loading: bool,
    ) -> None:
        """Results, or the sentence that explains why there are none.

        `text`: what stands in the field; `branches`: how many are chosen; `filters`: some are set; `loading`: the
        models are not in memory yet.
        """
        if self._results.results.rowCount():
            self._pages.setCurrentWidget(self._found)
            return
        self._pages.setCurrentWidget(self.empty)
        say = self.empty.say
        if overview is None:
            say(self.tr("Opening your library"))
        elif not overview.folders:
            say(
                self.tr("No folder yet"),
                self.tr("Add a folder with videos. Everything stays on this machine."),
                (self.tr("Add folder…"), self.folder_wanted.emit),
                (self.tr("Try the demo"), self.demo_wanted.emit),
            )
        elif all(not folder.online for folder in overview.folders):
            say(
                self.tr("All folders are offline"),
                self.tr("Connect their drives to play what is found; searching works without them."),
                (self.tr("Look again"), self.look_wanted.emit),
            )
        elif not overview.total:
            say(
                self.tr("No video so far"),
                self.tr("Your folders are looked through, and what is found becomes searchable by itself."),
                (self.tr("Add folder…"), self.folder_wanted.emit),
            )
        elif not branches:
            say(
                self.tr("No branch is chosen"),
                self.tr("Choose at least one of the four beside the search field."),
                (self.tr("Search by all four"), self.all_branches_wanted.emit),
            )
        elif text and answer is not None and answer.videos == 0 and _waiting(overview):
            say(
                self.tr("Nothing can be searched yet"),
                counted(
                    _waiting(overview),
                    self.tr("{} video is being made searchable. Moments appear here by themselves."),
                    self.tr("{} videos are being made searchable. Moments appear here by themselves."),
                ),
            )
        elif text and answer is not None:
            say(self.tr("Nothing found"), self._could_not(answer), self._remedy(overview, filters, branches))
        elif PICTURES in overview.asleep and not text:
            say(
                self.tr("The models are not here yet"),
                self.tr(
                    "Without them a search knows only file names and subtitles. Fetch them once, or bring them from "
                    "another machine; everything else stays on this one."
                ),
                (self.tr("Models…"), self.models_wanted.emit),
            )
        elif text and loading:
            say(self.tr("Loading the models"), self.tr("Your search is answered as soon as they are there."))
        elif text:
            say(self.tr("Searching"))
        else:
            self._invite(overview)

    def _invite(self, overview: Overview) -> None:
        examples = overview.examples
        self.empty.say(
            self.tr("What are you looking for?"),
            self.tr("Try one of these:") if examples else self.tr("Say what is seen, heard, done or said."),
            examples=[(f"“{text}”", partial(self.search_wanted.emit, text)) for text in examples],
        )

    def _remedy(
        self, overview: Overview, filters: bool, branches: int
    ) -> tuple[str, Callable[[], None]] | None:
        """The one button under "nothing found": what most likely helps."""
        if filters:
            return self.tr("Clear the filters"), self.no_filters_wanted.emit
        if branches < len(BRANCHES):
            return self.tr("Search by all four"), self.all_branches_wanted.emit
        if PICTURES in overview.asleep:
            return self.tr("Models…"), self.models_wanted.emit
        return None

    def _could_not(self, answer: SearchAnswer) -> str:
        """A line per reason, in HTML; branches with the same one share it."""
        sharing: dict[str, list[str]] = {}
        for branch, why in answer.abstained.items():
            sharing.setdefault(why, []).append(branch)
        reasons = [f"{', '.join(branches)}: {why}" for why, branches in sharing.items()]
        lines = [html.escape(_plain(line)) for line in (*answer.blind_spots, *reasons)]
        return "<br>".join(lines) or self.tr("Other words may find it.")


def _waiting(overview: Overview) -> int:
    """Videos that will be searchable."""
    return overview.videos.get("queued", 0) + overview.videos.get("running", 0)


def _plain(reason: str) -> str:
    """Without the command that a terminal would be told: here, it happens by itself or has a button."""
    return re.sub(r" \(m2hf-app [^)]*\)", "", reason)


def _make_ground(widget: QWidget) -> None:
    widget.setObjectName("ground")
    widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)


def _column(widget: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    return column
