"""The two commands of a fresh clone: `run` shows the program at work, `test` runs every check and test.

This file stays readable for an old python3, whose first duty is to find one that is new enough.
"""

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
HERE = os.path.dirname(os.path.abspath(__file__))


def supported(version):
    """Whether the project's dependencies have wheels for this (major, minor)."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def version_of(command):
    """(major, minor) of a python command; None if it is missing or, as a version manager's shim, does not run."""
    program = shutil.which(command)
    if program is None:
        return None
    question = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run(
        [program, "-c", question], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    words = answer.stdout.split()
    return tuple(int(word) for word in words) if answer.returncode == 0 and len(words) == 2 else None


def find_python(names=("python3.11", "python3.12", "python3.13")):
    """The first of `names` that runs and is what it says, or None. 3.11 first: it is what we test with."""
    for name in names:
        version = version_of(name)
        if version is not None and supported(version):
            return shutil.which(name)
    return None


def main(argv):
    """Exit code of the command: 0 done, 1 failed with a sentence, 2 wrong usage, 130 interrupted."""
    if not supported(sys.version_info):
        other = find_python()
        if other is None:
            own = ".".join(map(str, sys.version_info[:2]))
            print(
                f"This is Python {own}; M2HF-app needs 3.11, 3.12 or 3.13, and none of them is on the PATH."
            )
            print("Install one (Debian, Ubuntu: sudo apt-get install python3.11-venv), then run this again.")
            return 1
        try:
            return subprocess.call([other, os.path.abspath(__file__), *argv])
        except KeyboardInterrupt:
            return 130  # the one we started has said so
    sys.path.insert(0, HERE)
    try:
        import _commands
    except ImportError as missing:
        print(f"This python3 comes without a part of its standard library ({missing}).")
        print(
            "Install all of it (Debian, Ubuntu: sudo apt-get install python3 python3-venv), then run this again."
        )
        return 1
    return _commands.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
