"""The environment is recognised, repaired or refused rightly; nothing here installs anything."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Part = Callable[[str], ModuleType]


def stamp(part: Part, **changes: Any) -> Any:
    made = part("_environment").Stamp("digest", "3.11", "/checkout", "/checkout/.venv", ("ann", "gui"))
    return replace(made, **changes)


def test_a_stamp_serves_what_it_holds_and_less(part: Part) -> None:
    have = stamp(part)
    assert have.serves(have)
    assert have.serves(stamp(part, extras=("gui",)))
    assert not have.serves(stamp(part, extras=("gui", "dev")))


@pytest.mark.parametrize("changed", ["project", "python", "root", "folder"])
def test_a_stamp_serves_only_its_own_project_python_and_place(part: Part, changed: str) -> None:
    assert not stamp(part).serves(stamp(part, **{changed: "other"}))


def test_what_was_tried_in_vain_is_not_tried_each_time(part: Part) -> None:
    have = stamp(part, extras=("gui",), declined={"ann": "hnswlib did not build"})
    assert have.serves(stamp(part, extras=("gui", "ann")))


def test_a_stamp_comes_back_as_written(part: Part, tmp_path: Path) -> None:
    environment = part("_environment")
    have = stamp(part, declined={"dev": "no"}, qt=("offscreen",))
    environment.write_stamp(tmp_path, have)
    assert environment.read_stamp(tmp_path) == have


@pytest.mark.parametrize("text", ["", "{", "[]", '{"project": "x"}', '{"extras": [], "qt": [], "odd": 1}'])
def test_a_damaged_stamp_counts_as_none(part: Part, tmp_path: Path, text: str) -> None:
    environment = part("_environment")
    (tmp_path / environment.STAMP).write_text(text)
    assert environment.read_stamp(tmp_path) is None
    assert environment.read_stamp(tmp_path / "nowhere") is None


def test_only_what_decides_an_install_is_digested(part: Part, root: Path) -> None:
    environment = part("_environment")
    project = environment.read_project(root)
    digest = environment.project_digest(project)
    linted = {**project, "tool": {**project["tool"], "ruff": {"line-length": 80}}}
    assert environment.project_digest(linted) == digest
    grown = {**project, "project": {**project["project"], "dependencies": ["another"]}}
    assert environment.project_digest(grown) != digest


def test_where_the_environment_is(part: Part, tmp_path: Path) -> None:
    environment_folder = part("_environment").environment_folder
    assert environment_folder(tmp_path, {}) == tmp_path / ".venv"
    assert environment_folder(tmp_path, {"M2HF_VENV": str(tmp_path / "x")}) == tmp_path / "x"


def test_a_folder_with_other_things_is_never_touched(part: Part, root: Path, tmp_path: Path) -> None:
    environment, voice = part("_environment"), part("_voice")
    (tmp_path / "thesis.odt").write_text("years of work")
    with pytest.raises(voice.Stop, match="holds other things"):
        environment.ready(root, tmp_path, ["gui"], voice.Voice(io.StringIO()))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]
    assert not environment.is_ours_to_fill(tmp_path / "thesis.odt")


def test_what_may_be_filled(part: Part, tmp_path: Path) -> None:
    environment = part("_environment")
    assert environment.is_ours_to_fill(tmp_path / "new")
    assert environment.is_ours_to_fill(tmp_path)
    (tmp_path / environment.LOCK).touch()
    (tmp_path / "lib").mkdir()
    assert environment.is_ours_to_fill(tmp_path)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A real environment without pip."""
    folder = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def test_a_half_made_environment_is_seen(part: Part, bare: Path) -> None:
    environment = part("_environment")
    python = environment.python_in(bare)
    assert environment.running_version(python) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert not environment.has_pip(python)
    python.unlink()
    assert environment.running_version(python) == ""
    if os.name != "nt":
        python.symlink_to(bare / "a-python-that-was-removed")
        assert environment.running_version(python) == ""
        python.unlink()
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
        assert environment.running_version(python) == ""


def distribution(site: Path, name: str) -> Path:
    """An installed distribution of one module, as pip leaves it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text("x = 1\n")
    (info / "METADATA").write_text(f"Name: {name}\n")
    (info / "INSTALLER").write_text("pip\n")
    record = f"{name}.py,sha256=x,6\n__pycache__/{name}.pyc,,\n{info.name}/RECORD,,\n"
    (info / "RECORD").write_text(record)
    return info


@pytest.mark.parametrize("harm", ["no INSTALLER", "no RECORD", "missing file", "short file"])
def test_a_distribution_left_half_installed_is_forgotten(part: Part, tmp_path: Path, harm: str) -> None:
    site = tmp_path / ("Lib/site-packages" if os.name == "nt" else "lib/python3.11/site-packages")
    whole, broken, pip = distribution(site, "whole"), distribution(site, "broken"), distribution(site, "pip")
    (site / "~roken").mkdir()
    match harm:
        case "no INSTALLER":
            (broken / "INSTALLER").unlink()
        case "no RECORD":
            (broken / "RECORD").unlink()
        case "missing file":
            (site / "broken.py").unlink()
        case "short file":
            (site / "broken.py").write_text("x")
    assert part("_environment").remove_broken(tmp_path) == ["broken-1.0"]
    assert whole.is_dir()
    assert pip.is_dir()
    assert not broken.exists()
    assert not (site / "~roken").exists()


HOLD = """
import sys; sys.path.insert(0, {installers!r})
import io, _environment, _voice
from pathlib import Path
with _environment.locked(Path({folder!r}), _voice.Voice(io.StringIO())):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_the_second_bootstrap_waits_until_the_first_is_done_or_dead(
    part: Part, root: Path, tmp_path: Path, killed: bool
) -> None:
    environment, voice = part("_environment"), part("_voice")
    program = HOLD.format(installers=str(root / "installers"), folder=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"

        class Ear(io.StringIO):
            """Lets the first one end as soon as the second has said that it waits."""

            def write(self, text: str) -> int:
                if "waiting for it" in text:
                    holder.kill() if killed else holder.stdin.write("\n")  # type: ignore[union-attr]
                    if not killed:
                        holder.stdin.flush()  # type: ignore[union-attr]
                return super().write(text)

        ear = Ear()
        with environment.locked(tmp_path, voice.Voice(ear)):
            assert "Another bootstrap is at work" in ear.getvalue()
    assert holder.returncode == (-9 if killed else 0) or os.name == "nt"


@pytest.mark.skipif(os.name == "nt", reason="locks are inherited on POSIX")
def test_a_program_that_outlives_its_bootstrap_keeps_the_lock(part: Part, tmp_path: Path) -> None:
    environment, voice = part("_environment"), part("_voice")
    with environment.locked(tmp_path, voice.Voice(io.StringIO())) as lock:
        orphan = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=lock)
    with (tmp_path / environment.LOCK).open("a") as other:
        assert not environment._try_lock(other.fileno())
        orphan.communicate(b"\n")
        assert environment._try_lock(other.fileno())


def test_a_full_disk_is_told_before_anything_is_fetched(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = part("_environment")
    free = shutil.disk_usage(tmp_path).free / 1e9
    monkeypatch.setattr(environment, "NEED_GB", free + 100)
    with pytest.raises(part("_voice").Stop, match="are free"):
        environment.check_disk(tmp_path / "new")
    monkeypatch.setattr(environment, "NEED_GB", 0.0)
    environment.check_disk(tmp_path / "new")
