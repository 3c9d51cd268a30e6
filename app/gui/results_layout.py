"""Where the results lie: cards in a grid or rows in a list, under section headings; every place is arithmetic.

Qt's own list view has neither headings across the columns nor equal cards that fill the width, and it measures items
one by one; here ten thousand results cost as much as ten. No widget is needed: pixels count from the top of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect

from app.gui.cards import PADDING, TEXT_HEIGHT
from app.gui.results_model import Section
from app.gui.theme import STEP

MARGIN, GAP, HEADING, ROW_HEIGHT = 4 * STEP, 2 * STEP, 8 * STEP, 18 * STEP
CARD_WIDTH = 220
"""The least; cards share what is left of a row."""
FOLD = "probably not"
"""The likelihood of the section that folds."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A section with where it begins and ends; `folded`: only its heading is shown."""

    section: Section
    top: int
    cards_top: int
    bottom: int
    folded: bool


class ResultsLayout:
    """Places of sections and cards for one width, and the row that a key leads to."""

    def __init__(self) -> None:
        self.placed: list[Placed] = []
        self.unfolded: bool | None = None
        """Whether what is probably not wanted is shown. None, until somebody has said so: where it is all there is."""
        self.card_height = 200
        self._columns, self._card_width, self._gap = 1, CARD_WIDTH, GAP

    def arrange(self, sections: Sequence[Section], width: int, *, list_form: bool) -> None:
        """Place these sections in a column of `width` pixels."""
        inner = width - 2 * MARGIN
        if list_form:
            self._columns, self._card_width, self.card_height, self._gap = 1, inner, ROW_HEIGHT, 2
        else:
            self._columns = max(1, (inner + GAP) // (CARD_WIDTH + GAP))
            self._card_width = max(80, (inner - (self._columns - 1) * GAP) // self._columns)
            picture = (self._card_width - 2 * PADDING) * 9 // 16
            self.card_height, self._gap = PADDING + picture + 6 + TEXT_HEIGHT, GAP
        self.placed = []
        top = 0
        for section in sections:
            shown = len(sections) == 1 if self.unfolded is None else self.unfolded
            folded = section.key == FOLD and not shown
            cards_top = top + (HEADING if section.key else STEP)
            lines = 0 if folded else -(-section.count // self._columns)
            bottom = cards_top + lines * self._line
            self.placed.append(Placed(section, top, cards_top, bottom, folded))
            top = bottom + STEP

    @property
    def height(self) -> int:
        return self.placed[-1].bottom + MARGIN if self.placed else 0

    @property
    def fold(self) -> Placed | None:
        """The section that can be folded, where there is one."""
        return next((placed for placed in self.placed if placed.section.key == FOLD), None)

    @property
    def _line(self) -> int:
        return self.card_height + self._gap

    def card(self, row: int) -> QRect:
        """Where a card lies; empty where it is folded away."""
        placed = self.section_of(row)
        return QRect() if placed is None or placed.folded else self._card(placed, row)

    def top_of(self, row: int) -> int:
        """What belongs above a card when it is brought into view: its heading, for the first line of a section."""
        placed = self.section_of(row)
        return HEADING if placed is not None and row - placed.section.first < self._columns else STEP

    def section_of(self, row: int) -> Placed | None:
        for placed in self.placed:
            if placed.section.first <= row < placed.section.first + placed.section.count:
                return placed
        return None

    def rows_in(self, area: QRect) -> Iterator[tuple[int, QRect]]:
        """Rows whose cards may touch an area, with their places."""
        for placed in self.placed:
            if placed.folded or placed.bottom < area.top() or placed.cards_top > area.bottom():
                continue
            first = max(0, (area.top() - placed.cards_top) // self._line) * self._columns
            last = ((area.bottom() - placed.cards_top) // self._line + 1) * self._columns
            for offset in range(first, min(placed.section.count, last)):
                row = placed.section.first + offset
                yield row, self._card(placed, row)

    def row_at(self, place: QPoint) -> int | None:
        rows = self.rows_in(QRect(place, place))
        return next((row for row, area in rows if area.contains(place)), None)

    def last_shown(self) -> int:
        """The last row that is not folded away; -1 where there is none."""
        shown = [placed.section for placed in self.placed if not placed.folded]
        return shown[-1].first + shown[-1].count - 1 if shown else -1

    def page(self, height: int) -> int:
        """How many lines of cards a screen of this height shows."""
        return max(1, height // self._line)

    def vertically(self, row: int, lines: int) -> int:
        """The row in the same column some lines on, or back where negative, across headings."""
        placed = self.section_of(row)
        if placed is None:
            return row
        column = (row - placed.section.first) % self._columns
        for _ in range(abs(lines)):
            section = placed.section
            here = (row - section.first) // self._columns
            if lines > 0:
                target = section.first + (here + 1) * self._columns
                if target >= section.first + section.count:
                    following = self.section_of(section.first + section.count)
                    if following is None or following.folded:
                        return self.last_shown()
                    placed, target = following, following.section.first
                row = min(target + column, placed.section.first + placed.section.count - 1)
            elif here > 0:
                row = section.first + (here - 1) * self._columns + column
            else:
                before = self.section_of(section.first - 1)
                if before is None:
                    return column if column < section.count else row
                placed = before
                start = (before.section.count - 1) // self._columns * self._columns
                row = before.section.first + min(start + column, before.section.count - 1)
        return row

    def _card(self, placed: Placed, row: int) -> QRect:
        line, column = divmod(row - placed.section.first, self._columns)
        return QRect(
            MARGIN + column * (self._card_width + GAP),
            placed.cards_top + line * self._line,
            self._card_width,
            self.card_height,
        )
