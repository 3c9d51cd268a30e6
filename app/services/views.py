"""Records of what the window shows of a library; apart, so that the window's own thread imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder as the list shows it."""

    folder_id: int
    path: Path
    online: bool
    videos: int
    ready: int
    failed: int
    watched: bool = True
    """Else nothing new is taken in; what was found in it before stays searchable."""

    @property
    def waiting(self) -> int:
        return self.videos - self.ready - self.failed


@dataclass(frozen=True, slots=True)
class Overview:
    """The library at one moment."""

    folders: tuple[FolderView, ...]
    videos: Mapping[str, int]
    """ready, queued, running, failed, offline."""
    clips: int
    preset_id: str
    preset_title: str
    scorer: str
    asleep: Mapping[str, str]
    """Branch or kind -> why it cannot work."""
    examples: tuple[str, ...]
    """Queries that this library can answer, from its own captions and words."""
    fusion: str = "mmbf"
    """That of the settings."""

    @property
    def total(self) -> int:
        return sum(self.videos.values())
