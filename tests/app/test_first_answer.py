"""What stands between a start and the first answer: only what this answer needs, and nothing after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.cli import main as cli
from app.services import ahead

UNUSED = ("cv2", "m2hf_core.synthetic", "httpx", "httpx2", "huggingface_hub.file_download", "PySide6", "nltk")
CODE = """
import atexit, gc, json, sys
unused = sys.argv.pop().split(",")
def tell():
    loaded = [name for name in unused if name in sys.modules]
    print(json.dumps({"unused": loaded, "torch": "torch" in sys.modules, "left out": gc.get_freeze_count()}))
atexit.register(tell)
from app.cli.main import run
run()
"""


def test_a_search_loads_nothing_that_it_does_not_use(indexed, tmp_path: Path) -> None:
    """In a process of its own, with models that are not on this machine; its end looks through none of it."""
    empty = {name: str(tmp_path / name) for name in ("M2HF_MODELS_DIR", "HF_HUB_CACHE")}
    command = [
        sys.executable,
        "-c",
        CODE,
        "search",
        "bread",
        "--json",
        "--data-dir",
        str(indexed[0]),
        ",".join(UNUSED),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **empty})
    answer, _, last = done.stdout.strip().rpartition("\n")
    assert [Path(hit["video"]).stem for hit in json.loads(answer)["hits"]] == ["kitchen"]
    told = json.loads(last)
    assert told["unused"] == []
    assert told["torch"]
    assert told["left out"] > 100_000


def test_torch_is_linked_while_the_words_are_read(indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, linked = threading.Event(), threading.Event()

    def link() -> None:
        assert reading.wait(10), "the words are read beside it"
        linked.set()

    monkeypatch.setattr(ahead, "open_torch_libraries", link)
    monkeypatch.setattr(ahead, "_read_words", reading.set)
    with ahead.open_for_answers(indexed[0]) as library:
        assert linked.is_set(), "an import of torch meanwhile would wait with the interpreter held"
        assert library.store.read_only


def test_no_thread_is_left_where_words_cannot_be_read(indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no dictionary")

    monkeypatch.setattr(ahead, "_read_words", fail)
    with pytest.raises(OSError, match="no dictionary"), ahead.open_for_answers(indexed[0]):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "torch"]


def test_the_end_does_not_look_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(cli, "main", lambda: done.append("main") or 1)
    monkeypatch.setattr(cli, "seek_garbage_seldom", lambda: done.append("seldom"))
    monkeypatch.setattr(cli.gc, "freeze", lambda: done.append("left out"))
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 1
    assert done == ["seldom", "main", "left out"]
