"""The commands of a training on the library's own captions, and reading what it writes."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from app.cli.main import build_parser
from app.services.library import open_library
from app.services.own_training import (
    NothingToLearnFrom,
    OwnRun,
    new_run,
    read_figures,
    require_captions,
    sweep,
    tidy,
    train_command,
    write_data_command,
)
from m2hf_core.errors import KnownError
from m2hf_core.store import captions, files, folders, pins
from m2hf_core.store.captions import NewCaption
from m2hf_core.training.runfolder import RunFolder

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
    _finish(run)
    tidy(run, keep_report=True)
    assert not run.data.exists()
    assert sorted(file.name for file in run.run.iterdir()) == ["metrics.jsonl", "report.md"]
    tidy(run, keep_report=False)
    assert not run.folder.exists()


def test_without_a_caption_of_a_moment_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with open_library(tmp_path, preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            captions.add_captions(session, [NewCaption("a free one", "own")])
        with pytest.raises(NothingToLearnFrom) as refused:
            require_captions(library)
        assert not re.search(r"m2hf-app|press|\bF2\b", refused.value.hint), "who shows it knows its keys"
        with library.store.library.writing() as session:
            folder = folders.add_folder(session, "/films")
            video = files.put_path(session, folder, "/films/0.mp4", 1000, 0, "print")
            pins.put_pin(session, "a dog", video, 0.0, 2.0, "wrong")
        with pytest.raises(NothingToLearnFrom):
            require_captions(library)
        with library.store.library.writing() as session:
            pins.put_pin(session, "a dog", video, 0.0, 2.0, "right")
        require_captions(library)
        with library.store.library.writing() as session:
            pins.remove_pin(session, "a dog", video, 0.0, 2.0)
            captions.add_captions(session, [NewCaption("a dog", "own", video, 0.0, 2.0)])
        require_captions(library)


def test_what_killed_trainings_left_goes_with_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished, killed = OwnRun(tmp_path / "training" / "own-1"), OwnRun(tmp_path / "training" / "own-2")
    by_hand = tmp_path / "training" / "mine" / "data"
    by_hand.mkdir(parents=True)
    for run in (finished, killed):
        _finish(run)
    (killed.run / "report.md").unlink()
    with caplog.at_level(logging.INFO):
        sweep(tmp_path)
    (told,) = caplog.messages
    assert f"scorer import {finished.run / 'best.safetensors'} " in told
    assert not killed.folder.exists(), "a run without a report is of no use"
    kept = sorted(file.name for file in finished.folder.rglob("*.*"))
    assert kept == ["best.safetensors", "metrics.jsonl", "report.md"], "nobody may have taken the scorer in"
    assert by_hand.exists(), "what a person has put there is left alone"


def test_a_training_that_outlived_its_window_is_left_alone(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.data.mkdir(parents=True)
    with RunFolder(run.run):
        sweep(tmp_path)
        assert run.data.exists()
    sweep(tmp_path)
    assert not run.folder.exists()


def _finish(run: OwnRun) -> None:
    """The files of a whole run."""
    for folder in (run.data, run.run):
        folder.mkdir(parents=True)
    for name in ("last.pt", "best.safetensors", "run.lock", "metrics.jsonl", "report.md"):
        (run.run / name).touch()
