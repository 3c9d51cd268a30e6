"""Every command stands in the README, every example is a command that parses, every help text has an example."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.main import build_parser


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command that does something, as `library add`; `train` does, and so does `train prepare`."""
    groups = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups or (path and parser.get_default("run")):
        yield " ".join(path), parser
    for name, child in (item for group in groups for item in group.items()):
        yield from leaves(child, (*path, name))


@pytest.fixture(scope="module")
def commands() -> dict[str, argparse.ArgumentParser]:
    return dict(leaves(build_parser()))


@pytest.fixture(scope="module")
def table(root: Path) -> dict[str, str]:
    """The README's table of commands: command -> its example."""
    text = (root / "README.md").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `m2hf-app ")]
    return {row[1].strip(" `").removeprefix("m2hf-app "): row[3].strip(" `") for row in rows}


def parses(parser: argparse.ArgumentParser, example: str) -> bool:
    """Whether our own command line takes every part of it; argparse would leave with exit code 2."""
    words = shlex.split(example)
    commands = [
        list(part) for is_pipe, part in itertools.groupby(words, lambda word: word == "|") if not is_pipe
    ]
    try:
        for command in commands:
            into = command.index(">") if ">" in command else len(command)
            parser.parse_args(command[1:into])
    except SystemExit:
        return False
    return True


def test_the_readme_has_every_command_and_no_other(
    commands: dict[str, argparse.ArgumentParser], table: dict[str, str]
) -> None:
    assert sorted(table) == sorted(commands)


def test_each_row_shows_its_own_command(table: dict[str, str]) -> None:
    assert [name for name, example in table.items() if not example.startswith(f"m2hf-app {name}")] == []


def test_every_help_text_has_an_example_of_its_own(commands: dict[str, argparse.ArgumentParser]) -> None:
    assert [name for name, parser in commands.items() if not parser.description] == []
    missing = [name for name, parser in commands.items() if f"m2hf-app {name}" not in (parser.epilog or "")]
    assert missing == []


def test_every_example_parses(
    root: Path, commands: dict[str, argparse.ArgumentParser], table: dict[str, str]
) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (root / "README.md").read_text("utf-8"), flags=re.DOTALL)
    shown = [line for block in blocks for line in block.splitlines()]
    shown += [parser.epilog or "" for parser in commands.values()]
    examples = [*table.values(), *re.findall(r"m2hf-app .*", "\n".join(shown))]
    assert len(examples) > 2 * len(commands)
    parser = build_parser()
    assert [example for example in examples if not parses(parser, example)] == []


def test_an_example_that_does_not_parse_would_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert not parses(build_parser(), "m2hf-app no-such-command")
    assert "no-such-command" in capsys.readouterr().err


def test_links_to_files_lead_somewhere(root: Path) -> None:
    pages = [
        root / "README.md",
        *root.glob("installers/*.md"),
        *root.glob("app/**/*.md"),
        *root.glob("m2hf_core/**/*.md"),
    ]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    ]
    assert links
    assert [f"{page}: {link}" for page, link in links if not (page.parent / link).exists()] == []
