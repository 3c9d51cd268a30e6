"""What is done with folders from the window: watch them, stop watching, make what was not seen searchable first."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.gui.bridge import Bridge
from app.gui.library_panel import folders_of
from app.gui.notice import Notice
from app.gui.records import counted

if TYPE_CHECKING:
    from app.services.library import Library


class FolderOffice(QObject):
    """Each wish goes to the indexing thread; what came of it is said below the results."""

    def __init__(self, window: QObject, bridge: Bridge, notice: Notice) -> None:
        super().__init__(window)
        self._bridge, self._notice = bridge, notice
        self._left: list[Path] = []
        """No longer watched since the window was opened."""

    def add(self, folders: list[Path]) -> None:
        """Watch these folders, and make them searchable; a folder above one that was left brings that back too."""
        self._bridge.add_folders(folders)
        again = [path for path in self._left if any(path.is_relative_to(folder) for folder in folders)]
        self._left = [path for path in self._left if path not in again]
        said = self.tr("{} is watched again.") if again else self.tr("Looking for videos in {}.")
        if told := " ".join(said.format(path.name or path) for path in again or folders):
            self._notice.say(told)

    def take(self, paths: list[Path]) -> None:
        """What was dropped may be folders or files: the folders are watched."""
        self._bridge.ask_drive(partial(folders_of, paths), self.add)

    def remove(self, path: Path) -> None:
        """Stop watching; the notice offers the way back."""

        self._left.append(path)

        def done(_: object) -> None:
            self._bridge.refresh()
            if path not in self._left:
                return  # it was added again meanwhile
            said = self.tr("{} is not watched any more; what was found in it stays searchable.")
            self._notice.say(said.format(path.name), self.tr("Undo"), lambda: self.add([path]))

        self._bridge.with_background(lambda background: background.remove_folder(path), done)

    def unseen_first(self, query: str) -> None:
        """What this search could not see is made searchable before the rest."""

        def raise_unseen(library: Library) -> int:
            from app.services.blind_spots import raise_priority

            return raise_priority(library, query)

        def say(count: int) -> None:
            if count:
                went = self.tr("{} video goes first now."), self.tr("{} videos go first now.")
                self._notice.say(counted(count, *went))
            else:
                self._notice.say(self.tr("None of them waits for indexing."))

        self._bridge.run(raise_unseen, say)
