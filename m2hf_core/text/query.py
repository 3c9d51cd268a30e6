"""Read what a person types: words first, and a small language for those who want more.

    dog on a beach                    plain words, for every branch
    speech:"good boy"  audio:barking  words for one branch, instead of the plain ones (visual: and motion: too)
    "good boy"                        exact words, as spoken or in a file's name; no part of the plain words
    -cat  -"red car"  -speech:no      what to push down; it never empties a list
    in:Holidays before:2024 after:2023-05 longer:30s shorter:1h has:speech type:mp4
    a door opens > a dog runs         first this, later that, in the same video; filters hold for all of it

The field is read at every keystroke, so nothing is an error: what makes no sense (yet) is left out or taken as plain
words, and a note says which character it is about. A quotation mark inside a word is part of it (a 19" screen); a
`>` outside quotation marks always separates.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from m2hf_core.records import BRANCHES, Branch
from m2hf_core.text.query_filters import FILTERS, Filters, narrow
from m2hf_core.text.query_tokens import Token, tokens

MAX_CHARACTERS = 1000
"""More than any text tower reads; the rest of what was pasted is left out."""
MAX_STEPS = 8


@dataclass(frozen=True, slots=True)
class Note:
    """What was read differently from how it may have been meant."""

    position: int
    """0-based character (code point) of the typed text."""
    message: str


@dataclass(frozen=True, slots=True)
class Part:
    """Words for one branch alone."""

    branch: Branch
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Negative:
    """Words to push down, in every branch or in one."""

    text: str
    position: int
    branch: Branch | None = None


@dataclass(frozen=True, slots=True)
class Exact:
    """Words to be found as they stand."""

    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked; empty fields where nothing was."""

    text: str = ""
    parts: tuple[Part, ...] = ()
    negatives: tuple[Negative, ...] = ()
    exact: tuple[Exact, ...] = ()
    filters: Filters = field(default_factory=Filters)
    then: Query | None = None
    """What comes later in the same video, with the same filters."""
    notes: tuple[Note, ...] = ()
    """On the whole typed text, in its order; only the first step carries them."""

    def text_for(self, branch: Branch) -> str:
        """The words a branch searches for: its own parts, else the plain words; empty when it has none."""
        own = [part.text for part in self.parts if part.branch == branch]
        return " ".join(own) if own else self.text

    @property
    def asks(self) -> bool:
        """True when this step says what to look for, not only what to leave out."""
        return bool(self.text or self.parts or self.exact)

    @property
    def steps(self) -> tuple[Query, ...]:
        """This query and all that comes later."""
        return (self,) if self.then is None else (self, *self.then.steps)


def parse_query(typed: str) -> Query:
    """Read any text at all; never raises."""
    reader = _Reader()
    if len(typed) > MAX_CHARACTERS:
        reader.note(MAX_CHARACTERS, f"Only the first {MAX_CHARACTERS} characters are searched.")
    for token in tokens(typed[:MAX_CHARACTERS]):
        reader.take(token)
    return reader.query()


@dataclass(slots=True)
class _Step:
    words: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    negatives: list[Negative] = field(default_factory=list)
    exact: list[Exact] = field(default_factory=list)

    def empty(self) -> bool:
        return not (self.words or self.parts or self.negatives or self.exact)


class _Reader:
    """Collects tokens into steps, filters and notes."""

    def __init__(self) -> None:
        self._steps = [_Step()]
        self._filters = Filters()
        self._notes: list[Note] = []
        self._last_step: int | None = None

    def note(self, position: int, message: str) -> None:
        self._notes.append(Note(position, message))

    def query(self) -> Query:
        """The first step, holding the later ones."""
        if self._last_step is not None and self._steps[-1].empty():
            self.note(self._last_step, "Nothing follows “>” yet.")
        query: Query | None = None
        for step in reversed([step for step in self._steps if not step.empty()] or [_Step()]):
            query = Query(
                " ".join(step.words),
                tuple(step.parts),
                tuple(step.negatives),
                tuple(step.exact),
                self._filters,
                query,
            )
        assert query is not None  # there is always one step
        return replace(query, notes=tuple(sorted(self._notes, key=lambda note: note.position)))

    def take(self, token: Token) -> None:
        if token.quoted and not token.closed:
            self.note(
                token.value_position - 1, "The quotation mark is not closed; it holds all that follows."
            )
        key = token.key.lower()
        if token.step:
            self._take_step(token)
        elif key in BRANCHES or (not key and (token.minus or token.quoted)):
            self._take_words(token, Branch(key) if key else None)
        elif key in FILTERS:
            self._take_filter(token, key)
        else:
            self._take_plain(token)

    def _take_step(self, token: Token) -> None:
        if self._steps[-1].empty():
            self.note(token.position, "Nothing stands before “>”.")
        elif len(self._steps) == MAX_STEPS:
            self.note(
                token.position, f"Only {MAX_STEPS} moments can follow each other; this “>” is left out."
            )
        else:
            self._steps.append(_Step())
        self._last_step = token.position

    def _take_words(self, token: Token, branch: Branch | None) -> None:
        """Words for a branch, words to push down, or exact words."""
        step = self._steps[-1]
        if not token.value:
            if token.key or token.quoted or not token.before_step:  # "a -> b" is "a > b"
                sign = f"“{token.key}:”" if token.key else "the quotation mark" if token.quoted else "“-”"
                self.note(token.position, f"Nothing follows {sign} yet.")
        elif token.minus:
            step.negatives.append(Negative(token.value, token.position, branch))
        elif branch is not None:
            step.parts.append(Part(branch, token.value, token.position))
        else:
            step.exact.append(Exact(token.value, token.position))

    def _take_plain(self, token: Token) -> None:
        """A word, or what looks like a filter and is none."""
        raw = f"{token.key}:{token.value}" if token.key else token.value
        if len(token.key) > 1 and token.value and not token.value.startswith(("/", "\\")):
            close = get_close_matches(token.key.lower(), (*FILTERS, *BRANCHES), 1)
            meant = f"; did you mean “{close[0]}:”?" if close else "."
            self.note(token.position, f"“{token.key}:” is no filter, so these are plain words{meant}")
        if token.minus:
            self._steps[-1].negatives.append(Negative(raw, token.position))
        else:
            self._steps[-1].words.append(raw)

    def _take_filter(self, token: Token, key: str) -> None:
        if token.minus:
            self.note(token.position, f"“{key}:” cannot be turned round with a minus; it is left out.")
            return
        if not token.value:
            self.note(token.position, f"Nothing follows “{key}:” yet.")
            return
        narrowed = narrow(self._filters, key, token.value)
        if isinstance(narrowed, str):
            self.note(token.value_position, narrowed)
            return
        self._filters = narrowed
        if clash := narrowed.clash():
            self.note(token.position, clash)
