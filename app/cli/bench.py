"""`bench`: figures of this machine, as JSON."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json


def add(subparsers: Subparsers) -> None:
    bench = add_command(
        subparsers, "bench", "measure this machine", "m2hf-app bench train --what forward", group=True
    )
    actions = bench.add_subparsers(dest="action", metavar="ACTION", required=True)
    training = add_command(actions, "train", "the scorer's own speed", "m2hf-app bench train --what forward")
    training.add_argument(
        "--what", choices=("forward",), default="forward", help="forward: scores per second"
    )
    training.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    from m2hf_core.model.bench import forward

    print_json(forward())
    return 0
