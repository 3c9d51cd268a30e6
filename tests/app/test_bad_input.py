"""Whatever is wrong outside the program ends in one sentence and the right exit code, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from m2hf_core.config.paths import Paths
from m2hf_core.store import WriterLock


def one_sentence(result, code: int, *words: str) -> None:
    assert result.code == code, result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    (line,) = result.err.strip().splitlines()
    assert line.startswith("m2hf-app: ")
    for word in words:
        assert word in line, line


def test_missing_folder(run, tmp_path) -> None:
    one_sentence(run("index", tmp_path / "nowhere"), 1, "There is no folder", "nowhere")


def test_a_name_that_no_disk_can_hold(run) -> None:
    one_sentence(run("index", "x" * 300), 1, "cannot be opened")


def test_a_file_given_for_a_folder(run, tmp_path) -> None:
    (tmp_path / "video.mp4").touch()
    one_sentence(run("index", tmp_path / "video.mp4"), 2, "is a file, not a folder")


def test_no_library_yet(run) -> None:
    for command in (["search", "dog"], ["status"], ["failures"], ["captions", "a.mp4"]):
        one_sentence(run(*command), 1, "no library", "m2hf-app index FOLDER")


def test_nothing_to_index(run, tmp_path) -> None:
    one_sentence(run("index"), 1, "no folder yet", "m2hf-app index")
    (tmp_path / "empty").mkdir()
    said = run("index", tmp_path / "empty")
    assert said.code == 0
    assert "No video files were found" in said.out
    answer = run("search", "dog", "--json").json
    assert answer["hits"] == []
    assert answer["gallery"] == {"videos": 0, "clips": 0}


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_query(run, indexed, text) -> None:
    one_sentence(run("search", text, "--data-dir", indexed[0]), 1, "The query is empty")


@pytest.mark.parametrize(
    "text", ["the of and", "🎉🎉", "\x00\x07", "שלום עולם", "'\"((", "dog " * 2500, "-" * 10_000, "\ud800"]
)
def test_odd_queries_get_an_answer(run, indexed, text) -> None:
    said = run("search", "--json", "--data-dir", indexed[0], "--", text)
    assert said.code == 0, said.err
    assert said.json["gallery"]["clips"] == 3
    if len(text) > 1000:
        assert "character 1001: Only the first 1000 characters are searched." in said.json["notes"]


def test_control_characters_are_shown_and_not_obeyed(run, indexed, tmp_path) -> None:
    """A name or a query that would colour the terminal, clear it, or turn letters round."""
    steering = "dog \x1b[31m\x07\x9b2J\u202egod\u2066"
    said = run("search", "--data-dir", indexed[0], "--", steering)
    assert said.code == 0
    assert "dog \\x1b[31m\\x07\\x9b2J\\u202egod\\u2066" in said.out
    said = run("similar", tmp_path / "a\x1b[2Jb.png", "--data-dir", indexed[0])
    one_sentence(said, 1, "a\\x1b[2Jb.png")
    assert not set("\x1b\x07\x9b\u202e\u2066") & set(said.out + said.err)
    said = run("search", "--json", "--data-dir", indexed[0], "--", steering)
    assert said.json["query"] == steering, "scripts get it as it is"
    said = run("search", "dog " * 2500, "--data-dir", indexed[0])
    assert len(said.out.splitlines()[0]) < 400, "a long query is not repeated whole"


def test_a_preset_that_is_none_is_not_chosen(run, tmp_path) -> None:
    said = run("settings", "set", "preset", "huge", "--data-dir", tmp_path)
    one_sentence(said, 2, "no preset called 'huge'", "fast")
    assert run("settings", "get", "preset", "--data-dir", tmp_path).out == "fast\n"


def test_wrong_usage(run, indexed) -> None:
    data = indexed[0]
    one_sentence(
        run("search", "dog", "--preset", "huge", "--data-dir", data), 2, "no preset called 'huge'", "fast"
    )
    assert run("search", "dog", "-k", "0", "--data-dir", data).code == 2
    assert run("search", "dog", "--fusion", "sum", "--data-dir", data).code == 2
    one_sentence(run("search", "dog", "--branches", "smell", "--data-dir", data), 2, "smell", "visual")
    assert run("frobnicate").code == 2
    one_sentence(run("settings", "set", "fusion", "sum"), 2, "mmbf")
    one_sentence(run("index", data, "--device", "banana", "--data-dir", data), 2, "no device")
    assert len(run("library", "list", "--data-dir", data, "--json").json) == 1, (
        "nothing is watched by mistake"
    )
    assert run("demo", "--seed", "-1").code == 2
    assert run("demo", "--seeds", "0").code == 2
    assert run("library", "--data-dir", data, "list").code == 2, (
        "an option in the wrong place is never ignored"
    )


@pytest.mark.parametrize(
    "command",
    [
        ["forget", ""],
        ["index", ""],
        ["library", "add", ""],
        ["library", "remove", ""],
        ["models", "import", ""],
        ["search", "dog", "--data-dir", ""],
    ],
)
def test_an_empty_name_is_not_the_present_folder(run, command, tmp_path, monkeypatch) -> None:
    """As a script gives it whose variable is not set."""
    monkeypatch.chdir(tmp_path)
    said = run(*command)
    assert (said.code, said.out) == (2, "")
    assert "an empty name is no file or folder" in said.err
    assert list(tmp_path.iterdir()) == []


def test_odd_data_folders_and_presets(run, indexed, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for command in (["search", "dog"], ["status"], ["caption", "add", "a dog"]):
        one_sentence(run(*command, "--data-dir", tmp_path / "file"), 1, "cannot be the library's folder")
    one_sentence(run("search", "dog", "--data-dir", "~nobody-of-that-name/x"), 1, "no library", "~nobody")
    one_sentence(run("search", "dog", "--preset", "", "--data-dir", indexed[0]), 2, "no preset called ''")


@pytest.mark.parametrize("command", ["captions", "similar"])
@pytest.mark.parametrize(
    "target", ["~nobody-of-that-name/x.mp4", "\ud800.mp4", "file:///a.mp4", "-", "a@", "@1:2"]
)
def test_odd_targets(run, indexed, command, target) -> None:
    one_sentence(run(command, "--data-dir", indexed[0], "--", target), 1, "no file")


def test_captions_of_what_is_not_there(run, indexed) -> None:
    data, videos = indexed
    one_sentence(run("captions", videos / "none.mp4", "--data-dir", data), 1, "no file")
    one_sentence(run("captions", f"{videos / 'quiet.mp4'}@99", "--data-dir", data), 2, "no moment at 99 s")


def test_a_cuda_device_that_is_not_there(run, indexed, tmp_path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    one_sentence(
        run("index", indexed[1], "--device", "cuda", "--data-dir", tmp_path / "d"), 1, "no CUDA device"
    )


def test_what_killed_programs_left_is_removed_by_the_next_that_writes(run, indexed, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(indexed[0], data)
    (data / "scorers").mkdir(exist_ok=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    beyond = data / f".settings.json.{1 << 40}.part"  # what no process can be called
    old = [
        data / f".settings.json.{dead.pid}.part",
        data / "scorers" / f".a.safetensors.{dead.pid}.part",
        beyond,
    ]
    kept = [
        data / f".serve.token.{dead.pid}.part",
        data / f".settings.json.{os.getpid()}.part",
        data / "mine.1.part",
    ]
    for path in (*old, *kept):
        path.touch()
    for path in (*old, *kept[1:]):
        os.utime(path, (0, 0))
    assert run("caption", "list", "--data-dir", data).code == 0
    assert all(path.exists() for path in old), "whoever only reads removes nothing"
    assert run("caption", "add", "a dog", "--data-dir", data).code == 0
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in kept), "new, of a living process, not ours"


def test_corrupt_and_newer_databases(run, indexed, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(indexed[0], data)
    library = data / "library.sqlite"
    with closing(sqlite3.connect(library)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'library-9999'")
        connection.commit()
    one_sentence(run("search", "dog", "--data-dir", data), 1, "newer version")
    library.write_bytes(b"\x00garbage" * 1000)
    one_sentence(run("search", "dog", "--data-dir", data), 1, "damaged")
    assert library.read_bytes().startswith(b"\x00garbage"), "a damaged library is never overwritten"


def test_damaged_features_are_announced_and_made_again(run, indexed, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(indexed[0], data)
    (data / "features.sqlite").write_bytes(b"garbage" * 1000)
    said = run("search", "bread", "--data-dir", data, "--json")
    assert said.code == 0
    assert "set aside" in said.err
    assert len(said.json["hits"]) == 1


def test_data_folder_that_cannot_be_one(run, indexed, tmp_path) -> None:
    (tmp_path / "file").touch()
    one_sentence(run("index", indexed[1], "--data-dir", tmp_path / "file"), 1, "library")


def test_two_programs_on_one_library(run, indexed, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(indexed[0], data)
    with WriterLock(Paths(data).writer_lock):
        one_sentence(run("index", indexed[1], "--data-dir", data), 1, "already indexing")
        assert run("search", "bread", "--data-dir", data).code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_library_that_can_only_be_read(run, indexed, tmp_path) -> None:
    data = tmp_path / "data"
    shutil.copytree(indexed[0], data)
    for path in (*data.iterdir(), data):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(run("search", "bread", "--data-dir", data, "--json").json["hits"]) == 1
        one_sentence(run("index", indexed[1], "--data-dir", data), 1, "cannot be written")
    finally:
        data.chmod(0o755)


@pytest.mark.parametrize("stage", ["look for videos", "load models", "probe", "save"])
def test_ctrl_c_ends_in_a_sentence(indexed, tmp_path: Path, stage: str) -> None:
    """As a terminal does it: the whole group gets the signal. Then the next run finishes the work."""
    saboteur = Path(__file__).parents[1] / "faults" / "saboteur"
    log = tmp_path / "log"
    environment = {
        **os.environ,
        "M2HF_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": str(saboteur),
        "M2HF_SABOTAGE_LOG": str(log),
        "M2HF_SABOTAGE_STAGE": stage,
        "M2HF_SABOTAGE_DELAY": "0.01",
        "M2HF_SABOTAGE_TARGET": "interrupt",
        "M2HF_SABOTAGE_TIMES": "1",
    }
    command = [sys.executable, "-m", "app.cli.main", "index", str(indexed[1])]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        check=False,
    )
    assert "killed in" in log.read_text()
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "stopped" in done.stderr.lower()
