"""The guards of tests/conftest.py are tried on tests that misbehave: each must fail with its own sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

GUARDS = Path(__file__).resolve().parents[1] / "conftest.py"

BAD = """
import os, socket, subprocess, sys, threading, time
import pytest

stop = threading.Event()

def test_thread():
    threading.Thread(target=stop.wait, args=(60,), name="forgotten").start()

def test_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

def test_environment():
    os.environ["M2HF_TEST_ODD"] = "1"

def test_folder(tmp_path):
    os.chdir(tmp_path)

def test_network():
    with pytest.raises(OSError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_torch():
    class Torch:  # stands in for the real one, which the guards must not import
        float32, _on = "float32", True
        def is_grad_enabled(self): return self._on
        def get_default_dtype(self): return "float32"
        def are_deterministic_algorithms_enabled(self): return False
        def get_num_threads(self): return 1
        def set_grad_enabled(self, on): self._on = on
        def set_default_dtype(self, dtype): pass
        def use_deterministic_algorithms(self, on): pass
        def set_num_threads(self, n): pass
    sys.modules["torch"] = Torch()
    sys.modules["torch"].set_grad_enabled(False)

def test_clean(monkeypatch, tmp_path, fault_seed):
    sys.modules.pop("torch", None)
    stop.set()
    monkeypatch.setenv("M2HF_TEST_ODD", "1")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", ""], check=True)
    worker = threading.Thread(target=time.sleep, args=(0.01,))
    worker.start()
    worker.join()
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).close()
    server.close()
    own = [os.environ[name] for name in ("M2HF_DATA_DIR", "M2HF_MODELS_DIR")]
    assert all(str(tmp_path.parent) in folder for folder in own)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert isinstance(fault_seed, int)
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Test name -> the guard's sentence, empty where the test passed."""
    folder = tmp_path_factory.mktemp("guarded")
    # A shorter grace: every misbehaving test waits it out.
    (folder / "conftest.py").write_text(GUARDS.read_text().replace("GRACE_S = 5.0", "GRACE_S = 0.3"))
    (folder / "test_bad.py").write_text(BAD)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", "."]
    # The guards are the conftest's own; without plugins the inner pytest starts faster.
    environment = {
        **os.environ,
        "M2HF_FAULTS": "long",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    found: dict[str, str] = {}
    for case in ElementTree.parse(folder / "out.xml").iter("testcase"):
        problems = [*case.findall("error"), *case.findall("failure")]
        found[case.attrib["name"]] = " ".join(p.attrib.get("message", "") for p in problems)
    return found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("test_thread", "thread 'forgotten'"),
        ("test_process", "time.sleep(60)"),
        ("test_environment", "environment variable M2HF_TEST_ODD"),
        ("test_folder", "working folder"),
        ("test_network", "tried to reach 192.0.2.1"),
        ("test_torch", "torch's gradient mode (True became False)"),
    ],
)
def test_a_leak_fails_with_its_name(verdicts: dict[str, str], name: str, sentence: str) -> None:
    assert sentence in verdicts[name]


def test_a_clean_test_passes_with_every_long_seed(verdicts: dict[str, str]) -> None:
    clean = {name: sentence for name, sentence in verdicts.items() if name.startswith("test_clean")}
    assert len(clean) == 10
    assert set(clean.values()) == {""}
