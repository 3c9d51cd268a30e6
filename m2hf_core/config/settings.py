"""Settings, declared once: the window's dialog, the command line and the manual all read this declaration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from m2hf_core.aside import write_file
from m2hf_core.config.paths import Paths
from m2hf_core.errors import KnownError, UsageError
from m2hf_core.records import FUSIONS

Value = str | tuple[str, ...]

ON_OR_OFF = ("on", "off")
WORK_OR_WAIT = ("work", "wait")
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?(,cuda:\d+)*")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `parse` takes what a person typed or a file holds, and raises `ValueError` with the reason."""

    name: str
    default: Value
    help: str
    parse: Callable[[Any], Value]
    choices: tuple[str, ...] = ()
    unit: str = ""

    @property
    def title(self) -> str:
        """The name as a form shows it, with the unit: `Cache (MB)`."""
        if not self.unit:
            return self.name.replace("_", " ").capitalize()
        return f"{self.name.rpartition('_')[0].replace('_', ' ').capitalize()} ({self.unit})"

    @property
    def kind(self) -> str:
        """`choice`, `text` or `list`, for whoever draws a form."""
        if self.choices:
            return "choice"
        return {str: "text", tuple: "list"}[type(self.default)]


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], Value]:
    def parse(value: Any) -> Value:
        if value not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return str(value)

    return parse


def _preset(value: Any) -> Value:
    # The presets themselves are in the manifest of weights, a layer above; `get_preset` refuses unknown ones.
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
        raise ValueError("it is the name of a preset, such as balanced")
    return value


def _device(value: Any) -> Value:
    if not isinstance(value, str) or not DEVICE.fullmatch(value):
        raise ValueError("it is auto, cpu, mps, cuda, cuda:0 or cuda:0,cuda:1")
    return value


def _patterns(value: Any) -> Value:
    """A list, or one text with commas; each a pattern such as `*.tmp` or `Trash/*`."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("it is a list of file name patterns, separated by commas")
    return tuple(dict.fromkeys(stripped for item in items if (stripped := item.strip())))


def _seconds(value: Any) -> Value:
    try:
        number = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("it is a number of seconds, such as 2.5") from error
    if not 0 <= number <= 86400:
        raise ValueError("it is a number of seconds between 0 and 86400")
    return f"{number:g}"


def _megabytes(value: Any) -> Value:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,8}", str(value)):
        raise ValueError("it is a whole number of megabytes, such as 1000")
    return str(int(str(value)))


DECLARED: Mapping[str, Setting] = MappingProxyType(
    {
        setting.name: setting
        for setting in (
            Setting("preset", "fast", "Which networks look at, listen to and read the library.", _preset),
            Setting("fusion", "mmbf", "How the branches' rankings become one.", _one_of(FUSIONS), FUSIONS),
            Setting(
                "device", "auto", "Where networks run: auto, cpu, mps, cuda or a list of cards.", _device
            ),
            Setting("ignore", (), "File name patterns that watching passes over, such as *.part.", _patterns),
            Setting(
                "read_text",
                "off",
                "Whether writing in the picture is read and searched with what is said; slow.",
                _one_of(ON_OR_OFF),
                ON_OR_OFF,
            ),
            Setting(
                "shortest_s",
                "0",
                "Videos shorter than so many seconds are passed over; 0 takes all.",
                _seconds,
                unit="s",
            ),
            Setting(
                "cache_mb",
                "1000",
                "How many megabytes the pictures of moments may take on the disk.",
                _megabytes,
                unit="MB",
            ),
            Setting(
                "on_battery",
                "work",
                "What extraction in the background does while the computer runs on its battery.",
                _one_of(WORK_OR_WAIT),
                WORK_OR_WAIT,
            ),
            Setting(
                "while_in_use",
                "work",
                "What extraction in the background does while somebody uses the computer, where the system tells.",
                _one_of(WORK_OR_WAIT),
                WORK_OR_WAIT,
            ),
            Setting(
                "start_at_login",
                "off",
                "Whether the program starts in the tray when you log in, and goes on indexing quietly.",
                _one_of(ON_OR_OFF),
                ON_OR_OFF,
            ),
        )
    }
)


class Settings:
    """The settings of one data folder. Reading is free; `set` writes at once."""

    def __init__(self, path: Path, values: Mapping[str, Value]) -> None:
        self._path = path
        self._values = dict(values)

    @classmethod
    def load(cls, paths: Paths) -> Settings:
        """What was chosen, defaults for the rest. `KnownError` says what is wrong with a file that cannot be read."""
        path = paths.settings
        return cls(path, {name: _parsed(name, value, path) for name, value in _read(path).items()})

    def get(self, name: str) -> Value:
        """`UsageError` for a name that is not declared."""
        return self._values.get(name, _declared(name).default)

    def set(self, name: str, value: Any) -> None:
        """Check, keep and write; nothing changes when the value is refused (`UsageError`)."""
        setting = _declared(name)
        try:
            parsed = setting.parse(value)
        except ValueError as error:
            raise UsageError(f"{value!r} is no value for {name}: {error}.", setting.help) from error
        values = {**self._values, name: parsed}
        _write(self._path, values)
        self._values = values

    def describe(self) -> list[dict[str, Any]]:
        """Every setting with its value and declaration, in their declared order."""
        return [
            {
                "id": setting.name,
                "title": setting.title,
                "value": self.get(setting.name),
                "default": setting.default,
                "kind": setting.kind,
                "choices": setting.choices,
                "help": setting.help,
            }
            for setting in DECLARED.values()
        ]


def _declared(name: str) -> Setting:
    if name not in DECLARED:
        raise UsageError(f"There is no setting called {name!r}.", f"Settings: {', '.join(DECLARED)}.")
    return DECLARED[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}  # whoever opens the library there says what is wrong with the folder
    except OSError as error:
        raise KnownError(f"The settings file {path} cannot be read.", error.strerror or "") from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(raw, dict):
        raise _damaged(path, "not an object")
    return raw


def _parsed(name: str, value: Any, path: Path) -> Value:
    if name not in DECLARED:
        raise KnownError(
            f"The settings file {path} has a setting {name!r} that this version does not know.",
            "It may be from a newer version; update the program or remove that line.",
        )
    try:
        return DECLARED[name].parse(value)
    except ValueError as error:
        raise KnownError(
            f"The settings file {path} has {value!r} for {name}: {error}.",
            "Correct that line, or remove it to return to the default.",
        ) from error


def _damaged(path: Path, detail: str) -> KnownError:
    return KnownError(
        f"The settings file {path} is damaged.",
        "Correct it, or remove it to start from the defaults.",
        detail,
    )


def _write(path: Path, values: Mapping[str, Value]) -> None:
    """Whole or not at all, so that a crash leaves the old settings or the new ones."""
    write_file(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
