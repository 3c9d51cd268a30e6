"""The window's log: a small file beside the library, so that a problem can be reported after it has happened."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

LOG = "window.log"
BYTES, FORMER = 500_000, 1
OURS = ("app", "m2hf_core")
"""What libraries note is of interest from a warning on."""
log = logging.getLogger(__name__)


@contextmanager
def kept_log(folder: Path) -> Iterator[None]:
    """Meanwhile what the program notes, and failures that nobody caught, are written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        folder / LOG, maxBytes=BYTES, backupCount=FORMER, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root, former = logging.getLogger(), sys.excepthook
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    sys.excepthook = _note
    try:
        yield
    finally:
        sys.excepthook = former
        root.removeHandler(handler)
        handler.close()


def _note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A failure in a slot would otherwise be seen only where somebody started the program in a terminal."""
    log.error("a failure that nobody caught", exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)
