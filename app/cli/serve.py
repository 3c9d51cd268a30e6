"""`serve`: the local API, for editors' plug-ins and scripts on this machine."""

from __future__ import annotations

import argparse
import sys

from app.cli.common import Subparsers, add_command, print_json, say, write

PORT = 8756


def add(subparsers: Subparsers) -> None:
    command = add_command(
        subparsers, "serve", "answer programs on this machine over HTTP", "m2hf-app serve --port 8756"
    )
    command.add_argument("--host", default="127.0.0.1", help="a loopback address; others are refused")
    command.add_argument("--port", type=port, default=PORT, help=f"0 takes a free one (default: {PORT})")
    command.add_argument("--new-token", action="store_true", help="forget the old token and make another one")
    command.add_argument("--preset", help="search what this preset has extracted")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.services.library import open_library
    from app.services.serve import serve, start_information

    with open_library(args.data_dir, preset=args.preset) as library:
        for notice in library.notices:
            say(notice)

        def ready(url: str, token: str | None, file: str) -> None:
            if args.json:
                print_json(start_information(url, file))
            else:
                write(f"Listening on {url}  (description: {url}/openapi.json). Ctrl-C ends it.")
                write(f"Token, shown this once: {token}" if token else f"The token lies in {file}")
            sys.stdout.flush()  # whoever reads this through a pipe waits for it

        serve(library, args.host, args.port, new_token=args.new_token, ready=ready)
    return 0


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)
