"""The commands of a training on the library's own captions, and reading what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.main import build_parser
from app.services.library import open_library
from app.services.own_training import (
    OwnRun,
    new_run,
    read_figures,
    require_captions,
    tidy,
    train_command,
    write_data_command,
)
from m2hf_core.errors import KnownError
from m2hf_core.store import captions, pins
from m2hf_core.store.captions import NewCaption

ROWS = (
    {"phase": "e2e", "step": 10, "event": "train", "loss": 5.0, "branches": {"visual": 2.0, "audio": 3.0}},
    {"phase": "e2e", "step": 10, "event": "validation", "honest": 10.0, "rrf": 12.5, "branches": {}},
    {"phase": "e2e", "step": 20, "event": "train", "loss": 4.0, "branches": {"visual": 1.5, "audio": 2.5}},
)


def parsed(command: list[str]) -> object:
    """What the program itself makes of the words behind its own name."""
    return build_parser().parse_args(command[command.index("app.cli.main") + 1 :])


def test_both_commands_are_the_programs_own(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    first = parsed(write_data_command(run, tmp_path, "demo"))
    assert (first.out, first.preset, first.data_dir, first.json) == (run.data, "demo", tmp_path, True)
    second = parsed(train_command(run, tmp_path, {"clips": {"train": 90, "val": 10}}))
    assert (second.data, second.out, second.json) == (str(run.data), run.run, True)
    assert not any(pair.startswith("held_out") for pair in second.set)


def test_where_no_video_fell_into_the_part_that_chooses_some_are_held_out(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert "held_out=4" in parsed(train_command(run, tmp_path, {"clips": {"train": 47}})).set
    with pytest.raises(KnownError, match="too few"):
        train_command(run, tmp_path, {"clips": {"train": 2}})
    with pytest.raises(KnownError, match="too few"):
        train_command(run, tmp_path, {"clips": {"test": 5}})


def test_figures_are_read_up_to_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    run = OwnRun(tmp_path)
    assert read_figures(run).loss == ()
    run.run.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    run.metrics.write_text(text + '{"phase": "e2e", "st')
    figures = read_figures(run)
    assert figures.loss == ((10, 5.0), (20, 4.0))
    assert figures.branches == {"visual": ((10, 2.0), (20, 1.5)), "audio": ((10, 3.0), (20, 2.5))}
    assert figures.found == ((10, 12.5),)


def test_only_the_report_stays_of_a_finished_run(tmp_path: Path) -> None:
    run = OwnRun(tmp_path / "own")
    for folder in (run.data, run.run):
        folder.mkdir(parents=True)
    tidy(run, keep_report=True)
    assert (run.data.exists(), run.run.exists()) == (False, True)
    tidy(run, keep_report=False)
    assert not run.folder.exists()


def test_without_a_caption_of_a_moment_there_is_nothing_to_learn_from(tmp_path: Path, monkeypatch) -> None:
    with open_library(tmp_path, preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            captions.add_captions(session, [NewCaption("a free one", "own")])
        with pytest.raises(KnownError, match="no caption belongs to a moment") as refused:
            require_captions(library)
        assert "m2hf-app" not in refused.value.hint, "it is read in the window"
        monkeypatch.setattr(pins, "list_pins", lambda session, *, verdict: [verdict])
        require_captions(library)
