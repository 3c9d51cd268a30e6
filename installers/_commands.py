"""`run` and `test`, from the arguments to the exit code."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from _checks import run_all
from _environment import Stamp, environment_folder, ready, script_in, write_stamp
from _machine import has_display, prepare_qt
from _pip import clean
from _voice import Stop, Voice

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The bootstrap's own command line."""
    top = argparse.ArgumentParser(
        prog="bootstrap.py",
        description="Makes the environment of M2HF-app (once) and shows or tests the program.",
        epilog="Example: python3 installers/bootstrap.py run",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run", help="make the environment, then render, index and search a demo library"
    )
    run.add_argument("--data-dir", type=Path, metavar="D", help="keep the program's data in this folder")
    test = commands.add_parser("test", help="make the environment, then run every check and test")
    test.add_argument("--all", action="store_true", help="also the slow, release and long fault tests")
    return top


def main(argv: Sequence[str]) -> int:
    """One command; what fails in the world is told in a sentence."""
    options = parser().parse_args(argv)
    voice = Voice()
    for name in ("SIGTERM", "SIGHUP"):  # told to stop, or the terminal was closed: as Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    try:
        if options.command == "run":
            return run(options.data_dir, voice)
        return test(options.all, voice)
    except Stop as stop:
        voice.failure(stop)
        return 1
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "The disk is full" if full else f"{error.filename} may not be written"
        voice.failure(Stop(f"{what}.", "Choose another place with M2HF_VENV=/path, then run this again."))
        return 1
    except KeyboardInterrupt:
        voice.plain("Stopped. What was finished stays; the same command goes on from there.")
        return INTERRUPTED


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run(data_dir: Path | None, voice: Voice) -> int:
    folder, stamp = environment(["gui", "ann"], voice)
    display = has_display()
    window = with_qt(folder, stamp, display, voice)
    command = [str(script_in(folder, "m2hf-app")), "demo"]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir.expanduser().absolute())]
    if not (display and window):
        command.append("--headless")
        voice.step(
            "The demo, printed only: " + ("the window cannot open" if display else "there is no display")
        )
    else:
        voice.step("The demo")
    return subprocess.run(command, env=clean(os.environ), check=False).returncode


def test(everything: bool, voice: Voice) -> int:
    folder, stamp = environment(["dev", "gui", "ann"], voice)
    with_qt(folder, stamp, has_display(), voice)
    return run_all(ROOT, folder, voice, everything)


def environment(extras: Sequence[str], voice: Voice) -> tuple[Path, Stamp]:
    """The environment's folder and what it holds, ready to use."""
    folder = environment_folder(ROOT)
    stamp = ready(ROOT, folder, extras, voice)
    for sentence in stamp.declined.values():
        voice.step(f"{sentence} (To try again, delete {folder}.)")
    voice.step(f"The environment in {folder} is ready ({', '.join(stamp.extras)})")
    return folder, stamp


def with_qt(folder: Path, stamp: Stamp, display: bool, voice: Voice) -> bool:
    """Whether Qt starts; looked at once per environment and kind of display."""
    if "gui" not in stamp.extras:
        return False
    kind = ("wayland" if os.environ.get("WAYLAND_DISPLAY") else "x11") if display else "offscreen"
    if kind in stamp.qt:
        return True
    python = script_in(folder, "python")
    if not prepare_qt(python, voice, display):
        return False
    write_stamp(folder, replace(stamp, qt=(*stamp.qt, kind)))
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
