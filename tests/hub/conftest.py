"""A manifest of small files, and a server on this machine that misbehaves on request."""

from __future__ import annotations

import hashlib
import io
import json
import random
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.hub.manifest import Manifest, load_manifest

BODY = random.Random(1).randbytes(3_000_000)
CONFIG = b'{"small": true}'


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        bundle.writestr("tagger/words.json", b'["NN"]')
    return stream.getvalue()


@dataclass
class Server:
    """Serves `files`; `cut_after` bytes the connection closes, once per entry of the list."""

    url: str = ""
    files: dict[str, bytes] = field(
        default_factory=lambda: {"/a.bin": BODY, "/c.json": CONFIG, "/t.zip": archive()}
    )
    cut_after: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    honours_ranges: bool = True
    stated: dict[str, dict[str, str]] = field(default_factory=dict)
    """What a HEAD request is answered: headers by path; with a `Location` it is a redirection."""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            state.asked.append(self.path)
            headers = state.stated.get(self.path)
            if headers is None:
                self.send_error(404)
                return
            self.send_response(302 if "Location" in headers else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            if state.status != 200 or self.path not in state.files:
                self.send_error(state.status if state.status != 200 else 404)
                return
            body = state.files[self.path]
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.honours_ranges else 0
            if begin and begin >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            end = begin + state.cut_after.pop(0) if state.cut_after else len(body)
            self.wfile.write(body[begin:end])

        def log_message(self, *_: Any) -> None:
            """Silence."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = False
    state.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


def entry(name: str, file: str, content: bytes | None, url: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "file": file,
        "purpose": f"The {name}",
        "licence": "MIT",
        "size_bytes": len(content) if content is not None else None,
        "sha256": hashlib.sha256(content).hexdigest() if content is not None else None,
        "url": url,
        "member": None,
        "hub": None,
        "shipped": False,
        **more,
    }


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of one test; no offline switch of the surrounding shell counts."""
    folder = tmp_path / "models"
    monkeypatch.setenv("M2HF_MODELS_DIR", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.delenv("M2HF_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


@pytest.fixture
def manifest(models: Path, tmp_path: Path, server: Server) -> Manifest:
    """Presets `whole` (a file, a member of an archive), `blind` (a file without digest) and `own` (shipped)."""
    weights = [
        entry("big", "nets/a.bin", BODY, f"{server.url}/a.bin"),
        entry("words", "tagger/words.json", b'["NN"]', f"{server.url}/t.zip", member="tagger/words.json"),
        entry(
            "blind",
            "blind.safetensors",
            None,
            f"{server.url}/org/Blind-Net/open.safetensors",
            hub={"repo": "org/Blind-Net", "file": "open.safetensors", "revision": None},
        ),
        entry("own", "demo/own.bin", None, None, shipped=True),
    ]
    common = {"title": "T", "sentence": "S.", "architecture": None, "pretrained": None, "languages": "en"}
    nothing = {"config": None, "tokenizer": None, "audio": None, "motion": None, "speech": [], "nouns": []}
    presets = [
        {"id": "whole", "clip": "big", **common, **nothing, "nouns": ["words"]},
        {"id": "blind", "clip": "blind", **common, **nothing, "audio": "big"},
        {"id": "own", "clip": "own", **common, **nothing},
    ]
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"presets": presets, "weights": weights}), encoding="utf-8")
    return load_manifest(path)
