"""Where the library's files live: one data folder, overridable for tests, demos and second libraries."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "m2hf-app"


@dataclass(frozen=True, slots=True)
class Paths:
    """The rooms of one data folder. Nothing is created before it is needed."""

    data: Path

    @property
    def library_db(self) -> Path:
        """What the owner would miss; backed up before each migration."""
        return self.data / "library.sqlite"

    @property
    def features_db(self) -> Path:
        """Extracted arrays: large, rebuildable, not backed up."""
        return self.data / "features.sqlite"

    @property
    def backups(self) -> Path:
        return self.data / "backups"

    @property
    def thumbnails(self) -> Path:
        return self.data / "thumbnails"

    @property
    def staging(self) -> Path:
        """Where workers put finished arrays before the supervisor commits them."""
        return self.data / "staging"

    @property
    def settings(self) -> Path:
        return self.data / "settings.json"

    @property
    def writer_lock(self) -> Path:
        return self.data / "writer.lock"


def open_paths(data_dir: Path | None = None) -> Paths:
    """`data_dir`, else `M2HF_DATA_DIR`, else the platform's place for application data."""
    if data_dir is None:
        override = os.environ.get("M2HF_DATA_DIR")
        data_dir = Path(override) if override else Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))
    return Paths(expanded(data_dir).absolute())


def expanded(path: Path) -> Path:
    """With `~` as the home folder. `~name` of nobody here is a name like any other, as in a shell."""
    return Path(os.path.expanduser(path))


def models_dir() -> Path:
    """Weights are shared by all libraries: `M2HF_MODELS_DIR`, else beside the default data folder."""
    override = os.environ.get("M2HF_MODELS_DIR")
    if override:
        return expanded(Path(override)).absolute()
    return Path(platformdirs.user_data_dir(APP_NAME, appauthor=False)) / "models"


def resources_dir() -> Path:
    """The shipped resources: inside the installed package, in a frozen program, or in a checkout."""
    frozen = getattr(sys, "_MEIPASS", None)
    package = Path(__file__).resolve().parents[1]
    candidates = [package / "resources", package.parent / "resources"]
    if frozen:
        candidates.insert(0, Path(frozen) / "resources")
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"resources are missing beside {package}: the installation is incomplete")
