"""The right column: seeking, the strip, the words, and files that cannot be played."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QSize, Qt, QUrl
from PySide6.QtMultimedia import QVideoFrame, QVideoFrameFormat

from app.gui.preview import Preview
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
    preview._go_to(QUrl("at:44.00"))
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


def test_speed_goes_round(qtbot, theme, bridge, hits) -> None:
    preview = make_preview(qtbot, theme, bridge)
    preview.show_hit(hits(1)[0])
    shown = []
    for _ in range(4):
        preview.speed.click()
        shown.append(preview.speed.text())
    assert shown == ["1.5×", "2×", "0.5×", "1×"]


def test_pictures_of_cards_scrolled_away_are_not_fetched(qapp, bridge, hits, monkeypatch) -> None:
    from app.gui.records import Moment

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
