"""The speech process: reads commands and sound from its standard input, writes lines to its standard output.

One JSON object per line each way; the samples of a block follow theirs as raw float32. It leaves as soon as its
input closes, also in the middle of work, so nothing of it outlives the worker that started it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from m2hf_core.errors import KnownError
from m2hf_core.features.whisper import Listener, Whisper
from m2hf_core.records import Line

ORDERS_AHEAD = 1
"""The other side waits for each answer, so more than one order never stands here."""

Order = dict[str, Any]


def main() -> None:
    """Serve until the input closes."""
    answers = _own_output()
    orders: queue.Queue[Order] = queue.Queue(ORDERS_AHEAD)
    threading.Thread(target=_read, args=(sys.stdin.buffer, orders), daemon=True).start()
    speech = _Speech()
    while True:
        try:
            answer = speech.obey(orders.get())
        except KnownError as error:
            answer = {"known": [error.sentence, error.hint, error.detail]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _own_output() -> IO[bytes]:
    """The pipe to the worker under a number of its own: what libraries print goes to the error stream instead."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _read(source: IO[bytes], orders: queue.Queue[Order]) -> None:
    """In a thread, because the end of the input must be noticed while the network computes."""
    while header := source.readline():
        order: Order = json.loads(header)
        if "samples" in order:
            raw = source.read(4 * order["samples"])
            if len(raw) < 4 * order["samples"]:
                break
            order["block"] = np.frombuffer(raw, np.float32)
        orders.put(order)
    os._exit(0)  # the runtime's own way out is what crashes


class _Speech:
    """One network, and whoever listens with it at the moment."""

    def __init__(self) -> None:
        self._whisper: Whisper | None = None
        self._listener: Listener | None = None

    def obey(self, order: Order) -> dict[str, Any]:
        match order["do"]:
            case "open":
                self._whisper = Whisper(Path(order["folder"]), order["device"], order["threads"])
                return {"notices": self._take_notices()}
            case "prove" if self._whisper:
                return {"device": self._whisper.prove(), "notices": self._take_notices()}
            case "begin" if self._whisper:
                self._listener = Listener(self._whisper)
                return {}
            case "hear" if self._listener:
                lines = self._listener.hear(order["block"])
                return {"lines": _plain(lines), "notices": self._take_notices()}
            case "finish" if self._listener:
                lines, language = self._listener.finish()
                self._listener = None
                return {"lines": _plain(lines), "language": language, "notices": self._take_notices()}
            case other:
                raise ValueError(f"the order {other!r} makes no sense now")

    def _take_notices(self) -> list[str]:
        assert self._whisper is not None
        notices, self._whisper.notices = self._whisper.notices, []
        return notices


def _plain(lines: list[Line]) -> list[dict[str, Any]]:
    return [asdict(line) for line in lines]


if __name__ == "__main__":
    main()
