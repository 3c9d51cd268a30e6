"""`train`: teach a scorer on prepared data; works on a machine without window, database and decoder."""

from __future__ import annotations

import argparse
import os
from typing import Any

from app.cli.common import Subparsers, add_command, named_path, print_json, say, shown_progress, write
from app.cli.train_prepare import add_prepare
from m2hf_core.errors import UsageError

_EXAMPLE = "m2hf-app train --data synthetic --out runs/first"


def add(subparsers: Subparsers) -> None:
    train = add_command(
        subparsers,
        "train",
        "train a scorer on prepared data, or go on where a run in the same folder was stopped",
        _EXAMPLE,
    )
    train.add_argument("--data", metavar="DIR", help="a folder made by `train prepare`, or `synthetic`")
    train.add_argument("--out", type=named_path, metavar="DIR", help="the run's folder, made if missing")
    train.add_argument(
        "--strategy",
        choices=("e2e", "ensemble"),
        help="one model with the balance loss (e2e), or one per branch",
    )
    train.add_argument(
        "--tune",
        choices=("heads", "text", "all"),
        help="what learns besides the heads: nothing, the text tower, all of CLIP",
    )
    train.add_argument(
        "--preset", metavar="NAME", help="the networks behind the data (default: those it was prepared with)"
    )
    train.add_argument(
        "--recipe", metavar="NAME", help="settings to begin with (default: by data set and network)"
    )
    train.add_argument("--device", metavar="D", help="auto, cpu, mps, cuda or cuda:1")
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting; may be repeated"
    )
    train.add_argument(
        "--list-settings", action="store_true", help="print every setting with its default and range"
    )
    train.set_defaults(run=run)
    add_prepare(train.add_subparsers(dest="action", metavar="[prepare]", required=False))


def run(args: argparse.Namespace) -> int:
    if args.list_settings:
        return _list_settings(args.json)
    if args.data is None or args.out is None:
        raise UsageError("Training needs --data and --out.", f"For example: {_EXAMPLE}")
    from app.services.training import run_training
    from m2hf_core.config.paths import open_paths

    changes = _changes(args)
    cache = open_paths(args.data_dir).data / "training"
    with shown_progress() as progress:
        outcome = run_training(args.data, args.out, cache, args.preset, args.recipe, changes, progress)
    if os.environ.get("RANK", "0") != "0":
        return 0  # of the processes that torchrun started, the first one answers
    document = {
        "scorer": str(outcome.scorer.absolute()),
        "report": str(outcome.report.absolute()),
        "steps": outcome.steps,
        "best_epoch": outcome.best_epoch + 1,
        "held_out_r1": outcome.r1,
    }
    if args.json:
        print_json(document)
    else:
        write(
            f"Trained {outcome.steps} steps; epoch {outcome.best_epoch + 1} was best (R@1 {outcome.r1:.1f})."
        )
        write(f"Scorer: {outcome.scorer}")
        write(f"Report: {outcome.report}")
        say(f"Bring it into a library with: m2hf-app scorer import {outcome.scorer}")
    return 0


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for pair in args.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, not {pair!r}.", "For example: --set epochs=10")
        changes[name.strip()] = value.strip()
    for name in ("strategy", "tune", "device"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    return changes


def _list_settings(as_json: bool) -> int:
    from m2hf_core.training.settings import describe

    rows = describe()
    if as_json:
        print_json(rows)
        return 0
    for row in rows:
        reach = ", ".join(choice or "(empty)" for choice in row["choices"] or ())
        if row["low"] is not None:
            reach = f"{row['low']:g} to {row['high']:g}"
        write(f"{row['id']}={row['default']}  {f'[{reach}]  ' if reach else ''}{row['help']}")
    return 0
