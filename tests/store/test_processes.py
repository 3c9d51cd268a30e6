"""Several processes on one library: who opens, who writes, and what a killed one leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from m2hf_core.config.paths import Paths
from m2hf_core.errors import LibraryBusy
from m2hf_core.store import Store, WriterLock, captions, open_store

HOLD = """
import sys
from pathlib import Path
from m2hf_core.store.lock import WriterLock
WriterLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""

OPEN_AND_ADD = """
import sys
from pathlib import Path
from m2hf_core.config.paths import Paths
from m2hf_core.store import captions, open_store
sys.stdin.readline()
with open_store(Paths(Path(sys.argv[1]))) as store:
    for n in range(20):
        with store.library.writing() as session:
            before = captions.count(session)
            captions.add_captions(session, [captions.NewCaption(f"{sys.argv[2]} says {n}", "bank")])
            assert captions.count(session) == before + 1
"""


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )


def test_one_writer_and_the_kernel_frees_a_killed_ones_lock(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    assert WriterLock(path).owner() is None
    with start(HOLD, str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        lock = WriterLock(path)
        assert lock.owner() == process.pid
        with pytest.raises(LibraryBusy, match=rf"\(process {process.pid}\) is already indexing"):
            lock.acquire()
        assert not lock.held
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.read_text() == f"{process.pid}\n", "the file still names the dead"
        assert lock.owner() is None
        with lock:
            assert lock.held
            assert lock.owner() == os.getpid()


def test_the_lock_excludes_within_a_process_and_is_given_back(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "writer.lock"), WriterLock(tmp_path / "writer.lock", 0.0)
    with first:
        with pytest.raises(LibraryBusy), second:
            pytest.fail("two writers")
        assert first.owner() == os.getpid()
    with second:
        pass
    assert first.owner() is None
    second.release()  # once more is harmless


def test_a_waiting_one_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "writer.lock"), WriterLock(tmp_path / "writer.lock", 30.0)
    first.acquire()
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    first.release()
    waiting.join()
    assert second.held
    second.release()


def test_processes_that_open_an_empty_folder_together_all_succeed(paths: Paths) -> None:
    processes = [start(OPEN_AND_ADD, str(paths.data), str(n)) for n in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with open_store(paths) as store, store.library.reading() as session:
        assert captions.count(session) == 40


def test_threads_share_a_store(store: Store) -> None:
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(20):
                with store.library.writing() as session:
                    captions.add_captions(session, [captions.NewCaption(f"{name} {n}", "bank")])
                with store.library.reading() as session:
                    assert captions.search_captions(session, f'"{name} {n}"')
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("cat", "dog", "cow")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with store.library.reading() as session:
        assert captions.count(session) == 60
