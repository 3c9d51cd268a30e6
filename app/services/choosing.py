"""Changing a setting, with what has to happen outside the library at once."""

from __future__ import annotations

from app.services import autostart
from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import Settings, Value
from m2hf_core.errors import KnownError
from m2hf_core.hub import get_preset


def choose(paths: Paths, name: str, value: object) -> Value:
    """Keep the setting and carry it out; the value as it is kept.

    Raises `UsageError` for a name or value that does not exist, `KnownError` when it cannot be carried out; then the
    setting is what it was.
    """
    settings = Settings.load(paths)
    if name == "preset":
        get_preset(str(value))
    former = settings.get(name)
    settings.set(name, value)
    if name == "start_at_login":
        try:
            autostart.follow(settings.get(name) == "on", paths.data)
        except KnownError:
            settings.set(name, former)
            raise
    return settings.get(name)
