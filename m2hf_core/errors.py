"""Failures of the world, each with a sentence for the person and a remedy, apart from our own bugs.

Anything that is not a `KnownError` is a bug and may show a traceback; a `KnownError` never does.
"""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class KnownError(Exception):
    """The world failed, not the program.

    `sentence` says what happened, `hint` says what to do now, `detail` is for debugging only.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, sentence: str, hint: str = "", detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()

    def __reduce__(self) -> tuple[type[KnownError], tuple[str, str, str]]:
        """Errors cross process boundaries, so they rebuild from their three texts."""
        return type(self), (self.sentence, self.hint, self.detail)


class UsageError(KnownError):
    """The command or its arguments make no sense."""

    exit_code = EXIT_USAGE


class Interrupted(KnownError):  # noqa: N818 - a request, not an error; shown as nothing
    """The person asked to stop. What was finished stays."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, sentence: str = "Stopped.", hint: str = "", detail: str = "") -> None:
        super().__init__(sentence, hint, detail)


class UnreadableMedia(KnownError):  # noqa: N818 - the field's word for it
    """A file that cannot be decoded; `sentence` is the reason a person understands."""


class StoreError(KnownError):
    """The library's database cannot be opened or written."""


class NewerStore(StoreError):  # noqa: N818
    """The database was written by a newer version of the program."""


class CorruptStore(StoreError):  # noqa: N818
    """The database fails its integrity check or is no database."""


class LibraryBusy(StoreError):  # noqa: N818
    """Another program holds the library's writer lock."""


class DiskFull(KnownError):  # noqa: N818
    """No space left where the library lives."""


class ModelsMissing(KnownError):  # noqa: N818
    """Weights that a preset needs are not on this machine."""


class BadModelFile(KnownError):  # noqa: N818
    """A weight or checkpoint file is wrong, truncated, or newer than this program."""


class BadQuery(KnownError):  # noqa: N818
    """A query that cannot be answered; `position` is the 0-based character it is about."""

    position: int | None = None
