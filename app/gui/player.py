"""Plays a moment: a thin hand on QtMultimedia, which is loaded only when something is to be played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtWidgets import QWidget

from app.gui.records import Trouble

if TYPE_CHECKING:
    from PySide6.QtMultimedia import QMediaPlayer, QVideoFrame

SPEEDS = (0.5, 1.0, 1.5, 2.0)
STEP_S = 0.04
"""One frame at 25 a second, for files that do not tell their rate."""
LOOP_SLACK_S = 0.05


AskDrive = Callable[[Callable[[], bool], Callable[[bool], None]], None]


class Player(QObject):
    """Seconds everywhere. `moved`, `length` and `playing` follow the player; `failed` says why it cannot play."""

    moved = Signal(float)
    length = Signal(float)
    playing = Signal(bool)
    failed = Signal(object)
    pictured = Signal()
    """The first frame of what plays is there."""
    # What Qt's player is told. Each may wait for its own threads, and these may wait for the interpreter, for the last
    # time they look at an object that Python made is to see what it overrides. A call from Python would hold the
    # interpreter meanwhile, for ever; a signal lets go of it.
    _take = Signal(QUrl)
    _begin = Signal()
    _pause = Signal()
    _stop = Signal()
    _jump = Signal("qint64")  # type: ignore[arg-type]
    _pace = Signal(float)

    def __init__(self, ask_drive: AskDrive, parent: QObject | None = None) -> None:
        """`ask_drive` looks at a file in another thread, as `Bridge.ask_drive` does."""
        super().__init__(parent)
        self._ask_drive = ask_drive
        self._player: QMediaPlayer | None = None
        self._screen: QWidget | None = None
        self._video: Path | None = None
        self._start_s = 0.0
        self._range = (0.0, 0.0)
        self.looping = False
        self._awaits_frame = self._awaits_start = False

    @property
    def over(self) -> bool:
        """It neither plays nor stands still within the video."""
        return self._player is None or self._player.playbackState() == self._player.PlaybackState.StoppedState

    def screen(self) -> QWidget | None:
        """The widget that shows the picture; None where Qt cannot play at all."""
        self._media()
        return self._screen

    def show_moment(self, video: Path, at_s: float, start_s: float, end_s: float) -> None:
        """Be ready to play this video from `at_s`; [start_s, end_s) is what loops."""
        self._range = (start_s, end_s)
        self._start_s = at_s
        if self._player is None:
            self._video = video
            return
        if video != self._video:
            self.stop()
        self._video = video
        if self._player.source().isEmpty():
            self.moved.emit(at_s)
        else:
            self._awaits_frame = not self.over
            self._jump.emit(round(1000 * at_s))

    def toggle(self) -> None:
        """Play, or pause."""
        player = self._media()
        if player is None or self._video is None:
            return
        if player.playbackState() == player.PlaybackState.PlayingState:
            self._pause.emit()
            return
        video = self._video
        self._ask_drive(video.exists, lambda there: self._play(video, there))

    def _play(self, video: Path, there: bool) -> None:
        """What the drive said; meanwhile another moment may have been chosen."""
        player = self._player
        if player is None or video != self._video:
            return
        if not there:
            self.failed.emit(self._gone(video))
            return
        source = QUrl.fromLocalFile(str(video))
        if player.source() != source:
            self._awaits_start = True
            self._take.emit(source)
        self._awaits_frame = True
        self._begin.emit()

    def seek(self, at_s: float) -> None:
        self._start_s = max(0.0, at_s)
        if self._player is not None and not self._player.source().isEmpty():
            self._jump.emit(round(1000 * self._start_s))
        else:
            self.moved.emit(self._start_s)

    def step(self, frames: int) -> None:
        """Some frames on or back; playing pauses."""
        if self._player is None or self._player.source().isEmpty():
            return
        self._pause.emit()
        self._jump.emit(max(0, self._player.position() + round(1000 * STEP_S * frames)))

    def set_speed(self, speed: float) -> None:
        if self._media() is not None:
            self._pace.emit(speed)

    def stop(self) -> None:
        """Let go of the file, so that its drive can be taken away."""
        self._stop.emit()
        self._take.emit(QUrl())

    def _media(self) -> QMediaPlayer | None:
        if self._player is not None:
            return self._player
        try:
            from PySide6.QtMultimedia import QAudioOutput, QMediaPlayer
            from PySide6.QtMultimediaWidgets import QVideoWidget
        except ImportError as error:
            self.failed.emit(
                Trouble(
                    self.tr("Videos cannot be played here: a system library is missing."),
                    self.tr("Open the file in another player, or run m2hf-app doctor. ({})").format(error),
                )
            )
            return None
        player = QMediaPlayer(self)
        self._screen = QVideoWidget()
        player.setVideoOutput(self._screen)
        self._screen.videoSink().videoFrameChanged.connect(self._look_at_frame)
        player.setAudioOutput(QAudioOutput(player))
        player.positionChanged.connect(self._follow)
        player.durationChanged.connect(lambda ms: self.length.emit(ms / 1000))
        player.playbackStateChanged.connect(
            lambda state: self.playing.emit(state == QMediaPlayer.PlaybackState.PlayingState)
        )
        player.mediaStatusChanged.connect(self._loaded)
        player.errorOccurred.connect(self._tell)
        self._take.connect(player.setSource)
        self._begin.connect(player.play)
        self._pause.connect(player.pause)
        self._stop.connect(player.stop)
        self._jump.connect(player.setPosition)
        self._pace.connect(player.setPlaybackRate)
        self._player = player
        return player

    def _look_at_frame(self, frame: QVideoFrame) -> None:
        if self._awaits_frame and frame.isValid():
            self._awaits_frame = False
            self.pictured.emit()

    def _loaded(self, status: QMediaPlayer.MediaStatus) -> None:
        """A source begins at zero; go to the moment as soon as it can. After each jump it is "loaded" again."""
        if status == status.LoadedMedia and self._awaits_start:
            self._awaits_start = False
            if self._start_s > 0:
                self._jump.emit(round(1000 * self._start_s))

    def _follow(self, ms: int) -> None:
        at_s = ms / 1000
        start_s, end_s = self._range
        if self.looping and end_s > start_s and at_s > end_s - LOOP_SLACK_S and self._player is not None:
            self._jump.emit(round(1000 * start_s))
            return
        self.moved.emit(at_s)

    def _tell(self, _error: QMediaPlayer.Error, text: str) -> None:
        video = self._video
        if video is not None:
            self._ask_drive(video.exists, lambda there: self._explain(video, text, there=there))

    def _explain(self, video: Path, text: str, *, there: bool) -> None:
        """A drive that was taken away while it played is no fault of the file."""
        if video != self._video:
            return
        if not there:
            self.stop()
            self.failed.emit(self._gone(video))
            return
        self.failed.emit(
            Trouble(
                self.tr("{} cannot be played here.").format(video.name),
                self.tr("Open it in another player. ({})").format(text),
            )
        )

    def _gone(self, video: Path) -> Trouble:
        return Trouble(
            self.tr("{} is not there any more.").format(video.name),
            self.tr("If it is on a drive, connect the drive; else the next look at the folder notices it."),
        )
