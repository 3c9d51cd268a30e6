"""`eval`: how good a scorer is on a prepared data set, and `eval ablation`, the paper's tables on it."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, say, shown_progress, write
from app.cli.search import count
from m2hf_core.errors import UsageError

_EXAMPLE = "m2hf-app eval --data ~/prepared/msrvtt --scorer runs/first --against zero-shot"


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "eval",
        "evaluate a scorer, a baseline or the untrained backbone on prepared data",
        _EXAMPLE,
    )
    command.add_argument("--data", type=named_path, metavar="DIR", help="a folder made by `train prepare`")
    command.add_argument(
        "--scorer",
        default="zero-shot",
        metavar="S",
        help="zero-shot (default), mean-pooled, a scorer file, a run's folder, or an id of `scorer list`",
    )
    command.add_argument("--against", metavar="S", help="compare with this one on the same queries")
    command.add_argument("--split", default="test", help="train, val or test (default)")
    command.add_argument(
        "--frames", type=count, default=12, metavar="F", help="frames per clip (default: 12)"
    )
    command.add_argument(
        "--v2t",
        choices=("group", "caption"),
        default="group",
        help="video to text: a video's captions as a group (default), or each apart",
    )
    command.add_argument(
        "--post", choices=("dsl",), help="also with dual softmax over all queries, in its own column"
    )
    command.add_argument(
        "--subsets", action="store_true", help="every choice of branches under every fusion, with intervals"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: auto)")
    command.set_defaults(run=run)
    _add_ablation(command.add_subparsers(dest="action", metavar="[ablation]", required=False))


def _add_ablation(actions: Subparsers) -> None:
    command = add_command(
        actions,
        "ablation",
        "train and evaluate the variants of tables 6 and 11 to 15 of the paper on one data set",
        "m2hf-app eval ablation --data ~/prepared/msrvtt --out runs/ablation",
    )
    command.add_argument(
        "--data", type=named_path, required=True, metavar="DIR", help="made by `train prepare`"
    )
    command.add_argument(
        "--out",
        type=named_path,
        required=True,
        metavar="DIR",
        help="the runs; what is finished there is kept",
    )
    command.add_argument(
        "--tables", default="6,11,12,13,14,15", metavar="N,...", help="which tables (default: all six)"
    )
    command.add_argument("--split", default="test", help="the split that is evaluated (default: test)")
    command.add_argument("--recipe", metavar="NAME", help="settings to begin with (default: by data set)")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of every run"
    )
    command.set_defaults(run=run_ablation)


def run(args: argparse.Namespace) -> int:
    from app.services.evaluation import Question, evaluate
    from m2hf_core.training.evaluate_table import lines

    if args.data is None:
        raise UsageError("Evaluating needs --data.", f"For example: {_EXAMPLE}")
    question = Question(
        args.data,
        args.scorer,
        args.against,
        args.split,
        args.frames,
        args.v2t,
        args.post,
        args.subsets,
        args.device,
    )
    with shown_progress() as progress:
        document = evaluate(question, args.data_dir, progress)
    if args.json:
        print_json(document)
        return 0
    for line in lines(document):
        write(line)
    return 0


def run_ablation(args: argparse.Namespace) -> int:
    from app.services.evaluation import run_ablation_of

    with shown_progress() as progress:
        document, lines = run_ablation_of(
            args.data, args.out, args.tables, args.split, args.recipe, args.set, progress
        )
    if args.json:
        print_json(document)
        return 0
    for line in lines:
        write(line)
    say(f"The tables are in {args.out / 'ablation.md'}")
    return 0
