"""The environment: made, repaired or recognised as ready, so that running the bootstrap again is quick and safe."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from _machine import apt_install, free_gb, is_debian_root, missing_for_compiling
from _pip import OPTIONS, bring_pip, clean, explain, run_pip, venv_remedy
from _voice import Stop, Voice, watch

NEED_GB, ROOMY_GB = 9.5, 14.0  # what the install peaks at, and what it takes together with pip's cache
DOWNLOAD_GB = 3.0
STAMP, LOCK, SCRATCH, LOG = "m2hf-stamp.json", "m2hf-lock", "m2hf-downloads", "m2hf-install.log"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a finished environment holds. Written last, so a killed install has none."""

    project: str
    python: str
    root: str
    folder: str
    extras: tuple[str, ...] = ()
    declined: dict[str, str] = field(default_factory=dict)
    qt: tuple[str, ...] = ()

    def made_like(self, other: Stamp) -> bool:
        """Same requirements, Python, checkout and place."""
        return (self.project, self.python, self.root, self.folder) == (
            other.project, other.python, other.root, other.folder,
        )  # fmt: skip

    def serves(self, wanted: Stamp) -> bool:
        """Whether nothing must be installed: made alike, and every wanted extra is settled."""
        return self.made_like(wanted) and all(self.knows(extra) for extra in wanted.extras)

    def knows(self, extra: str) -> bool:
        """Whether it is in, or was tried in vain."""
        return extra in self.extras or extra in self.declined


def read_stamp(folder: Path) -> Stamp | None:
    """None when there is none or it cannot be understood: then the environment is looked at anew."""
    try:
        found = json.loads((folder / STAMP).read_text("utf-8"))
        return Stamp(**{**found, "extras": tuple(found["extras"]), "qt": tuple(found["qt"])})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write_stamp(folder: Path, stamp: Stamp) -> None:
    aside = folder / (STAMP + ".new")
    aside.write_text(json.dumps(asdict(stamp), indent=1), "utf-8")
    aside.replace(folder / STAMP)


def environment_folder(root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """`M2HF_VENV`, else .venv in the checkout."""
    chosen = environ.get("M2HF_VENV")
    return Path(chosen).expanduser().absolute() if chosen else root / ".venv"


def python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def script_in(folder: Path, name: str) -> Path:
    return folder / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


def running_version(python: Path) -> str:
    """Its major.minor; empty when it does not run, as in a half-made environment or after its Python was removed."""
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-I", "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def has_pip(python: Path) -> bool:
    return (
        subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True, check=False).returncode
        == 0
    )


def read_project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def project_digest(pyproject: Mapping[str, Any]) -> str:
    """Of what decides an install; the settings of linters and tests may change without one."""
    parts = {"build": pyproject["build-system"], "project": pyproject["project"]}
    parts["packages"] = pyproject.get("tool", {}).get("hatch", {})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_ours_to_fill(folder: Path) -> bool:
    """Not there, empty, or an environment (whole or half made): never a folder with other things in it."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return not names or bool(names & {"pyvenv.cfg", LOCK, STAMP})


@contextlib.contextmanager
def locked(folder: Path, voice: Voice) -> Iterator[tuple[int, ...]]:
    """One bootstrap at a time works on an environment; the others wait. The system frees the lock of a killed one.

    Yields the lock for child processes to inherit (empty on Windows, whose locks are not inherited).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        if not _try_lock(lock.fileno()):
            voice.step(f"Another bootstrap is at work on {folder}; waiting for it (Ctrl-C to stop)")
            _wait_for_lock(lock.fileno())
        yield (lock.fileno(),) if os.name != "nt" else ()


if os.name == "nt":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def _wait_for_lock(descriptor: int) -> None:
        while not _try_lock(descriptor):
            time.sleep(0.5)
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_for_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def ready(root: Path, folder: Path, extras: Sequence[str], voice: Voice) -> Stamp:
    """An environment with the project and, where they can be had, the extras. Returns what it holds."""
    if not is_ours_to_fill(folder):
        raise Stop(
            f"{folder} holds other things and is no Python environment.",
            "Choose an empty or new folder with M2HF_VENV=/path, then run this again.",
        )
    with locked(folder, voice) as lock:
        pyproject, python, stamp = read_project(root), python_in(folder), read_stamp(folder)
        lack = "" if stamp is not None and stamp.knows("ann") else missing_for_compiling(python)
        can_be = tuple(extra for extra in extras if extra != "ann" or not lack)
        wanted = Stamp(project_digest(pyproject), running_version(python), str(root), str(folder), can_be)
        if wanted.python and stamp is not None and stamp.serves(wanted):
            return stamp
        moved = stamp is not None and stamp.folder != str(folder)
        if not wanted.python or moved or not has_pip(python):
            check_disk(folder)
            make(folder, voice, lock)
            stamp, wanted = None, replace(wanted, python=running_version(python))
        if lack and "ann" in extras:
            voice.step(f"{lack}, so hnswlib is not compiled: only a benchmark uses it")
        if stamp is not None and not stamp.made_like(wanted):
            stamp = None
        return install(
            root, folder, wanted, stamp, pyproject["project"]["optional-dependencies"], voice, lock
        )


