"""`export`: what a search found, for spreadsheets, editing programs, or as cut clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.cli.common import Subparsers, add_command, named_path, print_json, say, shown_progress, write
from m2hf_core.config.paths import expanded
from m2hf_core.errors import KnownError, UsageError

FORMATS = ("csv", "jsonl", "otio", "edl", "fcpxml", "clips")


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers,
        "export",
        "take what a search found to other programs",
        'm2hf-app search "a dog runs" --json | m2hf-app export - --format edl --output dog.edl',
    )
    command.add_argument(
        "file", metavar="FILE", help="what `search --json` printed; - reads it from standard input"
    )
    command.add_argument(
        "--format", choices=FORMATS, required=True, help="csv and jsonl are tables, clips cuts files"
    )
    command.add_argument(
        "--output",
        type=named_path,
        metavar="PATH",
        help="file to write (default: standard output), or folder for clips",
    )
    command.add_argument(
        "--exact",
        action="store_true",
        help="clips: begin at the exact frame by encoding anew; without it they begin at the keyframe before",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.export import export, read_results, write_texts

    results = read_results(_text_of(args.file))
    if args.exact and args.format != "clips":
        raise UsageError("--exact is for clips.", "Lists name exact frames anyway.")
    with shown_progress() as progress:
        written = export(results, args.format, folder=args.output, exact=args.exact, progress=progress)
    if args.output is None and len(written.texts) > 1 and not args.json:
        rates = ", ".join(written.texts)
        raise KnownError(
            f"These moments have {len(written.texts)} frame rates ({rates}).", "Add: --output FILE"
        )
    files = [cut.path for cut in written.cuts]
    if args.output is not None and written.texts:
        files = write_texts(written.texts, args.output)
    if args.json:
        print_json(
            {
                "format": args.format,
                "hits": len(results.moments),
                "files": [str(path) for path in files],
                "text": dict(written.texts) if args.output is None else {},
                "clips": [
                    {
                        "path": str(c.path),
                        "start_s": round(c.start_s, 6),
                        "end_s": round(c.end_s, 6),
                        "exact": c.exact,
                    }
                    for c in written.cuts
                ],
                "notes": list(written.notes),
            }
        )
        return 0
    for note in written.notes:
        say(f"m2hf-app: {note}")
    for cut in written.cuts:
        write(f"{cut.path}   {cut.start_s:.2f} to {cut.end_s:.2f} s")
    if args.output is None:
        for text in written.texts.values():
            write(text.removesuffix("\n"))
    elif written.texts:
        for path in files:
            write(str(path))
    return 0


def _text_of(file: str) -> str:
    from app.services.export import LARGEST_BYTES

    try:
        content = sys.stdin.buffer.read(LARGEST_BYTES) if file == "-" else _read(Path(file), LARGEST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is no file name"
        raise KnownError(f"{file} cannot be read: {reason}.", "Check the spelling.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KnownError(
            f"{file} is no text.", "Give it what `m2hf-app search QUERY --json` printed."
        ) from error


def _read(path: Path, limit: int) -> bytes:
    with expanded(path).open("rb") as file:
        return file.read(limit)
