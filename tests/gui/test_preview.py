"""The right column: seeking, the strip, the words, and files that cannot be played."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt, QUrl
from PySide6.QtGui import QColor, QImage, QMouseEvent
from PySide6.QtMultimedia import QVideoFrame, QVideoFrameFormat
from PySide6.QtWidgets import QApplication

from app.gui.preview import SETTLE_MS, Preview
from app.gui.records import Moment
from app.gui.stage import Stage
from app.gui.strip import SeekBar, Strip
from app.gui.thumbnails import AT_ONCE, WAITING, Thumbnails
from m2hf_core.records import Line


def make_preview(qtbot, theme, bridge) -> Preview:
    preview = Preview(theme, Thumbnails(bridge))
    qtbot.addWidget(preview)
    preview.resize(400, 800)
    preview.show()
    return preview


def test_a_click_on_the_strip_seeks(qtbot, theme) -> None:
    strip = Strip(theme)
    qtbot.addWidget(strip)
    strip.resize(400, 130)
    strip.show_curves({"visual": [(0.0, 0.1), (50.0, 0.9), (100.0, 0.2)]}, 100.0)
    with qtbot.waitSignal(strip.sought) as told:
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(396, 20))
    assert told.args[0] == 100.0
    with qtbot.waitSignal(strip.sought) as told:
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(10, 20))
    assert told.args[0] == 0.0


def test_the_seek_bar_moves_by_keys_within_the_video(qtbot, theme) -> None:
    bar = SeekBar(theme)
    qtbot.addWidget(bar)
    bar.show_range(10, 20, 30)
    bar.set_position(28)
    with qtbot.waitSignal(bar.sought) as told:
        qtbot.keyClick(bar, Qt.Key.Key_Right)
    assert told.args[0] == 30
    bar.set_position(2)
    with qtbot.waitSignal(bar.sought) as told:
        qtbot.keyClick(bar, Qt.Key.Key_Left)
    assert told.args[0] == 0


def test_a_drag_of_the_seek_bar_asks_for_the_picture_where_it_rests(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1)[0])
    preview.show_curves({"visual": [(0.0, 0.1), (60.0, 0.2)]})
    preview.stage.grab()
    before, bar = len(bridge.pictures_asked), preview.controls.seek
    for x in range(10, 70, 3):
        place = QPointF(x, 10)
        buttons = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        move = QMouseEvent(QEvent.Type.MouseMove, place, bar.mapToGlobal(place), *buttons)
        QApplication.sendEvent(bar, move)
        preview.stage.grab()  # as painting asks
    assert preview._sought_s > 0
    assert len(bridge.pictures_asked) == before, "while it moves, nothing is fetched"
    qtbot.waitUntil(lambda: len(bridge.pictures_asked) > before)
    (asked,) = bridge.pictures_asked[before:]
    assert asked.at_s == round(preview._sought_s, 1)


def test_another_moment_drops_the_picture_that_was_sought(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    first, second = hits(2)
    preview.show_hit(first)
    preview._seek(1.5)
    preview.show_hit(second)
    qtbot.wait(2 * SETTLE_MS)
    assert preview.stage._moment == Moment.of(second)


def test_no_picture_is_shown_where_there_is_none(qtbot, theme, bridge, monkeypatch) -> None:
    stage = Stage(theme, Thumbnails(bridge))
    qtbot.addWidget(stage)
    stage.resize(160, 90)
    video = Path("/videos/a.mp4")

    def middle() -> QColor:
        return stage.grab().toImage().pixelColor(80, 45)

    stage.show_still(Moment(video, 1.0))
    middle()  # painting asks
    assert middle() == QColor("#345678")
    monkeypatch.setattr(bridge, "picture", lambda _: None)
    stage.show_still(Moment(video, 20.0))
    assert middle() == QColor("#345678"), "the last one stays until the next is known"
    bridge.pictured.emit(Moment(video, 20.0), QImage())
    assert middle() == QColor(theme.colours.raised), "but never for a place that has none"


def test_shared_words_are_marked_and_lines_seek(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1, words=("dog",))[0])
    preview.show_lines([Line("look, two Dogs!", 44.0, 46.0), Line("<b>dogma & more</b>", 50.0, 52.0)])
    page = preview.transcript.toHtml()
    assert page.count("background-color") - page.count("background-color:transparent") >= 1
    assert preview.transcript.toPlainText().count("<b>dogma & more</b>") == 1, (
        "words are never taken for HTML"
    )
    moved: list[float] = []
    preview.player.moved.connect(moved.append)
    preview.transcript.anchorClicked.emit(QUrl("at:44.00"))
    assert moved == [44.0]


def test_a_file_that_is_gone_is_said(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1)[0])
    preview.play_or_pause()
    assert "clip_00000.mp4 is not there any more" in preview.trouble.text()
    assert preview.trouble.isVisible()


@pytest.mark.qt_log_ignore("Could not open media", extend=True)
def test_a_file_that_is_no_video_is_said(qtbot, theme, bridge, hits, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1, video=broken)[0])
    preview.play_or_pause()
    qtbot.waitUntil(preview.trouble.isVisible, timeout=20_000)
    assert "broken.mp4 cannot be played here" in preview.trouble.text()
    preview.player.stop()


@pytest.mark.qt_log_ignore("Could not open media", extend=True)
def test_the_still_stays_until_there_is_a_frame_and_comes_back_at_the_end(
    qtbot, theme, bridge, hits, tmp_path: Path
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"")
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1, video=video)[0])
    screen = preview.player.screen()
    assert screen is not None
    preview.player._play(video, True)
    preview.player.playing.emit(True)
    assert not screen.isVisible(), "before the first frame it is black"
    frame = QVideoFrame(QVideoFrameFormat(QSize(16, 16), QVideoFrameFormat.PixelFormat.Format_ARGB8888))
    screen.videoSink().setVideoFrame(frame)
    assert screen.isVisible()
    preview.player.stop()
    preview.player.playing.emit(False)
    assert not screen.isVisible(), "after the last frame it is black"


def test_every_reason_can_be_read_on_a_low_screen(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.resize(400, 702)  # of a window of 800
    preview.show_hit(hits(1)[0])
    preview.why.unfold.setChecked(True)
    full = preview.why.full

    def whole() -> bool:
        end = full.mapTo(preview.why, full.rect().bottomLeft()).y()
        return full.height() >= full.heightForWidth(full.width()) and end < preview.why.height()

    qtbot.waitUntil(lambda: whole() and preview.why.geometry().bottom() < preview.below.y())


def test_speed_goes_round(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1)[0])
    shown = []
    for _ in range(4):
        preview.controls.speed.click()
        shown.append(preview.controls.speed.text())
    assert shown == ["1.5×", "2×", "0.5×", "1×"]


def test_pictures_of_cards_scrolled_away_are_not_fetched(qapp, bridge, hits, monkeypatch) -> None:
    asked: list[Moment] = []
    monkeypatch.setattr(bridge, "picture", asked.append)
    thumbnails = Thumbnails(bridge)
    moments = [Moment.of(hit) for hit in hits(200)]
    for moment in moments:
        assert thumbnails.get(moment) is None
    assert len(asked) == AT_ONCE
    assert len(thumbnails._wanted) == WAITING
    assert moments[100] not in thumbnails._wanted
    assert moments[199] in thumbnails._wanted
