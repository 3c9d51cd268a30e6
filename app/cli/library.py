"""`library`: the watched folders; `forget`: purge a video or folder for good."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, shown_progress, write


def add(subparsers: Subparsers) -> None:
    library = add_command(
        subparsers, "library", "add, remove or list watched folders", "m2hf-app library list", group=True
    )
    actions = library.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary, function in (
        ("add", "watch these folders", run_add),
        ("remove", "stop watching these folders; what was extracted stays until forgotten", run_remove),
    ):
        command = add_command(actions, name, summary, f"m2hf-app library {name} ~/Videos")
        command.add_argument("folders", nargs="+", type=named_path, metavar="FOLDER")
        command.set_defaults(run=function)
    listing = add_command(actions, "list", "list the watched folders", "m2hf-app library list")
    listing.set_defaults(run=run_list)
    exporting = add_command(
        actions,
        "export-training",
        "write captions and pins with their features, to train a scorer elsewhere",
        "m2hf-app library export-training ~/for-training",
    )
    exporting.add_argument("out", type=named_path, metavar="DIR")
    exporting.add_argument("--preset", help="use what this preset has extracted (default: the setting)")
    exporting.set_defaults(run=run_export_training)
    forgetting = add_command(
        subparsers, "forget", "purge a video or folder for good", "m2hf-app forget ~/Videos/old.mp4"
    )
    forgetting.add_argument("target", type=named_path, metavar="VIDEO or FOLDER")
    forgetting.set_defaults(run=run_forget)


def run_add(args: argparse.Namespace) -> int:
    from app.services.folders import add_folders
    from app.services.library import open_library

    with open_library(args.data_dir, mode="create") as library:
        return _show(add_folders(library, args.folders), as_json=args.json)


def run_remove(args: argparse.Namespace) -> int:
    from app.services.folders import remove_folders
    from app.services.library import open_library

    with open_library(args.data_dir, mode="write") as library:
        return _show(remove_folders(library, args.folders), as_json=args.json)


def run_list(args: argparse.Namespace) -> int:
    from app.services.folders import list_folders
    from app.services.library import open_library

    with open_library(args.data_dir) as library:
        return _show(list_folders(library), as_json=args.json)


def run_export_training(args: argparse.Namespace) -> int:
    from app.services.export_training import export_training
    from app.services.library import open_library

    with open_library(args.data_dir, preset=args.preset) as library, shown_progress() as progress:
        done = export_training(library, args.out, progress)
    if args.json:
        print_json(done.document())
        return 0
    for line in done.lines():
        write(line)
    return 0


def run_forget(args: argparse.Namespace) -> int:
    from app.services.folders import forget_target
    from app.services.library import open_library

    with open_library(args.data_dir, mode="write") as library:
        forgotten = forget_target(library, args.target)
    if args.json:
        print_json({"videos": forgotten})
        return 0
    write(
        f"{forgotten} {'video' if forgotten == 1 else 'videos'} forgotten: rows, features and pictures. "
        "The files themselves are untouched, and not taken in again."
    )
    return 0


def _show(folders: list[dict[str, object]], *, as_json: bool) -> int:
    if as_json:
        print_json(folders)
        return 0
    for folder in folders:
        write(f"{folder['state']:<8} {folder['videos']:>6} videos   {folder['path']}")
    if not folders:
        write("No folder is watched. Add one: m2hf-app library add FOLDER")
    return 0
