"""`models`: which weights there are, which are on this machine, and whether they are what they claim."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, shown_progress, write


def add(subparsers: Subparsers) -> None:
    models = add_command(
        subparsers,
        "models",
        "list, prepare, import or verify weights",
        "m2hf-app models list",
        group=True,
    )
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_command(actions, "list", "list presets and their files", "m2hf-app models list").set_defaults(
        run=run_list
    )
    preparing = add_command(
        actions,
        "prepare",
        "download a preset's weights (the only command that uses the network)",
        "m2hf-app models prepare fast",
    )
    preparing.add_argument("preset", metavar="PRESET")
    preparing.set_defaults(run=run_prepare)
    importing = add_command(
        actions, "import", "take weights that were carried here by hand", "m2hf-app models import ~/weights"
    )
    importing.add_argument("folder", type=named_path, metavar="FOLDER")
    importing.set_defaults(run=run_import)
    verifying = add_command(actions, "verify", "check the digests of what is here", "m2hf-app models verify")
    verifying.add_argument(
        "preset", nargs="?", metavar="PRESET", help="only this preset (default: all that is here)"
    )
    verifying.set_defaults(run=run_verify)


def run_list(args: argparse.Namespace) -> int:
    from app.cli.render import table
    from app.services.models import list_presets

    presets = list_presets()
    if args.json:
        print_json(presets)
        return 0
    rows = [(p["id"], p["state"], p["size"], p["licence"], p["title"]) for p in presets]
    for line in table(rows, ("preset", "state", "size", "licence", "")):
        write(line)
    return 0


def run_prepare(args: argparse.Namespace) -> int:
    from app.services.models import describe_preparation, prepare_preset

    if not args.json:
        for line in describe_preparation(args.preset):
            write(line)
    with shown_progress() as progress:
        files = prepare_preset(args.preset, progress)
    if args.json:
        print_json(files)
        return 0
    write(f"{len(files)} files are ready. Run `m2hf-app index` to use them.")
    return 0


def run_import(args: argparse.Namespace) -> int:
    from app.services.models import import_weights

    with shown_progress() as progress:
        files = import_weights(args.folder, progress)
    if args.json:
        print_json(files)
        return 0
    for file in files:
        write(f"{file['id']}   {file['state']}   {file['sentence']}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    from app.services.models import verify_weights

    with shown_progress() as progress:
        findings = verify_weights(args.preset, progress)
    if args.json:
        print_json(findings)
    else:
        for finding in findings:
            write(f"{finding['state']:<14} {finding['id']:<22} {finding['sentence']}")
    return 1 if any(finding["state"] == "wrong" for finding in findings) else 0
