"""Bad moments: what the person sees is a sentence and something to press."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt

from app.gui.bridge import Bridge
from app.gui.records import Trouble, Work
from app.gui.start import Program
from m2hf_core.errors import DiskFull, KnownError, StoreError

LACKING = "The models of the preset fast are not here. Prepare them: m2hf-app models prepare fast"


def test_without_weights_the_window_offers_the_models(
    window, bridge, overview, answer, type_query, dialog_named
) -> None:
    bridge.results["presets_known"] = ((), "fast")
    bridge.overview.emit(overview(asleep={"clip": LACKING}))
    assert window.empty.sentence.text() == "The models are not here yet"
    assert "file names and subtitles" in window.empty.hint.text()
    assert "m2hf-app" not in window.empty.hint.text()
    assert window.empty.button.isVisible()
    window.empty.button.click()
    dialog = dialog_named("models")
    assert dialog.isVisible()
    dialog.close()
    bridge.answer = lambda text: answer(text, hits=0, abstained={"visual": LACKING})
    type_query()
    assert window.empty.sentence.text() == "Nothing found"
    assert window.empty.button.text() == "Models…"
    bridge.answer = answer
    window.search.field.clear()
    type_query("barks")
    assert "the models are not here yet" in window.receipt.text()
    dialog.show_presets((), "fast")
    window.receipt.linkActivated.emit("models")
    assert dialog_named("models").isVisible()
    bridge.overview.emit(overview())
    window.search.field.clear()
    type_query("loud")
    assert "models" not in window.receipt.text()


def test_while_nothing_is_searchable_yet_the_window_says_so(
    window, bridge, overview, answer, type_query
) -> None:
    bridge.overview.emit(overview(videos={"ready": 0, "queued": 5, "running": 1}))
    asleep = {
        "audio": "no trained scorer",
        "motion": "no trained scorer",
        "speech": "no video has a transcript",
    }
    spots = ("not extracted yet: 6 videos (m2hf-app index)",)
    bridge.answer = lambda text: answer(text, hits=0, videos=0, blind_spots=spots, abstained=asleep)
    type_query()
    assert window.empty.sentence.text() == "Nothing can be searched yet"
    assert "6 videos are being made searchable" in window.empty.hint.text()
    bridge.overview.emit(overview(videos={"ready": 6}))
    assert window.empty.sentence.text() == "Nothing found"
    assert window.empty.hint.text().split("<br>") == [
        "not extracted yet: 6 videos",
        "audio, motion: no trained scorer",
        "speech: no video has a transcript",
    ]


def test_without_a_network_a_download_ends_in_a_sentence_and_can_be_tried_again(
    window, bridge, dialog_named
) -> None:
    bridge.results["presets_known"] = (
        [
            {
                "id": "fast",
                "state": "not here",
                "size": "1 GB",
                "licence": "MIT",
                "title": "Fast",
                "sentence": ".",
            }
        ],
        "fast",
    )

    def fails(_operation, _progress, _then, sorry) -> None:
        sorry(Trouble("The server cannot be reached.", "Connect to the network, or import a folder."))

    bridge.run_long = fails
    window.offices.models()
    dialog = dialog_named("models")
    window.offices._models._fetch(dialog, "fast")
    assert "cannot be reached" in dialog.note.text()
    assert dialog.prepare.isEnabled()
    assert dialog.bring.isEnabled()
    assert not dialog.stop.isVisible()
    dialog.close()


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("failed", "The graphics card is gone (CUDA error: device lost)."),
        ("paused", str(DiskFull("The disk of the library is full.", "Free some space."))),
        ("failed", "The program failed (RuntimeError: worker). Please report it."),
        ("idle", "/media/Family cannot be read any more."),
    ],
)
def test_what_stands_in_the_way_of_indexing_is_told_and_tried_again(window, bridge, state, why) -> None:
    bridge.working.emit(Work(state, why))
    assert window.status.doing.text() == why
    assert window.status.retry.isVisible()
    assert not window.status.pause.isVisible(), "one button, that helps"
    window.status.retry.click()
    assert bridge.background.calls[-1][0] == "rescan"


@pytest.mark.parametrize(
    "why", ["Paused. Go on with: m2hf-app resume", "Waiting until nobody uses the computer."]
)
def test_a_pause_is_no_trouble(window, bridge, why) -> None:
    bridge.working.emit(Work("paused", why))
    assert not window.status.retry.isVisible()
    assert window.status.pause.text() == "Resume"


def test_files_that_kill_workers_are_counted_and_listed(window, bridge, overview, dialog_named) -> None:
    bridge.results["_failures"] = []
    bridge.overview.emit(overview(videos={"ready": 60, "failed": 2}))
    assert window.status.failures.isVisible()
    assert window.status.failures.text() == "2 files could not be read"
    window.status.failures.click()
    dialog = dialog_named("failures")
    assert dialog.isVisible()
    dialog.close()


def test_a_locked_database_is_told_and_asked_again(window, bridge, type_query) -> None:
    type_query()
    asked, looked = len(bridge.asked), len(bridge.operations)
    bridge.failed.emit(Trouble.of(StoreError("The library is busy.", "Close the other program.")))
    assert "busy" in window.notice.words.text()
    window.notice.button.click()
    assert len(bridge.asked) == asked + 1
    assert len(bridge.operations) > looked


def test_a_search_that_fails_is_a_sentence_and_the_former_moments_stay(window, bridge, type_query) -> None:
    type_query()
    shown = window.results.results.rowCount()
    error = KnownError("The disk of the library is gone.", "Connect it.")
    bridge.answered.emit(SimpleNamespace(asked=None, answer=None, error=error, refreshed=False))
    assert "Connect it." in window.notice.words.text()
    assert window.notice.button.text() == "Try again"
    assert window.results.results.rowCount() == shown > 0


def test_a_file_deleted_under_a_hit_is_a_sentence_and_can_be_tried_again(
    window, qtbot, bridge, answer, hits, tmp_path, type_query
) -> None:
    video = tmp_path / "gone.mp4"
    bridge.answer = lambda text: (
        answer(text, hits=0) if not text else _with(answer(text), hits(1, video=video))
    )
    type_query()
    qtbot.keyClick(window.search.field, Qt.Key.Key_Down)
    preview = window.preview
    preview.play_or_pause()
    assert "gone.mp4 is not there any more" in preview.trouble.text()
    assert preview.again.isVisible()
    tries: list[bool] = []
    preview.player.toggle = lambda: tries.append(True)
    preview.again.click()
    assert tries == [True]
    assert not preview.trouble.isVisible()


def test_a_drive_taken_away_while_it_plays_is_told_as_such(
    window, qtbot, bridge, answer, hits, tmp_path, type_query
) -> None:
    video = tmp_path / "film.mp4"
    video.touch()
    bridge.answer = lambda text: _with(answer(text), hits(1, video=video))
    type_query()
    qtbot.keyClick(window.search.field, Qt.Key.Key_Down)
    preview = window.preview
    assert preview.player.screen() is not None
    preview.player._tell(None, "read error")
    assert "cannot be played here" in preview.trouble.text(), "the file is there, so it is to blame"
    video.unlink()
    preview.player._tell(None, "read error")
    assert "connect the drive" in preview.trouble.text()
    assert preview.again.isVisible()


def test_closing_during_indexing_hides_at_once_and_ends_the_work(qtbot, theme, bridge, tmp_path) -> None:
    from app.gui.main_window import MainWindow
    from app.gui.session import Session

    window = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(window)
    window.show()
    bridge.working.emit(Work("working", "", "beach.mp4", "audio", 0.6, 3.2, 840.0))
    seen: list[bool] = []
    bridge.stop = lambda: seen.append(window.isVisible())
    window.close()
    assert seen == [False], "hidden before it waits for the batch at work"


def test_with_a_tray_the_first_closing_during_indexing_asks_once(qtbot, theme, bridge, tmp_path) -> None:
    from app.gui.main_window import MainWindow
    from app.gui.session import Session

    window = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(window)
    window.show()
    window.offer_tray()
    bridge.working.emit(Work("working", "", "beach.mp4", "audio", 0.6, 3.2, 840.0))
    window.close()
    dialog = next(d for d in window.children() if d.objectName() == "closing")
    assert window.isVisible()
    assert dialog.isVisible()
    dialog.reject()
    assert window.isVisible(), "Esc takes the closing back"
    window.close()
    dialog = [d for d in window.children() if d.objectName() == "closing"][-1]
    assert dialog.isVisible(), "and it is asked the next time"
    dialog.accept()
    assert not window.isVisible()
    assert window.leaving.stay.isChecked()
    window.show()
    window.close()
    assert not window.isVisible(), "it is not asked again"
    window.leaving.stay.setChecked(False)


def test_quitting_instead_ends_the_work(qtbot, theme, bridge, tmp_path) -> None:
    from app.gui.main_window import MainWindow
    from app.gui.session import Session

    window = MainWindow(bridge, theme, Session(tmp_path))
    qtbot.addWidget(window)
    window.show()
    window.offer_tray()
    ended: list[bool] = []
    bridge.stop = lambda: ended.append(True)
    bridge.working.emit(Work("working", "", "beach.mp4", "audio", 0.6, 3.2, 840.0))
    window.close()
    next(d for d in window.children() if d.objectName() == "closing").quit.click()
    assert ended == [True]
    assert not window.isVisible()


def test_a_second_start_shows_the_window_that_is_there(qtbot, qapp, tmp_path, monkeypatch) -> None:
    for name in ("start", "stop"):
        monkeypatch.setattr(Bridge, name, lambda self: None)
    first, second = Program(qapp), Program(qapp)
    assert first.open(tmp_path, "demo")
    window = first.window
    assert window is not None
    qtbot.addWidget(window)
    window.hide()
    assert not second.open(tmp_path, "demo")
    qtbot.waitUntil(window.isVisible)
    assert "open already" in window.notice.words.text()
    first.close()


def test_indexing_that_has_died_begins_again(qapp, tmp_path) -> None:
    begun: list[str] = []

    class Dead:
        def start(self) -> None:
            begun.append("start")

        def rescan(self) -> Future[None]:
            begun.append("rescan")
            return Future()

    bridge = Bridge(tmp_path)
    bridge._background = Dead()
    bridge.refresh = lambda: begun.append("look")
    bridge.try_again()
    assert begun == ["start", "rescan", "look"]
    bridge._background = None
    bridge.stop()


def _with(answer, hits):
    from dataclasses import replace

    return replace(answer, hits=tuple(hits))
