"""The README's first five minutes, typed as they stand there, by somebody with two videos and no network.

Lines that cannot run here are named with the reason; a line that is neither run nor named is a failure.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from app.cli.main import main

pytestmark = [pytest.mark.release, pytest.mark.timeout(1800)]

NOT_RUN = {
    "python3 installers/bootstrap.py": "makes environments; its own tests do",
    "pip install": "the tests of the wheel install it",
    "m2hf-app models prepare": "needs the network",
    "curl": "needs the token that `serve` shows: see below",
    "m2hf-app train": "needs MSR-VTT, or hours; the training's own tests train on the synthetic world",
    "m2hf-app eval": "needs what was trained",
}
# Of the table: what waits for its owner, for the network, or for half an hour.
ROWS_NOT_RUN = {
    "gui": "stays open; the wheel's tests open it",
    "demo": "takes a minute; the smoke test runs it",
    "serve": "stays; it is started below",
    "models prepare": "needs the network",
    "train": "minutes on the synthetic world; its own tests train on less",
    "eval": "needs what was trained; its own tests evaluate",
    "bench": "minutes of measuring; their own tests measure little",
}


class Typist:
    """A shell in a home of its own, in which `m2hf-app` is this checkout's."""

    def __init__(self, home: Path) -> None:
        self.home, self.desk = home, home / "desk"
        self.desk.mkdir(parents=True)
        tools = home / "bin"
        tools.mkdir()
        (tools / "m2hf-app").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli.main "$@"\n')
        (tools / "m2hf-app").chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("M2HF_", "XDG_"))}
        root = str(Path(__file__).resolve().parents[2])
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        self.settings = {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": root, "M2HF_OFFLINE": "1"}

    def types(self, line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.desk,
            env=self.settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def reason(line: str) -> str | None:
    """Why it is not run."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


def write_video(path: Path, seconds: int, words: str) -> None:
    """A moving square, a picture per second, with subtitles beside it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(seconds):
            picture = np.full((64, 96, 3), 40, np.uint8)
            picture[16:48, 2 * number : 2 * number + 32] = (200, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    path.with_suffix(".srt").write_text(f"1\n00:00:01,000 --> 00:00:03,000\n{words}\n")


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Typist:
    if os.name == "nt":
        pytest.skip("types into a POSIX shell")
    typist = Typist(tmp_path_factory.mktemp("home"))
    videos = typist.home / "Videos"
    videos.mkdir()
    write_video(videos / "sea.mp4", 16, "A dog barks at the sea. Good boy!")
    write_video(videos / "old.mp4", 6, "The ball flies over the kitchen.")
    typist.types("m2hf-app settings set preset demo")  # the one whose weights are here
    return typist


def test_the_blocks_run_in_their_order(readme: str, typist: Typist) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", readme, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line]
    said = {line: typist.types(line) for line in lines if reason(line) is None}
    assert "2 made searchable" in said["m2hf-app index"]
    assert "sea.mp4" in said['m2hf-app search "a dog barks at the sea" -k 5']
    hits = json.loads((typist.desk / "found.json").read_text("utf-8"))["hits"]
    assert Path(hits[0]["video"]).name == "sea.mp4"
    assert (typist.desk / "dog.fcpxml").read_text("utf-8").startswith("<?xml")
    assert [clip.suffix for clip in (typist.home / "Desktop" / "dogs").iterdir()].count(".mp4") == len(hits)


def test_what_is_shown_of_the_server_works(readme: str, typist: Typist) -> None:
    (line,) = re.findall(r"^curl .*$", readme, flags=re.MULTILINE)
    (port,) = set(re.findall(r"127\.0\.0\.1:(\d+)", line))
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        free = str(asked.getsockname()[1])
    (command,) = re.findall(rf"\| `(m2hf-app serve --port {port})` \|", readme)
    typist.types("m2hf-app index ~/Videos")
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command.replace(port, free)}"],
        cwd=typist.desk,
        env=typist.settings,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            token = next(text.split()[-1] for text in server.stdout if text.startswith("Token"))
            answer = json.loads(typist.types(line.replace("TOKEN", token).replace(port, free)))
            assert Path(answer["hits"][0]["video"]).name == "sea.mp4"
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode in (0, 130)


def test_each_row_of_the_table_runs(
    root: Path, readme: str, typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, in the table's order, over a library of the same two videos."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("M2HF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(typist.home / "Videos", tmp_path / "Videos")
    (tmp_path / "captions.csv").write_text("a dog at the sea\n")
    (tmp_path / "weights").mkdir()
    demo = root / "resources" / "demo"
    shutil.copyfile(demo / "audio.safetensors", tmp_path / "weights" / "audio.safetensors")
    (tmp_path / "runs" / "first").mkdir(parents=True)
    shutil.copyfile(demo / "scorer.safetensors", tmp_path / "runs" / "first" / "best.safetensors")

    def types(line: str) -> str:
        words = [word.replace("~", str(tmp_path), 1) for word in shlex.split(line)]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = main(words[1:])
        assert code == 0, f"{line}\n{said.getvalue()}"
        return said.getvalue()

    types("m2hf-app settings set preset demo")
    types("m2hf-app index ~/Videos")
    types('m2hf-app caption add "the sea" --video ~/Videos/sea.mp4')
    (tmp_path / "found.json").write_text(types("m2hf-app search dog --json"))
    rows = re.findall(r"^\| `m2hf-app ([a-z -]+)` \|.*\| `(m2hf-app [^|]+)` \|$", readme, flags=re.MULTILINE)
    left_out = [name for name, _ in rows if name.startswith(tuple(ROWS_NOT_RUN))]
    assert all(any(name.startswith(start) for name in left_out) for start in ROWS_NOT_RUN)
    assert len(left_out) < len(rows) / 2
    scorer = ""
    for name, example in rows:
        if name in left_out:
            continue
        # `--watch` would stay, `--smoke` takes minutes (the wheel's tests run it); a scorer's name is known once it
        # is here, and on two videos it may well be worse.
        forced = " --force" if name == "scorer use" else ""
        plain = example.removesuffix(" --watch").removesuffix(" --smoke")
        types(plain.replace("3f2a9c1b", scorer) + forced)
        if name == "scorer import":
            listed = [one["id"] for one in json.loads(types("m2hf-app scorer list --json"))]
            (scorer,) = (one for one in listed if one != "untrained")


def test_what_is_not_run_is_in_the_readme(readme: str) -> None:
    assert [start for start in NOT_RUN if start not in readme] == []
