"""`settings`: what the window's dialog offers, on the command line."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, print_json, write


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "settings",
        "read or change settings",
        "m2hf-app settings set preset fast",
        group=True,
    )
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    getting = add_command(actions, "get", "print one setting", "m2hf-app settings get preset")
    getting.add_argument("name", metavar="NAME")
    getting.set_defaults(run=run_get)
    setting = add_command(actions, "set", "change one setting", "m2hf-app settings set preset fast")
    setting.add_argument("name", metavar="NAME")
    setting.add_argument("value", metavar="VALUE")
    setting.set_defaults(run=run_set)
    listing = add_command(actions, "list", "list all settings", "m2hf-app settings list")
    listing.set_defaults(run=run_list)


def run_get(args: argparse.Namespace) -> int:
    from m2hf_core.config.paths import open_paths
    from m2hf_core.config.settings import Settings

    value = Settings.load(open_paths(args.data_dir)).get(args.name)
    if args.json:
        print_json({"id": args.name, "value": value})
    else:
        write(str(value))
    return 0


def run_set(args: argparse.Namespace) -> int:
    from app.services.choosing import choose
    from m2hf_core.config.paths import open_paths

    value = choose(open_paths(args.data_dir), args.name, args.value)
    if args.json:
        print_json({"id": args.name, "value": value})
    else:
        write(f"{args.name} = {value}")
    return 0


def run_list(args: argparse.Namespace) -> int:
    from app.cli.render import table
    from m2hf_core.config.paths import open_paths
    from m2hf_core.config.settings import Settings

    rows = Settings.load(open_paths(args.data_dir)).describe()
    if args.json:
        print_json(rows)
        return 0
    for line in table(
        [(r["id"], r["value"], r["default"], r["help"]) for r in rows], ("name", "value", "default", "")
    ):
        write(line)
    return 0