def check_disk(folder: Path) -> None:
    free = free_gb(folder)
    if free < NEED_GB:
        raise Stop(
            f"The install needs {NEED_GB:.0f} GB on the disk of {folder}; {free:.1f} GB are free.",
            "Make room, or choose another place with M2HF_VENV=/path, then run this again.",
        )


def remove(path: Path) -> None:
    """Delete a file or a tree, with patience: a program whose bootstrap was killed may still write for a moment."""
    if not path.is_dir() or path.is_symlink():
        path.unlink()
        return
    deadline = time.monotonic() + 20
    while path.exists():
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def make(folder: Path, voice: Voice, lock: Sequence[int] = ()) -> None:
    """A fresh environment with pip in it; whatever half-made one was there is emptied first."""
    left = [path for path in folder.iterdir() if path.name != LOCK]
    if left:
        voice.step(f"The environment in {folder} is unfinished or broken; making it anew")
    for path in left:
        remove(path)
    voice.step(f"Making a Python environment in {folder}")
    if importlib.util.find_spec("ensurepip") is None and is_debian_root():
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        voice.step(f"Python's environment maker is missing; installing {package}")
        try:
            apt_install([package], voice)
        except Stop as stop:  # there is another way
            voice.step(stop.sentence)
        importlib.invalidate_caches()
    with_pip = importlib.util.find_spec("ensurepip") is not None
    making = [sys.executable, "-m", "venv", *(() if with_pip else ("--without-pip",)), str(folder)]
    made = watch(making, voice, lambda _: "this takes some seconds", clean(os.environ), keep_open=lock)
    if made.code != 0:
        raise Stop(f"Python could not make an environment in {folder}.", venv_remedy(),
                   made.last_words(6))  # fmt: skip
    if not with_pip:
        bring_pip(python_in(folder), folder / SCRATCH, voice)


def install(
    root: Path,
    folder: Path,
    wanted: Stamp,
    stamp: Stamp | None,
    optional: Mapping[str, Sequence[str]],
    voice: Voice,
    lock: Sequence[int] = (),
) -> Stamp:
    """Bring what `wanted` has and `stamp` lacks; an extra other than `dev` may be declined."""
    (folder / STAMP).unlink(missing_ok=True)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    for name in remove_broken(folder):
        voice.step(f"{name} was left half installed; it is installed again")
    options = ["install", *OPTIONS, *(() if free_gb(folder) >= ROOMY_GB else ("--no-cache-dir",))]
    done = stamp or replace(wanted, extras=())
    with (folder / LOG).open("w", encoding="utf-8") as log:
        if stamp is None:
            voice.step(
                f"Installing the project's libraries (about {DOWNLOAD_GB:.0f} GB to fetch, most of it torch)"
            )
            outcome = run_pip(
                python_in(folder), [*options, "--editable", str(root)], folder / SCRATCH, voice, log
            )
            if outcome.code != 0:
                raise explain(outcome, "the project's libraries", folder / LOG)
        for extra in [extra for extra in wanted.extras if not done.knows(extra)]:
            names = ", ".join(re.split(r"[^\w.-]", one)[0] for one in optional[extra])
            voice.step(f"Installing {names}")
            outcome = run_pip(
                python_in(folder), [*options, *optional[extra]], folder / SCRATCH, voice, log, lock
            )
            if outcome.code == 0:
                done = replace(done, extras=(*done.extras, extra))
                continue
            stop = explain(outcome, names, folder / LOG)
            if stop.passing or extra not in WITHOUT:
                write_stamp(folder, done)  # what was there before still works
                raise stop
            voice.failure(stop)
            voice.step(WITHOUT[extra])
            done = replace(done, declined={**done.declined, extra: f"{stop.sentence} {WITHOUT[extra]}"})
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    write_stamp(folder, done)
    return done


WITHOUT = {
    "ann": "Searches do not need it: `bench search --compare` measures without the approximate index.",
    "gui": "The command line works, the window does not.",
}


def remove_broken(folder: Path) -> list[str]:
    """Forget distributions whose files a killed pip left incomplete, so that pip installs them again.

    pip writes INSTALLER after all files, but METADATA, by which it knows a distribution, before. (A broken
    pip itself does not run, and then the whole environment is made anew.)
    """
    removed = []
    for site in [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]:
        for left in site.glob("~*"):  # what pip had set aside while replacing it
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for info in site.glob("*.dist-info"):
            if not info.name.startswith("pip-") and not is_whole(info):
                shutil.rmtree(info)
                removed.append(info.name.removesuffix(".dist-info"))
    return removed


def is_whole(info: Path) -> bool:
    """Whether every file that a *.dist-info lists is there in its size."""
    if not (info / "INSTALLER").is_file() or not (info / "RECORD").is_file():
        return False
    with (info / "RECORD").open(newline="", encoding="utf-8") as record:
        for name, _, size in csv.reader(record):
            if not size:  # byte code and RECORD itself
                continue
            try:
                if (info.parent / name).stat().st_size != int(size):
                    return False
            except OSError:
                return False
    return True
