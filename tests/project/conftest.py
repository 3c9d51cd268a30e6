"""How the project's tests reach the bootstrap, which is no package: its parts are imported from their folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def part(root: Path) -> Iterator[Callable[[str], ModuleType]]:
    """`part("_pip")` is that module of the bootstrap."""
    installers = str(root / "installers")
    sys.path.insert(0, installers)
    yield importlib.import_module
    sys.path.remove(installers)
