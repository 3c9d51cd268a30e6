"""What every test may ask for, and the guards that no test may leave anything behind.

A test passes only if it also cleans up: threads, child processes, the environment, the working folder and
torch's switches are compared before and after, and a connection beyond this machine is refused and told.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
os.environ["HF_HUB_OFFLINE"] = "1"  # before any library reads it at import
# What `m2hf_core` sets when it is imported first, which may be in the middle of a test.
os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1")

settings.register_profile("m2hf", deadline=None)
settings.register_profile("m2hf-ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("m2hf-ci" if os.environ.get("CI") else "m2hf")

GRACE_S = 5.0  # a thread or process that was told to end gets this long
# Set by libraries while they are imported (open_clip, torchvision, cv2, PySide6) and by pytest itself.
SET_BY_IMPORTS = {
    "LD_LIBRARY_PATH",
    "PYSIDE6_OPTION_PYTHON_ENUM",
    "PYTEST_CURRENT_TEST",
    "TOKENIZERS_PARALLELISM",
    "TORCHINDUCTOR_CACHE_DIR",
}
# One per interpreter, started by multiprocessing itself and ended with it.
MULTIPROCESSING_SERVANTS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media and texts beside the checkout; tests that need it skip without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of shared media and texts is not beside this checkout")
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`fault_seed`: one seed in the short tier, ten with `M2HF_FAULTS=long`; all follow `M2HF_FAULT_SEED`."""
    if "fault_seed" not in metafunc.fixturenames:
        return
    first = int(os.environ.get("M2HF_FAULT_SEED", "1"))
    count = 10 if os.environ.get("M2HF_FAULTS") == "long" else 1
    name = metafunc.definition.nodeid.encode()
    metafunc.parametrize("fault_seed", [zlib.crc32(name, first + i) for i in range(count)])


@pytest.fixture(scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(autouse=True)
def _no_leaks(_own_folders: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Point the test at folders of its own, then tell what it left behind and put it right for the next."""
    # Not by monkeypatch: that would be undone only after this fixture has looked.
    outer_environment, folder = dict(os.environ), Path.cwd()
    own = _own_folders / f"{zlib.crc32(request.node.nodeid.encode()):08x}"
    os.environ.update(M2HF_DATA_DIR=str(own / "data"), M2HF_MODELS_DIR=str(own / "models"))
    environment = dict(os.environ)
    threads, children, torch_state = set(threading.enumerate()), _children(), _torch_state()
    REFUSED.clear()
    yield
    left = [
        *_left_threads(threads),
        *_left_children(children),
        *_changed_environment(environment),
        *_changed_folder(folder),
        *_changed_torch(torch_state),
        *(f"tried to reach {address}" for address in REFUSED),
    ]
    os.environ.update(outer_environment)
    for name in ("M2HF_DATA_DIR", "M2HF_MODELS_DIR"):
        if name not in outer_environment:
            os.environ.pop(name, None)
    if left:
        pytest.fail("the test left something behind: " + "; ".join(left), pytrace=False)


def _left_threads(before: set[threading.Thread]) -> list[str]:
    leaked = [t for t in threading.enumerate() if t not in before and not t.daemon]
    deadline = time.monotonic() + GRACE_S
    for thread in leaked:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"thread {t.name!r}" for t in leaked if t.is_alive()]


def _children() -> dict[int, str]:
    """Live direct child processes of this one: pid -> command line. Empty where there is no /proc."""
    found = {}
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        try:
            pids = task.read_text().split()
        except OSError:  # the thread ended while we looked
            continue
        for pid in pids:
            command = _command_line(int(pid))
            if command is not None and not any(servant in command for servant in MULTIPROCESSING_SERVANTS):
                found[int(pid)] = command
    return found


def _command_line(pid: int) -> str | None:
    """None for a process that is gone or a zombie (it has ended; Python reaps it later).

    Empty for the moment between fork and exec, so emptiness does not mean that it has ended.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return None if state in "ZX" else command.replace(b"\0", b" ").decode(errors="replace").strip()


def _left_children(before: dict[int, str]) -> list[str]:
    deadline = time.monotonic() + GRACE_S
    while leaked := {pid: command for pid, command in _children().items() if pid not in before}:
        if time.monotonic() > deadline:
            for pid in leaked:
                os.kill(pid, signal.SIGKILL)
            return [f"process {pid} ({command[:120]})" for pid, command in leaked.items()]
        time.sleep(0.02)
    return []


def _changed_environment(before: dict[str, str]) -> list[str]:
    after = dict(os.environ)
    names = {n for n in before | after if before.get(n) != after.get(n)} - SET_BY_IMPORTS
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    return [f"environment variable {name}" for name in sorted(names)]


def _changed_folder(before: Path) -> list[str]:
    try:
        now = Path.cwd()
    except FileNotFoundError:  # the test removed the folder it stood in
        now = Path()
    if now == before:
        return []
    os.chdir(before)
    return [f"working folder {now}"]


def _torch_state() -> dict[str, Any] | None:
    """None until something has imported torch: the guards must not make light tests pay for it."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return None
    return {
        "gradient mode": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "thread count": torch.get_num_threads(),
    }


def _changed_torch(before: dict[str, Any] | None) -> list[str]:
    after = _torch_state()
    if after is None:
        return []
    torch = sys.modules["torch"]
    if (
        before is None
    ):  # imported by this very test: what a fresh import would say; the thread count is the machine's
        before = after | {
            "gradient mode": True,
            "default dtype": torch.float32,
            "deterministic algorithms": False,
        }
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        torch.set_grad_enabled(before["gradient mode"])
        torch.set_default_dtype(before["default dtype"])
        torch.use_deterministic_algorithms(before["deterministic algorithms"])
        torch.set_num_threads(before["thread count"])
    return [f"torch's {name} ({before[name]} became {after[name]})" for name in changed]


REFUSED: list[str] = []
_LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.", "0.0.0.0")  # 0.0.0.0 as a target is this machine


def _refuse(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name == "" or str(name).startswith(_LOOPBACK):
        return
    REFUSED.append(str(name))
    raise ConnectionRefusedError(f"tests stay on this machine; refused to reach {name}")


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Connections and name look-ups beyond loopback fail as they do without a network, and fail the test."""
    real = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        real[0](self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        return real[1](self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse(host)
        return real[2](host, *args, **kwargs)

    socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = getaddrinfo
    yield
    # The attributes found on the class were inherited ones; deleting ours uncovers them.
    del socket.socket.connect, socket.socket.connect_ex
    socket.getaddrinfo = real[2]
