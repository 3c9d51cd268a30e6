"""`scorer`: trained scorers of the library, and which one answers."""

from __future__ import annotations

import argparse

from app.cli.common import Subparsers, add_command, named_path, print_json, say, shown_progress, write


def add(subparsers: Subparsers) -> None:
    group = add_command(
        subparsers,
        "scorer",
        "trained scorers: which there are, which one answers",
        "m2hf-app scorer list",
        group=True,
    )
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_command(actions, "list", "list the scorers of the preset", "m2hf-app scorer list")
    listing.set_defaults(run=run_list)
    using = add_command(
        actions,
        "use",
        "test a scorer on this library and let it answer if it is not worse",
        "m2hf-app scorer use 3f2a9c1b",
    )
    using.add_argument("id", metavar="ID", help="as `scorer list` shows it; a beginning will do")
    using.add_argument("--force", action="store_true", help="use it although the test says that it is worse")
    using.set_defaults(run=run_use)
    back = add_command(
        actions, "rollback", "let the scorer before this one answer again", "m2hf-app scorer rollback"
    )
    back.set_defaults(run=run_rollback)
    out = add_command(
        actions, "export", "copy a scorer into a file", "m2hf-app scorer export 3f2a9c1b mine.safetensors"
    )
    out.add_argument("id", metavar="ID")
    out.add_argument("file", type=named_path, metavar="FILE")
    out.set_defaults(run=run_export)
    into = add_command(
        actions, "import", "take a trained scorer into the library", "m2hf-app scorer import mine.safetensors"
    )
    into.add_argument("file", type=named_path, metavar="FILE")
    into.set_defaults(run=run_import)
    for command in (listing, using, back, out, into):
        command.add_argument("--preset", help="the preset whose scorers are meant (default: the setting)")


def run_list(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.scorers import list_scorers

    with open_library(args.data_dir, preset=args.preset) as library:
        found = list_scorers(library)
    if args.json:
        print_json(found)
        return 0
    for one in found:
        test = one["test"]
        figures = (
            f"R@1 {test['before']['R@1']:.1f} -> {test['after']['R@1']:.1f}"
            if test and test["queries"]
            else ""
        )
        write(
            f"{'answers' if one['active'] else '':<8} {one['id']:<18} {one['state']:<40} {figures}".rstrip()
        )
    return 0


def run_use(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.scorers import use_scorer

    with (
        open_library(args.data_dir, preset=args.preset, mode="write") as library,
        shown_progress() as progress,
    ):
        used = use_scorer(library, args.id, force=args.force, progress=progress)
    if args.json:
        print_json(used.document())
        return 0
    write(f"The scorer {used.scorer_id} answers now: {used.test.sentence()}")
    if used.forced:
        say("It is worse than the one before, and was chosen because of --force.")
    return 0


def run_rollback(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.scorers import roll_back

    with open_library(args.data_dir, preset=args.preset, mode="write") as library:
        scorer_id = roll_back(library)
    if args.json:
        print_json({"id": scorer_id})
        return 0
    write(f"The scorer {scorer_id} answers again.")
    return 0


def run_export(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.scorers import export_scorer

    with open_library(args.data_dir, preset=args.preset) as library:
        target = export_scorer(library, args.id, args.file)
    if args.json:
        print_json({"file": str(target)})
        return 0
    write(f"Written: {target}")
    return 0


def run_import(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.scorers import import_scorer

    with open_library(args.data_dir, preset=args.preset, mode="create") as library:
        found = import_scorer(library, args.file)
    if args.json:
        print_json(found)
        return 0
    write(
        f"Scorer {found['id']} ({found['state']}) is here. Let it answer with: m2hf-app scorer use {found['id']}"
    )
    return 0
