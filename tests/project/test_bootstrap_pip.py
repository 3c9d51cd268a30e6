"""The bootstrap's dealings with pip: its settings, its wheel, its words."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

Part = Callable[[str], ModuleType]

PAGE = """<html><body>
<a href="../../packages/pip-24.0-py3-none-any.whl#sha256=aa" data-requires-python="&gt;=3.7">24.0</a>
<a href="../../packages/pip-9.0-py3-none-any.whl#sha256=bb">9.0</a>
<a href="../../packages/pip-25.0.1-py3-none-any.whl#sha256=cc" data-requires-python="&gt;=3.8">25.0.1</a>
<a href="../../packages/pip-26.0b1-py3-none-any.whl#sha256=dd">26.0b1</a>
<a href="../../packages/pip-99.0-py3-none-any.whl#sha256=ee" data-requires-python="&gt;=3.40">99.0</a>
<a href="../../packages/pip-98.0-py3-none-any.whl">no hash</a>
<a href="../../packages/pip-97.0.tar.gz#sha256=ff">source</a>
</body></html>"""


def test_the_newest_released_wheel_that_runs_here(part: Part) -> None:
    newest_wheel = part("_pip").newest_wheel
    base = "https://index.example/simple/pip/"
    assert newest_wheel(PAGE, base, (3, 11)) == (
        "https://index.example/packages/pip-25.0.1-py3-none-any.whl",
        "cc",
    )
    assert newest_wheel(PAGE, base, (3, 7)) == (
        "https://index.example/packages/pip-24.0-py3-none-any.whl",
        "aa",
    )
    assert newest_wheel("<html></html>", base, (3, 11)) is None


class Quiet(SimpleHTTPRequestHandler):
    """The standard server without its log on stderr."""

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A package index on this machine: its folder and its address."""
    folder = tmp_path / "index"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("damaged", [False, True])
def test_pip_is_fetched_with_its_hash_checked(
    part: Part, index: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    folder, address = index
    digest = hashlib.sha256(b"a wheel").hexdigest()
    (folder / "pip").mkdir()
    name = "pip-25.0-py3-none-any.whl"
    (folder / "pip/index.html").write_text(f'<a href="{name}#sha256={digest}">{name}</a>')
    (folder / "pip" / name).write_bytes(b"a wheel, damaged" if damaged else b"a wheel")
    for variable in ("PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", address)
    pip = part("_pip")
    if damaged:
        with pytest.raises(part("_voice").Stop, match="does not match its hash"):
            pip.fetch_pip(tmp_path / "scratch")
        return
    fetched = pip.fetch_pip(tmp_path / "scratch")
    assert (fetched.name, fetched.read_bytes()) == (name, b"a wheel")


def test_an_index_that_is_not_there_names_the_command(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "none").as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(part("_voice").Stop) as stop:
        part("_pip").fetch_pip(tmp_path / "scratch")
    assert f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in stop.value.remedy
    assert len(stop.value.detail) == 2


def test_settings_come_from_files_and_the_environment_wins(part: Part, tmp_path: Path) -> None:
    weak, strong = tmp_path / "weak.conf", tmp_path / "strong.conf"
    weak.write_text("[global]\nindex-url = https://weak/simple\ncert = /weak.pem\n")
    strong.write_text(
        "[global]\nindex-url = https://strong/simple\n[install]\nextra-index-url =\n  https://a\n  https://b\n"
    )
    found = part("_pip").pip_options(
        {"PIP_CERT": "/mine.pem", "HOME": "x"}, [weak, strong, tmp_path / "none"]
    )
    assert found["index-url"] == "https://strong/simple"
    assert found["cert"] == "/mine.pem"
    assert found["extra-index-url"].split() == ["https://a", "https://b"]


@pytest.mark.parametrize(
    ("line", "word", "passing"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full", True),
        ("NewConnectionError('...: Temporary failure in name resolution')", "network", True),
        ("ERROR: No matching distribution found for torch~=2.11.0", "no fitting version", False),
        ("error: [Errno 13] Permission denied: '/opt/x'", "M2HF_VENV", True),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE INDEX", "damaged", True),
        ("error: subprocess-exited-with-error", "log", False),
    ],
)
def test_every_failure_has_a_remedy(part: Part, line: str, word: str, passing: bool) -> None:
    outcome = part("_voice").Outcome(1, ("Collecting x", line))
    stop = part("_pip").explain(outcome, "the libraries", Path("pip.log"))
    assert word in stop.remedy
    assert "pip.log" in stop.remedy
    assert stop.passing is passing
    assert line in stop.detail


def test_no_network_is_not_mistaken_for_a_missing_version(part: Part) -> None:
    """pip closes with "No matching distribution found" in both cases."""
    said = ("WARNING: Retrying after NewConnectionError", "ERROR: No matching distribution found for torch")
    assert "network" in part("_pip").explain(part("_voice").Outcome(1, said), "torch", Path("log")).remedy


def test_the_live_line_follows_pip(part: Part, tmp_path: Path) -> None:
    line = part("_pip").PipLine(tmp_path)
    line("Collecting torch~=2.11.0 (from m2hf-app==0.1.0)")
    line("  Downloading torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)")
    assert "0 MB in all" in line("Collecting numpy>=2.0")
    line("Downloading torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl (530.6 MB)")
    shown = line("Using cached numpy-2.3.0-cp311-cp311-manylinux_2_28_x86_64.whl (16.4 MB)")
    assert "numpy-2.3.0" in shown
    assert "2 packages, 547 MB in all" in shown
    (tmp_path / "half").write_bytes(bytes(3_000_000))
    assert "3 MB fetched" in line(None)
    assert "putting 2 packages in place" in line("Installing collected packages: numpy, torch")


def test_other_pythons_settings_are_not_passed_on(part: Part) -> None:
    assert part("_pip").clean({"PYTHONPATH": "/x", "PYTHONHOME": "/y", "PATH": "/bin"}) == {"PATH": "/bin"}
