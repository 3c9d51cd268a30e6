"""Getting pip into an environment that lacks it, running it with a live line, and explaining its failures."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import IO

from _voice import Outcome, Stop, Voice, watch

PYPI = "https://pypi.org/simple"
OPTIONS = ("--no-input", "--disable-pip-version-check", "--prefer-binary", "--progress-bar", "off")
ANNOUNCED = re.compile(
    r"^\s*(?:Downloading|Using cached) \S*?([^/\s]+\.(?:whl|tar\.gz|zip))(?: \(([\d.]+) ([kMG]?B)\))?"
)
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
NO_NETWORK = (
    "NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyError",
    "name resolution", "Connection refused", "Network is unreachable", "Read timed out", "Connection aborted",
    "Connection broken", "SSLError", "IncompleteRead", "Temporary failure",
)  # fmt: skip


class PipLine:
    """Turns what pip says into one short sentence, with the bytes that lie in its temporary folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._collected = 0
        self._announced_mb = 0.0
        self._here_mb = 0.0
        self._now = "asking the package index"

    def __call__(self, line: str | None) -> str:
        if line is None:  # pip is quiet: it fetches or unpacks
            self._here_mb = bytes_in(self._folder) / 1e6
        else:
            self._read(line)
        here = f", {self._here_mb:,.0f} MB fetched" if self._here_mb >= 1 else ""
        return f"{self._now}; {self._collected} packages, {self._announced_mb:,.0f} MB in all{here}"

    def _read(self, line: str) -> None:
        if line.startswith(("Collecting ", "Processing ")):  # the latter: from a folder of wheels
            self._collected += 1
        elif match := ANNOUNCED.match(line):
            name, size, unit = match.groups()
            if not name.endswith(".metadata"):
                self._announced_mb += float(size) * UNITS[unit] if size else 0.0
                self._now = f"fetching {'-'.join(name.split('-')[:2])}"
        elif line.strip().startswith("Building wheel"):
            self._now = line.strip()
        elif line.startswith("Installing collected packages"):
            self._now = f"putting {line.count(',') + 1} packages in place"


def bytes_in(folder: Path) -> int:
    """Size of all files below, of those that do not vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):  # os.walk skips a folder that has gone
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def run_pip(
    python: Path,
    arguments: Sequence[str],
    scratch: Path,
    voice: Voice,
    log: IO[str],
    lock: Sequence[int] = (),
) -> Outcome:
    """`pip ARGUMENTS` in the environment of `python`, with its downloads in `scratch` (same disk, often
    larger than /tmp). pip holds `lock` too: one that outlives its killed bootstrap still keeps others out.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    # `user = true` in somebody's pip.conf would refuse to install into an environment.
    environment = {**clean(os.environ), "TMPDIR": str(scratch), "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    return watch([python, "-m", "pip", *arguments], voice, PipLine(scratch), environment, log, lock)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would make a Python look for packages elsewhere."""
    return {name: value for name, value in environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}


def explain(outcome: Outcome, what: str, log: Path) -> Stop:
    """A failed pip run as a sentence and a remedy."""
    said, passing = "\n".join(outcome.lines), True
    if "No space left on device" in said or "Disk quota exceeded" in said:
        remedy = (
            "The disk is full. Make room, or choose another place with M2HF_VENV=/path, then run this again."
        )
    elif any(sign in said for sign in NO_NETWORK):
        remedy = (
            "The package index cannot be reached. Check the network (a mirror: PIP_INDEX_URL, a proxy: HTTPS_PROXY), "
            "then run this again; what was fetched is kept."
        )
    elif "DO NOT MATCH THE HASHES" in said:
        remedy = "A download was damaged. Run this again; if it stays: python3 -m pip cache purge"
    elif "No matching distribution found" in said:
        passing = False
        remedy = f"The package index has no fitting version for this Python and machine ({sys.platform})."
    elif "Permission denied" in said:
        remedy = (
            "A folder may not be written. Choose one of your own with M2HF_VENV=/path, then run this again."
        )
    else:
        passing = False
        remedy = "Run this again; if it stays, the log says more."
    remedy += f"\nEverything pip said: {log}"
    return Stop(f"Could not install {what}.", remedy, outcome.last_words(), passing=passing)


def bring_pip(python: Path, scratch: Path, voice: Voice) -> None:
    """Put pip into an environment that was made without it: by the pip of our own Python, else by the
    wheel that the package index lists.
    """
    own = [sys.executable, "-m", "pip", "--python", str(python), "install", *OPTIONS, "pip"]
    if (
        subprocess.run(
            own, capture_output=True, env={**clean(os.environ), "PIP_USER": "0"}, check=False
        ).returncode
        == 0
    ):
        return
    voice.step("Fetching pip from the package index")
    wheel = fetch_pip(scratch)
    command = [str(python), f"{wheel}/pip", "install", *OPTIONS, "--no-index", str(wheel)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**clean(os.environ), "PIP_USER": "0"}, check=False
    )
    if done.returncode != 0:
        raise Stop("pip's wheel did not install.", "Run this again.", done.stdout.splitlines()[-6:])


