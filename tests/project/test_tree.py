"""The checkout's own form: what stands at the top, a README in every room, no machine's private paths."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

AGREED = {"app", "m2hf_core", "resources", "installers", "tests"}
AGREED |= {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
# Split so that this file does not match itself.
PRIVATE = re.compile(r"(?<![\w.~$}])/(?:ro" r"ot|wo" r"rk|tmp/" r"w)/|C:\\\\?Us" r"ers\\")


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    """Every file that git knows and that is still there."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"git does not list this checkout ({problem})")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [Path(name) for name in names if (root / name).is_file()]


def test_only_agreed_entries_at_the_top(tracked: list[Path]) -> None:
    top = {path.parts[0] for path in tracked if not path.parts[0].startswith(".")}
    assert top - AGREED == set()


def test_every_room_has_a_readme(root: Path, tracked: list[Path]) -> None:
    rooms = {path.parent for path in tracked if path.name == "__init__.py"} | {Path("installers")}
    assert len(rooms) > 10
    assert sorted(str(room) for room in rooms if not (root / room / "README.md").is_file()) == []


def test_no_private_paths(root: Path, tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        try:
            text = (root / path).read_text("utf-8")
        except UnicodeDecodeError:  # models and other data
            continue
        found += [
            f"{path}:{n}: {line.strip()[:80]}"
            for n, line in enumerate(text.splitlines(), 1)
            if PRIVATE.search(line)
        ]
    assert found == []


def test_private_paths_would_be_seen() -> None:
    assert PRIVATE.search("see /wo" + "rk/main/x.py")
    assert PRIVATE.search('open("/ro' + 'ot/.cache")')
    assert not PRIVATE.search("https://example.org/wo" + "rk/x and frames/ro" + "ot/x")


def test_the_continuous_check_runs_what_the_readme_says(root: Path) -> None:
    command = "python3 installers/bootstrap.py test"
    lines = (root / ".ci/run").read_text("utf-8").splitlines()
    doing = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert doing == [f'exec {command} "$@"']
    assert command in (root / "README.md").read_text("utf-8")
