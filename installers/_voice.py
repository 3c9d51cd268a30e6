"""How the bootstrap speaks: a line per step with the time since the start, and one live line while it waits."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

PLAIN_EVERY_S = 15.0  # without a terminal there is no live line, but a sign of life this often
TICK_S = 0.5


class Stop(Exception):  # noqa: N818 - the world failed; this is how the person hears of it
    """`sentence` says what happened, `remedy` what to do now, `detail` is what the failing program said last.

    `passing`: the cause lies in the moment (network, disk), so that going on without makes no sense.
    """

    def __init__(
        self, sentence: str, remedy: str = "", detail: Sequence[str] = (), *, passing: bool = False
    ) -> None:
        super().__init__(sentence)
        self.sentence, self.remedy, self.detail, self.passing = sentence, remedy, tuple(detail), passing


class Voice:
    """Writes to one stream; on a terminal the live line is overwritten, elsewhere it is repeated sparsely."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._began = time.monotonic()
        self._last_plain = self._began
        self._drawn = 0

    def step(self, text: str) -> None:
        """A line that stays."""
        self._erase()
        self._write(f"[{self.elapsed()}] {text}\n")
        self._last_plain = time.monotonic()

    def waiting(self, text: str) -> None:
        """What is going on just now."""
        line = f"[{self.elapsed()}]   {text}"
        if self._live:
            line = line[: os.get_terminal_size(self._stream.fileno()).columns - 1]
            self._write("\r" + line.ljust(self._drawn))
            self._drawn = len(line)
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._write(line + "\n")
            self._last_plain = time.monotonic()

    def failure(self, stop: Stop) -> None:
        """The last words of the failing program, then the sentence and the remedy."""
        self._erase()
        for line in stop.detail:
            self._write(f"    | {line}\n")
        self._write(f"\n{stop.sentence}\n")
        if stop.remedy:
            self._write(f"{stop.remedy}\n")

    def plain(self, text: str = "") -> None:
        """A line without the time."""
        self._erase()
        self._write(text + "\n")

    def elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60:2d}:{seconds % 60:02d}"

    def _erase(self) -> None:
        if self._drawn:
            self._write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: exit code and all the lines it said (stdout and stderr together)."""

    code: int
    lines: tuple[str, ...]

    def last_words(self, count: int = 12) -> list[str]:
        return list(deque((line for line in self.lines if line.strip()), maxlen=count))


def watch(
    command: Sequence[str | Path],
    voice: Voice,
    describe: Callable[[str | None], str],
    environment: dict[str, str] | None = None,
    log: IO[str] | None = None,
    keep_open: Sequence[int] = (),
) -> Outcome:
    """Run a program quietly; `describe` gets each of its lines (None when only time has passed) and
    says what to show. An interrupt ends the program, with all that it has started, before it is passed
    on. The program inherits the file descriptors `keep_open`.
    """
    lines: queue.Queue[str | None] = queue.Queue()
    said: list[str] = []
    with subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        pass_fds=keep_open,
        start_new_session=True,
    ) as program:
        reader = threading.Thread(target=_read, args=(program.stdout, lines), daemon=True)
        reader.start()
        try:
            while True:
                try:
                    line = lines.get(timeout=TICK_S)
                except queue.Empty:
                    voice.waiting(describe(None))
                    continue
                if line is None:
                    break
                said.append(line)
                if log is not None:
                    log.write(line + "\n")
                voice.waiting(describe(line))
        except BaseException:
            _end(program)
            raise
    return Outcome(program.returncode, tuple(said))


def _end(program: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGTERM)
    else:
        program.terminate()


def _read(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    for line in stream or ():
        lines.put(line.rstrip("\n"))
    lines.put(None)