def fetch_pip(folder: Path) -> Path:
    """Download the newest pip that runs here, with its hash checked."""
    folder.mkdir(parents=True, exist_ok=True)
    options = pip_options(os.environ, configuration_files(os.environ))
    indexes = [options.get("index-url", PYPI), *options.get("extra-index-url", "").split()]
    certificates = ssl.create_default_context(cafile=options.get("cert"))
    problems: list[str] = []
    for index in indexes:
        page = index.rstrip("/") + "/pip/"
        if page.startswith("file:"):
            page += "index.html"
        try:
            with urllib.request.urlopen(page, timeout=60, context=certificates) as answer:  # noqa: S310
                wheel = newest_wheel(answer.read().decode(), page, sys.version_info[:2])
            if wheel is None:
                continue
            url, digest = wheel
            with urllib.request.urlopen(url, timeout=60, context=certificates) as answer:  # noqa: S310
                content = answer.read()
        except (urllib.error.URLError, OSError) as error:
            problems.append(f"{page}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() != digest:
            raise Stop("The downloaded pip does not match its hash.", "Run this again.")
        target = folder / url.rpartition("/")[2]
        target.write_bytes(content)
        return target
    raise Stop("pip is missing here and could not be fetched.", venv_remedy(), problems)


def venv_remedy() -> str:
    """The command that brings Python's own environment maker on the usual systems."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    return f"Install it (Debian, Ubuntu: sudo apt-get install {package}), then run this again."


def configuration_files(environ: Mapping[str, str]) -> list[Path]:
    """Where pip reads its settings, weakest first."""
    home = Path(environ.get("HOME", "~")).expanduser()
    places = [Path("/etc/pip.conf"), home / ".pip/pip.conf"]
    places.append(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf")
    if "PIP_CONFIG_FILE" in environ:
        places.append(Path(environ["PIP_CONFIG_FILE"]))
    return places


def pip_options(environ: Mapping[str, str], files: Iterable[Path]) -> dict[str, str]:
    """pip's settings as pip would see them: its files' [global] and [install], then PIP_* variables."""
    options: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError):
            continue  # pip itself will complain about it, in its own words
        for section in ("global", "install"):
            if parser.has_section(section):
                options.update(parser.items(section))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            options[name[4:].lower().replace("_", "-")] = value
    return options


class _Links(HTMLParser):
    """The links of an index page with their `data-requires-python`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.found.append((str(values["href"]), values.get("data-requires-python") or ""))


def newest_wheel(page: str, base: str, python: tuple[int, int]) -> tuple[str, str] | None:
    """(address, sha256) of the newest released pip on an index page that this Python can run."""
    links = _Links()
    links.feed(page)
    fitting: list[tuple[tuple[int, ...], str, str]] = []
    for href, requires in links.found:
        address, _, fragment = urllib.parse.urljoin(base, href).partition("#")
        name = re.fullmatch(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl", address.rpartition("/")[2])
        oldest = re.search(r">=\s*(\d+)\.(\d+)", requires)
        too_new = oldest is not None and (int(oldest[1]), int(oldest[2])) > python
        if name and fragment.startswith("sha256=") and not too_new:
            fitting.append((tuple(map(int, name[1].split("."))), address, fragment.removeprefix("sha256=")))
    return max(fitting)[1:] if fitting else None
