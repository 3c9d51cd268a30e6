"""The recipes for a machine without a screen, as far as they can be checked without building them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def project(root: Path) -> Any:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def steps(root: Path) -> list[tuple[str, str]]:
    """(instruction, rest) of the container file, with continued lines joined."""
    text = (root / "installers" / "headless" / "Containerfile").read_text("utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def extras_of(text: str) -> set[str]:
    (found,) = re.findall(r"\[([a-z,-]+)\]", text)
    return set(found.split(","))


def test_what_is_copied_is_there_and_is_all_that_the_build_needs(
    root: Path, project: Any, steps: list[tuple[str, str]]
) -> None:
    copied = {source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]}
    assert [source for source in copied if not (root / source).exists()] == []
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert copied == needed | set(wheel["packages"]) | set(wheel["force-include"])


def test_both_install_the_same_extras_and_no_window(
    root: Path, project: Any, steps: list[tuple[str, str]]
) -> None:
    (install,) = (rest for word, rest in steps if word == "RUN" and "pip install" in rest)
    recipe = yaml.safe_load((root / "installers" / "headless" / "environment.yml").read_text("utf-8"))
    *_, pip = recipe["dependencies"]
    (line,) = pip["pip"]
    assert extras_of(install) == extras_of(line)
    assert extras_of(install) <= project["project"]["optional-dependencies"].keys() - {"gui", "dev"}
    assert (root / "installers" / "headless" / line.partition("[")[0] / "pyproject.toml").is_file()


def test_it_starts_the_program_with_a_python_that_it_runs_on(
    project: Any, steps: list[tuple[str, str]]
) -> None:
    told = dict(steps)
    (program,) = json.loads(told["ENTRYPOINT"])
    assert program in project["project"]["scripts"]
    (number,) = re.findall(r"python:3\.(\d+)", told["FROM"])
    assert re.match(rf">=3\.{number}\b", project["project"]["requires-python"])


def test_the_user_may_write_where_the_variables_point(steps: list[tuple[str, str]]) -> None:
    words = [word for word, _ in steps]
    settings = dict(pair.split("=", 1) for word, rest in steps if word == "ENV" for pair in rest.split())
    (made,) = (re.findall(r"install -d -o owner (\S+)", rest) for word, rest in steps if "useradd" in rest)
    assert dict(steps)["VOLUME"] in made
    for name in ("M2HF_DATA_DIR", "M2HF_MODELS_DIR"):
        assert any(Path(settings[name]).is_relative_to(folder) for folder in made)
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
