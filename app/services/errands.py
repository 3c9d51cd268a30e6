"""On-demand work for whoever waits for it: pictures of moments, vectors of pictures, cut clips.

One process does it, apart from the window and from the workers: a file that crashes a decoder or never ends costs its
own errand, and the next one finds a fresh process. Pictures are kept on the disk; the newest request goes first,
because somebody scrolls.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, PriorityQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from app.services.caches import make_room, picture_of_moment
from app.workers.errand import Brought, Errand, errand_main
from app.workers.parent import deaf_to_interrupts
from m2hf_core.config.paths import open_paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError, StoreError
from m2hf_core.store import files, open_store

TIMEOUTS_S = {"thumbnail": 15.0, "identify": 15.0, "encode_image": 180.0, "cut": 600.0}
"""The first vector waits for its network to be loaded; a cut that has to be encoded takes its time."""
KEEP_S = 120.0
"""Without errands the process leaves: an image tower may lie in its memory."""
LOOK_EVERY_S = 0.05
CLEAN_EVERY = 200
"""New pictures between two looks at the size of the cache."""
URGENT, PICTURES, LAST = 0, 1, 2
Stamp = tuple[int, int] | None
"""Size and time of a file; None while it is not there."""


@dataclass(order=True, slots=True)
class _Asked:
    rank: int
    turn: int
    what: str = field(compare=False)
    arguments: tuple[Any, ...] = field(compare=False)
    future: Future[Any] = field(compare=False)


class Errands:
    """Thread-safe; every call returns a `Future` at once, which raises `KnownError` when the errand failed.

    A future that is cancelled before its turn costs nothing. Use as a context manager, or `close` it.
    """

    def __init__(
        self, data_dir: Path | None = None, preset: str | None = None, *, timeout_s: float | None = None
    ) -> None:
        """`preset` None is that of the settings; `timeout_s` replaces the limit of every kind of errand."""
        self._paths = open_paths(data_dir)
        self._preset, self._timeout_s = preset, timeout_s
        self._asked: PriorityQueue[_Asked] = PriorityQueue()
        self._turns = itertools.count()
        self._fingerprints: dict[tuple[Path, Stamp], str] = {}
        """By path, size and time: another file may come to lie where one was."""
        self._made = 0
        self._over = threading.Event()
        self._runner: _Runner | None = None
        self._thread = threading.Thread(target=self._run, name="errands")
        self._thread.start()

    def thumbnail(self, video: Path, at_s: float, side: int = 320) -> Future[Path]:
        """A JPEG of the frame at `at_s`, in the cache from then on."""
        known = self._fingerprints.get((video, _stamp(video)))
        if known is not None:
            there = picture_of_moment(self._paths.thumbnails, known, at_s, side)
            if there.is_file():
                done: Future[Path] = Future()
                done.set_result(there)
                return done
        return self._ask(PICTURES, -next(self._turns), "thumbnail", (video, at_s, side))

    def encode_image(self, path: Path) -> Future[npt.NDArray[np.float32]]:
        """float32 [d] of a picture, by the preset's image tower, not normalised."""
        return self._ask(URGENT, next(self._turns), "encode_image", (path,))

    def cut(self, video: Path, start_s: float, end_s: float, target: Path) -> Future[Path]:
        """[start_s, end_s) of a video as a file of its own; a copy begins at the key frame before."""
        return self._ask(LAST, next(self._turns), "cut", (video, start_s, end_s, target))

    def close(self) -> None:
        """End the process, whatever it is doing; what was asked for and not begun is cancelled."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Errands:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> int | None:
        """The id of the process, None while there is none."""
        runner = self._runner
        return runner.pid if runner is not None else None

    def _ask(self, rank: int, turn: int, what: str, arguments: tuple[Any, ...]) -> Future[Any]:
        future: Future[Any] = Future()
        if self._over.is_set():
            future.cancel()
        else:
            self._asked.put(_Asked(rank, turn, what, arguments, future))
        return future

    def _run(self) -> None:
        rested_at = time.monotonic()
        while not self._over.is_set():
            try:
                asked = self._asked.get(timeout=LOOK_EVERY_S)
            except Empty:
                if time.monotonic() - rested_at > KEEP_S:
                    self._dismiss()
                continue
            if asked.future.set_running_or_notify_cancel():
                try:
                    asked.future.set_result(self._do(asked))
                except BaseException as error:  # noqa: BLE001 - it is raised where the future is asked
                    asked.future.set_exception(error)
            rested_at = time.monotonic()
        self._dismiss()
        while not self._asked.empty():
            self._asked.get_nowait().future.cancel()

    def _do(self, asked: _Asked) -> Any:
        if asked.what == "thumbnail":
            return self._picture(*asked.arguments)
        if asked.what == "encode_image":
            preset = self._preset or str(Settings.load(self._paths).get("preset"))
            return self._send("encode_image", preset, *asked.arguments)
        return self._send(asked.what, *asked.arguments)

    def _picture(self, video: Path, at_s: float, side: int) -> Path:
        seen = video, _stamp(video)
        fingerprint = self._fingerprints.get(seen) or self._look_up(*seen) or self._send("identify", video)
        self._fingerprints[seen] = fingerprint
        target = picture_of_moment(self._paths.thumbnails, fingerprint, at_s, side)
        if target.is_file():
            os.utime(target)  # seen again: the last to be cleaned up
            return target
        self._send("thumbnail", video, at_s, side, target)
        self._made += 1
        if self._made % CLEAN_EVERY == 0:
            make_room(self._paths)
        return target

    def _look_up(self, video: Path, stamp: Stamp) -> str | None:
        """As the library knows it: so that pictures of an offline video are found, and forgotten with it.

        None too when the file was changed since the library looked at it.
        """
        try:
            with open_store(self._paths, read_only=True) as store, store.library.reading() as session:
                found = files.video_of_path(session, video)
                if stamp is not None and files.size_and_time(session, video) != stamp:
                    return None
        except StoreError:
            return None  # pictures work without a library too
        return found.fingerprint if found else None

    def _send(self, what: str, *arguments: Any) -> Any:
        """Have it done in the process, and kill that when it takes too long."""
        limit_s = TIMEOUTS_S[what] if self._timeout_s is None else self._timeout_s
        if self._runner is None or not self._runner.alive:
            self._dismiss()
            self._runner = _Runner()
            limit_s += TIMEOUTS_S["thumbnail"]  # to start
        brought = self._runner.fetch(Errand(next(self._turns), what, arguments), limit_s, self._over)
        if brought is None:
            self._dismiss()
            raise KnownError(
                f"{Path(arguments[-1] if what == 'encode_image' else arguments[0]).name} could not be read in time, "
                "or crashed its reader.",
                "The file may be damaged, or its drive too slow.",
            )
        if brought.error is not None:
            raise brought.error
        return brought.value

    def _dismiss(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.end()


class _Runner:
    """The process with its pipe."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=errand_main, args=(there,), name="m2hf-errands", daemon=True)
        with deaf_to_interrupts():
            self._process.start()
        there.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def fetch(self, errand: Errand, limit_s: float, over: threading.Event) -> Brought | None:
        """The answer; None when it died, took too long, or nobody wants it any more."""
        until = time.monotonic() + limit_s
        try:
            self._pipe.send(errand)
            while not over.is_set() and time.monotonic() < until:
                if self._pipe.poll(LOOK_EVERY_S):
                    brought: Brought = self._pipe.recv()
                    return brought
        except (EOFError, OSError):
            return None
        return None

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _stamp(video: Path) -> Stamp:
    try:
        status = video.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
