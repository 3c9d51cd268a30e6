"""A window without an engine for the panels, and one small demo library with the real engine for the story."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6.QtWidgets", reason="the window's libraries are not installed")

from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QDialog

from app.gui.bridge import Bridge
from app.gui.main_window import MainWindow
from app.gui.records import Ask, Moment, Trouble
from app.gui.session import Session
from app.gui.start import make_application
from app.gui.theme import Theme
from app.services.views import FolderView, Overview
from m2hf_core.config.settings import DECLARED
from m2hf_core.errors import KnownError
from m2hf_core.records import (
    BRANCHES,
    Branch,
    BranchHit,
    CaptionAnswer,
    CaptionHit,
    Failure,
    Line,
    SearchAnswer,
    SearchHit,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder opens widgets."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.gui)


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The program's own application object."""
    return make_application()


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp)


def make_hit(number: int, **changes: Any) -> SearchHit:
    """A moment of its own video, won by one of the four branches in turn."""
    won = BRANCHES[number % len(BRANCHES)]
    values: dict[str, Any] = {
        "rank": number + 1,
        "clip_id": number + 1,
        "video": Path(f"/videos/clip_{number:05d}.mp4"),
        "start_s": 3.0 * number,
        "end_s": 3.0 * number + 9,
        "best_s": 3.0 * number + 4,
        "title": f"clip {number}",
        "won_by": (won,),
        "branches": {b: BranchHit(1 + number // 4, 0.3, 5.0) if b == won else None for b in BRANCHES},
        "without": {won: 198, Branch.VISUAL if won != Branch.VISUAL else Branch.AUDIO: number + 1},
        "likelihood": "likely" if number < 3 else "maybe" if number < 11 else "probably not",
    }
    return SearchHit(**(values | changes))


def make_answer(query: str, hits: int = 30, **changes: Any) -> SearchAnswer:
    values: dict[str, Any] = {
        "query": query,
        "fusion": "mmbf",
        "preset": "demo",
        "scorer_id": "family-2",
        "scorer_state": "trained",
        "took_ms": 11.0,
        "encode_ms": 12.0,
        "videos": 61,
        "clips": 80,
        "hits": tuple(make_hit(number) for number in range(hits)),
        "blind_spots": ("3 videos not yet heard",),
    }
    return SearchAnswer(**(values | changes))


FOLDERS = (
    FolderView(1, Path("/home/me/Family"), True, 31, 31, 0),
    FolderView(2, Path("/home/me/Phone"), True, 18, 15, 1),
    FolderView(3, Path("/home/me/Phone/old"), True, 4, 4, 0),
    FolderView(4, Path("/media/Holiday disk"), False, 15, 15, 0),
)


def make_overview(folders: tuple[FolderView, ...] = FOLDERS, **changes: Any) -> Overview:
    values: dict[str, Any] = {
        "folders": folders,
        "videos": {"ready": 61, "queued": 2, "running": 0, "failed": 1, "offline": 0},
        "clips": 80,
        "preset_id": "demo",
        "preset_title": "Demo",
        "scorer": "family-2",
        "asleep": {},
        "examples": ("a dog barking on a patio", "speech:grandma"),
    }
    return Overview(**(values | changes))


LINES = (Line("come on then, out to the patio", 39.0, 42.0), Line("look who is here, good dog", 44.0, 46.0))
CAPTIONS = tuple(
    CaptionHit(n + 1, text, "own", (Branch.VISUAL,), {Branch.VISUAL: BranchHit(n + 1, 0.3)})
    for n, text in enumerate(("a dog on a patio", "two people at a table", "rain"))
)


DESCRIBED = [
    {
        "id": setting.name,
        "title": setting.title,
        "value": setting.default,
        "default": setting.default,
        "kind": setting.kind,
        "choices": setting.choices,
        "help": setting.help,
    }
    for setting in DECLARED.values()
]
PRESETS = [
    {
        "id": name,
        "state": "not here",
        "size": "600 MB",
        "licence": "MIT",
        "title": name.title(),
        "sentence": "Good.",
    }
    for name in ("demo", "fast", "best")
]
SCORERS = [
    {"id": "untrained", "state": "untrained", "active": False, "test": None},
    {
        "id": "family-2",
        "state": "trained:library-2",
        "active": True,
        "test": {"queries": 40, "before": {"R@1": 25.0}, "after": {"R@1": 50.0}},
    },
    {"id": "other", "state": "trained:synthetic", "active": False, "test": {"queries": 0}},
]
FAILURES = [Failure(Path("/v/broken.mp4"), "f", "probe", "It is empty.", "Copy it again.", 1, True)]


class StillBridge(Bridge):
    """Answers at once from what the test put in, and notes what was asked. It starts no thread of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[Ask] = []
        self.pictures_asked: list[Moment] = []
        self.operations: list[Any] = []
        self.background = BackgroundNote()
        self.answer: Callable[[str], SearchAnswer] = make_answer
        self.results: dict[str, Any] = {"lines": LINES, "_expected_hours": {}}

    def ask(self, ask: Ask) -> None:
        self.asked.append(ask)
        self.answered.emit(
            SimpleNamespace(asked=ask, answer=self.answer(ask.text), error=None, refreshed=False)
        )

    def run(self, operation: Any, then: Any = None, sorry: Any = None) -> None:
        self.operations.append(operation)
        name = getattr(operation, "__name__", "")
        if then is not None and name in self.results:
            then(self.results[name])
        elif then is not None and name not in ("look",):
            then(None)

    def ask_drive(self, question: Any, then: Any) -> None:
        then(question())

    def with_searcher(self, operation: Any, then: Any, sorry: Any = None) -> None:
        then({b.value: [(t / 2, math.sin(t / 5) ** 2) for t in range(120)] for b in BRANCHES})

    def run_long(self, operation: Any, progress: Any, then: Any, sorry: Any) -> None:
        try:
            found = operation(progress)
        except KnownError as error:
            sorry(Trouble.of(error))
        else:
            then(found)

    def similar_captions(self, video: Path, at_s: float, then: Any, sorry: Any) -> None:
        then(CaptionAnswer(video, 0.0, 9.0, CAPTIONS))

    def similar_moments(self, video: Path, at_s: float, then: Any, sorry: Any) -> None:
        then(make_answer("like this", 5))

    def with_background(self, wish: Any, then: Any = None, sorry: Any = None) -> None:
        future = wish(self.background)
        if then is not None:
            then(future.result())

    def picture(self, moment: Moment) -> None:
        self.pictures_asked.append(moment)
        image = QImage(32, 18, QImage.Format.Format_RGB32)
        image.fill(QColor("#345678"))
        self.pictured.emit(moment, image)


class BackgroundNote:
    """Notes what the indexing thread would be asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Future[Any]]:
        def call(*arguments: Any) -> Future[Any]:
            self.calls.append((name, arguments))
            future: Future[Any] = Future()
            future.set_result(2)
            return future

        return call


@pytest.fixture
def hits() -> Callable[..., list[SearchHit]]:
    """So many hits: three likely, eight maybe, the rest probably not."""
    return lambda count, **changes: [make_hit(number, **changes) for number in range(count)]


@pytest.fixture
def answer() -> Callable[..., SearchAnswer]:
    return make_answer


@pytest.fixture
def overview() -> Callable[..., Overview]:
    return make_overview


@pytest.fixture
def bridge(qapp: QApplication, tmp_path: Path) -> Iterator[StillBridge]:
    made = StillBridge(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def window(qtbot: Any, theme: Theme, bridge: StillBridge, tmp_path: Path) -> MainWindow:
    """The whole window on a library of four folders, nothing asked yet."""
    made = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(made)
    made.resize(1440, 900)
    made.show()
    bridge.overview.emit(make_overview())
    return made


@pytest.fixture
def type_query(window: MainWindow, qtbot: Any) -> Callable[..., None]:
    """Types words into the window's field and waits for their answer."""

    def type_words(text: str = "a dog") -> None:
        qtbot.keyClicks(window.search.field, text)
        qtbot.waitUntil(lambda: window.answer is not None and window.answer.query.startswith(text))

    return type_words


@pytest.fixture
def dialog_named(window: MainWindow) -> Callable[[str], Any]:
    """The newest dialog of this name."""

    def named(name: str) -> QDialog:
        found = [child for child in window.findChildren(QDialog) if child.objectName() == name]
        assert found, f"no dialog {name}"
        return found[-1]

    return named


@pytest.fixture
def described() -> list[dict[str, Any]]:
    return DESCRIBED


@pytest.fixture
def presets() -> list[dict[str, Any]]:
    return PRESETS


@pytest.fixture
def failures() -> list[Failure]:
    return FAILURES


@pytest.fixture
def scorers() -> list[dict[str, Any]]:
    return SCORERS
