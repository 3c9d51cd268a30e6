"""What a first answer waits for, done side by side: torch's libraries are linked while Python reads the words.

Linking is 0.4 to 0.6 s of work in which no Python is needed, reading the dictionary as much in which nothing else is.
A window gets ready while it opens, or the dictionary would be read when the first videos become searchable, and the
window would wait for its turns then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.services.early import open_torch_libraries
from app.services.library import Library, open_library


@contextmanager
def open_for_answers(data_dir: Path | None, *, preset: str | None = None) -> Iterator[Library]:
    """`open_library` for a command that answers once: call it before anything that imports torch is imported."""
    with open_library(data_dir, preset=preset) as library:
        get_ready()
        yield library


def get_ready() -> None:
    """To be called before anything that imports torch is imported."""
    linking = threading.Thread(target=open_torch_libraries, name="torch", daemon=True)
    linking.start()
    try:
        _read_words()
    finally:
        linking.join()


def _read_words() -> None:
    """The English dictionary and stop words, which the names of files and most queries need.

    Nothing here opens a library: the linker serves one at a time, and Python would stand still until it is done.
    """
    from m2hf_core.text.languages import ENGLISH, lemma, stop_list

    stop_list(ENGLISH)
    lemma("moments", ENGLISH)
