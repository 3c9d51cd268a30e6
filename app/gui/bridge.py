"""The one door between the window and everything that takes time.

Nothing here waits: each wish goes to a thread of its own kind, and what comes back crosses as a frozen record by a
queued signal. Services are imported inside those threads, because importing them brings SQLAlchemy and torch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage, QImageReader

from app.gui.records import Ask, Moment, Trouble, Work
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.records import CaptionAnswer, SearchAnswer

if TYPE_CHECKING:
    from app.services.background import Background, BackgroundSnapshot
    from app.services.captions import CaptionSearch
    from app.services.errands import Errands
    from app.services.library import Library
    from app.services.live import LiveSearch
    from app.services.searching import Searcher

T = TypeVar("T")
LOOK_EVERY_MS = 100
OVERVIEW_EVERY_MS = 1000
"""How often the panels follow while indexing changes the library."""
CAPTIONS, SIMILAR = 20, 50
PICTURE_SIDE = 480
"""Pixels: a card is 240 wide, on a screen of twice the density."""
HITS = 500
"""How many moments a search brings; what lies beyond is not ranked among all."""
log = logging.getLogger(__name__)


class Bridge(QObject):
    """Made once per window. `start` begins the threads, `stop` ends them and waits for what runs."""

    overview = Signal(object)
    """`services.overview.Overview`, at the start and whenever the library changed."""
    answered = Signal(object)
    """`services.live.Answered`, in the order of asking."""
    working = Signal(object)
    """`Work`, whenever what indexing does has changed; looked at ten times a second."""
    pictured = Signal(object, QImage)
    """`Moment` and its picture, null where there is none."""
    failed = Signal(object)
    """`Trouble` of anything that nobody else asked to hear of."""
    search_state = Signal(str, object)
    """opening, ready or failed, and the `Trouble` of a failure."""
    reveal = Signal(object)
    """A path that somebody wishes to see in the file manager."""
    _returned = Signal(object)

    def __init__(self, data_dir: Path | None, preset: str | None = None) -> None:
        super().__init__()
        self.data_dir, self.preset = data_dir, preset
        self._desk = ThreadPoolExecutor(1, "desk")
        """The store's short reads and writes, one after the other."""
        self._pictures = ThreadPoolExecutor(1, "pictures")
        self._long = ThreadPoolExecutor(1, "long")
        """What takes minutes and needs no library: fetching and checking weights."""
        self._open = ExitStack()
        self._library: Library | None = None
        self._stopped = False
        self._search: LiveSearch | None = None
        self._later: list[Callable[[], None]] = []
        """What was wished before search and indexing were there."""
        self._wish: Ask | None = None
        self._running: list[Progress] = []
        self._captions: CaptionSearch | None = None
        """Only for the search thread."""
        self._opener = threading.Thread(target=self._open_search, name="opening", daemon=True)
        self._errands: Errands | None = None
        self._background: Background | None = None
        self._seen: BackgroundSnapshot | None = None
        self._figures: tuple[int, ...] = ()
        self._returned.connect(self._call, Qt.ConnectionType.QueuedConnection)
        self._look = QTimer(self, interval=LOOK_EVERY_MS)
        self._look.timeout.connect(self._look_at_work)
        self._refresh = QTimer(self, singleShot=True, interval=OVERVIEW_EVERY_MS)
        self._refresh.timeout.connect(self.refresh)

    def start(self) -> None:
        """Open the library and load the models, in the background."""
        self.refresh()
        self._opener.start()
        self._look.start()

    def stop(self) -> None:
        """End every thread. Indexing stops at the next batch; what was finished stays."""
        if self._stopped:
            return
        self._stopped = True
        self._look.stop()
        self._refresh.stop()
        if self._opener.is_alive():
            self._opener.join()  # an import cannot be interrupted
        if self._background is not None:
            self._background.stop(None)
        if self._search is not None:
            self._search.close()
        self._search = self._captions = None  # hundreds of megabytes
        if self._errands is not None:
            self._errands.close()
        self._desk.submit(self._open.close)
        self._desk.shutdown(wait=True)
        self._pictures.shutdown(wait=True, cancel_futures=True)
        for progress in self._running:
            progress.cancel()
        self._long.shutdown(wait=True, cancel_futures=True)

    def run(
        self,
        operation: Callable[[Library], T],
        then: Callable[[T], None] | None = None,
        sorry: Callable[[Trouble], None] | None = None,
    ) -> None:
        """Run a service on the desk thread, then one of the two functions in the GUI thread."""
        if self._stopped:
            return
        future = self._desk.submit(lambda: operation(self._opened()))
        future.add_done_callback(lambda done: self._hand_back(done, then, sorry))

    def run_long(
        self,
        operation: Callable[[Progress], T],
        progress: Progress,
        then: Callable[[T], None],
        sorry: Callable[[Trouble], None],
    ) -> None:
        """Run something that takes minutes; `progress` tells how far it is and stops it, at the latest on closing."""
        if not self._stopped:
            self._running.append(progress)
            future = self._long.submit(operation, progress)
            future.add_done_callback(lambda done: self._hand_back(done, then, sorry))

    def similar_captions(
        self,
        video: Path,
        at_s: float,
        then: Callable[[CaptionAnswer], None],
        sorry: Callable[[Trouble], None],
    ) -> None:
        """The captions nearest to a moment. The bank is kept between two questions."""

        def find(searcher: Searcher) -> CaptionAnswer:
            from app.services.captions import CaptionSearch

            self._captions = self._captions.over(searcher) if self._captions else CaptionSearch(searcher)
            return self._captions.nearest(f"{video}@{at_s}", k=CAPTIONS)

        self.with_searcher(find, then, sorry)

    def similar_moments(
        self,
        video: Path,
        at_s: float,
        then: Callable[[SearchAnswer], None],
        sorry: Callable[[Trouble], None],
    ) -> None:
        """Moments that look, sound and move like one."""

        def find(searcher: Searcher) -> SearchAnswer:
            from app.services.similar import find_similar

            errands = self._errands
            assert errands is not None, "errands are there before the search is"
            return find_similar(
                searcher, f"{video}@{at_s}", lambda path: errands.encode_image(path).result(), k=SIMILAR
            )

        self.with_searcher(find, then, sorry)

    def ask(self, ask: Ask) -> None:
        """Search. A wish that has not begun yet is replaced by this one."""
        if self._search is None:
            self._wish = ask
        else:
            self._search.ask(ask.text, k=HITS, branches=ask.branches, fusion=ask.fusion)

    def with_searcher(
        self,
        operation: Callable[[Searcher], T],
        then: Callable[[T], None],
        sorry: Callable[[Trouble], None] | None = None,
    ) -> None:
        """Run something that needs the loaded models on the search thread, between two answers."""

        if self._search is None:
            self._later.append(lambda: self.with_searcher(operation, then, sorry))
        elif not self._stopped:
            future = self._search.call(operation)
            future.add_done_callback(lambda done: self._hand_back(done, then, sorry))

    def _open_search(self) -> None:
        """In a thread of its own, because it imports torch."""
        try:
            library = self._desk.submit(self._opened).result()
            from app.services.ahead import get_ready

            get_ready()
            from app.services.errands import Errands

            self._errands = Errands(self.data_dir, self.preset)
            from app.services.background import Background
            from app.services.live import LiveSearch

            self._search = LiveSearch(library, self.answered.emit, on_state=self._tell_state)
            background = Background(self.data_dir, self.preset)
            background.start()  # first, because nothing can be asked of it before
            self._background = background
        except Exception as error:
            if not isinstance(error, KnownError):
                log.exception("search could not be opened")
            self.search_state.emit("failed", Trouble.of(error))
            return
        self._returned.emit(self._send_what_waited)

    def _send_what_waited(self) -> None:
        if self._wish is not None:
            self.ask(self._wish)
        waiting, self._later = self._later, []
        for wish in waiting:
            wish()

    def _tell_state(self, state: str, error: Exception | None) -> None:
        self.search_state.emit(state, None if error is None else Trouble.of(error))

    def with_background(
        self,
        wish: Callable[[Background], Future[T]],
        then: Callable[[T], None] | None = None,
        sorry: Callable[[Trouble], None] | None = None,
    ) -> None:
        """Ask the indexing thread for something that only the writer of the library may do."""
        if self._background is None:
            self._later.append(lambda: self.with_background(wish, then, sorry))
        elif not self._stopped:
            wish(self._background).add_done_callback(lambda done: self._hand_back(done, then, sorry))

    def add_folders(self, folders: list[Path]) -> None:
        """Watch these folders; what is in them becomes searchable in the background."""
        for folder in folders:
            self.with_background(partial(_add, folder=folder), lambda _: self.refresh())

    def look_at(self, path: Path) -> None:
        """Somebody looks at this video or folder: what it still lacks is made first."""
        # Where indexing has failed, the status line says so; nobody who looks at a hit has asked for it.
        self.with_background(lambda background: background.look_at([path]), sorry=lambda _: None)

    def ask_drive(self, question: Callable[[], T], then: Callable[[T], None]) -> None:
        """Look at files: a drive that sleeps or is gone may take its time, so never in the GUI thread."""
        self.run(lambda _: question(), then)

    def pause(self) -> None:
        self.with_background(lambda background: background.pause())

    def resume(self) -> None:
        self.with_background(lambda background: background.resume())

    def try_again(self) -> None:
        """Somebody has dealt with what stood in the way: index again, and look at the library again."""
        if self._background is not None and not self._stopped:
            self._background.start()
        self.with_background(lambda background: background.rescan())
        self.refresh()

    def refresh(self) -> None:
        """Look at the library again."""

        def look(library: Library) -> object:
            from app.services.overview import overview

            return overview(library)

        self.run(look, self.overview.emit)

    def picture(self, moment: Moment) -> None:
        """Fetch the picture of a moment; `pictured` brings it."""
        if not self._stopped:
            self._pictures.submit(self._fetch_picture, moment)

    def _fetch_picture(self, moment: Moment) -> None:
        """On the pictures' thread: ask for the frame itself."""
        if self._errands is None:
            self._show_poster(moment)
            return
        future = self._errands.thumbnail(moment.video, moment.at_s, PICTURE_SIDE)
        future.add_done_callback(lambda done: self._take_picture(moment, done))

    def _take_picture(self, moment: Moment, done: Future[Path]) -> None:
        """On the errands' thread. A frame that cannot be had is replaced by the video's poster."""
        if done.cancelled() or self._stopped:
            return
        if done.exception() is None:
            self.pictured.emit(moment, QImageReader(str(done.result())).read())
        else:
            log.info("no picture of %s: %s", moment, done.exception())
            with suppress(RuntimeError):  # the window is closing
                self._pictures.submit(self._show_poster, moment)

    def _show_poster(self, moment: Moment) -> None:
        from app.services.overview import poster_of

        image = QImage()
        try:
            poster = self._desk.submit(lambda: poster_of(self._opened(), moment.video)).result()
        except (KnownError, RuntimeError, CancelledError) as error:  # no library, or the window is closing
            log.info("no poster of %s: %s", moment.video, error)
        else:
            if poster is not None:
                image = QImageReader(str(poster)).read()
        self.pictured.emit(moment, image)

    def _opened(self) -> Library:
        """The desk's own library, opened when first needed. Only for the desk thread."""
        if self._library is None:
            from app.services.library import open_library

            self._library = self._open.enter_context(
                open_library(self.data_dir, preset=self.preset, mode="create")
            )
        return self._library

    def _look_at_work(self) -> None:
        if self._background is None:
            return
        now = self._background.snapshot()
        if now == self._seen:
            return
        self._seen = now
        self.working.emit(_work(now))
        figures = (now.ready, now.failed, now.queued, now.offline, now.rounds)
        if figures != self._figures and not self._refresh.isActive():
            self._figures = figures
            self._refresh.start()

    def _hand_back(
        self,
        done: Future[T],
        then: Callable[[T], None] | None,
        sorry: Callable[[Trouble], None] | None,
    ) -> None:
        """In the thread that did the work: send the outcome to the GUI thread."""
        if done.cancelled() or self._stopped:
            return
        error = done.exception()
        if error is None:
            value = done.result()
            if then is not None:
                self._returned.emit(lambda: then(value))
            return
        if not isinstance(error, KnownError | OSError):
            log.error("an operation failed", exc_info=error)
        tell = sorry or self.failed.emit
        self._returned.emit(lambda: tell(Trouble.of(error)))

    @Slot(object)
    def _call(self, function: Callable[[], None]) -> None:
        function()


def _add(background: Background, folder: Path) -> Future[list[dict[str, object]]]:
    return background.add_folder(folder)


def _work(now: BackgroundSnapshot) -> Work:
    total = now.done_s + now.left_s
    return Work(
        state=now.state,
        why=now.why,
        file=now.file.name if now.file is not None else "",
        stage=now.stage,
        share=now.done_s / total if total > 0 else None,
        factor=now.rate,
        left_s=now.eta_s,
    )
