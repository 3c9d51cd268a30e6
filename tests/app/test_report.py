"""The bundle for whoever helps: what is in it, and what is not."""

from __future__ import annotations

import getpass
import json
import zipfile
from pathlib import Path

import pytest

from app.services import report
from app.services.doctor import Finding
from app.services.library import open_library
from app.services.report import Redaction, write_report
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress
from m2hf_core.store import folders

LINES = """INFO app.gui.bridge no picture of Moment(video=PosixPath('{folder}/Anna at the sea.mp4'), at_s=3.0)
ERROR app cannot open "{folder}/sub dir/Ben, 3 years.MOV": Invalid data
INFO app {home}/other thing
INFO app user {user} here
"""


def test_names_of_people_folders_and_videos_are_left_out(monkeypatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "annabel")
    folder = Path("/media/annabel/Holiday disk")
    text = LINES.format(folder=folder, home=Path.home(), user="Annabel")
    clean = Redaction([folder, folder / "sub dir"])(text)
    for name in ("Anna", "sea", "Ben", "Holiday", "sub dir", "annabel", str(Path.home())):
        assert name.lower() not in clean.lower(), name
    assert clean.count("<folder") == 2
    assert ".mp4'), at_s=3.0)" in clean, "what is no name stays"
    assert "Invalid data" in clean
    assert "~/other thing" in clean


def test_the_bundle_holds_findings_settings_and_the_logs_end(tmp_path: Path, monkeypatch) -> None:
    found = [Finding("disk", True, f"3 GB free in {tmp_path / 'Family'}/x.mp4")]
    monkeypatch.setattr(report, "examine", lambda _: found)
    (tmp_path / "Family").mkdir()
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            folders.add_folder(session, tmp_path / "Family")
        log = library.paths.data / report.LOG
        log.write_text(
            "first line\n"
            + "more\n" * (report.TAIL_BYTES // 5)
            + f"\nlast line about {tmp_path}/Family/a.mp4\n"
        )
        target = write_report(library, tmp_path / "out", Progress())
        with pytest.raises(KnownError, match="cannot be written"):
            write_report(library, tmp_path / "no folder" / "out.zip", Progress())
        assert write_report(library, tmp_path / "report.2026", Progress()).name == "report.2026.zip"
    assert target == tmp_path / "out.zip"
    with zipfile.ZipFile(target) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert set(texts) == {"program.txt", "settings.json", "log.txt", "doctor.json"}
    assert json.loads(texts["settings.json"])["fusion"] == "mmbf"
    assert json.loads(texts["doctor.json"])[0]["check"] == "disk"
    assert "last line" in texts["log.txt"]
    assert "first line" not in texts["log.txt"]
    assert not any("Family" in text or "a.mp4" in text for text in texts.values())


def test_names_with_spaces_and_neighbouring_folders() -> None:
    clean = report.Redaction([Path("/a/Vid")])
    assert "Anna" not in clean("could not read My holiday with Anna.mp4: broken")
    assert clean("/a/Videos2/x") == "/a/Videos2/x", "another folder is not that one"
    assert "Tante" not in clean('{"found": "/a/Vid/Tante Emma.mkv"}')


def test_paths_are_found_as_json_and_python_write_them() -> None:
    assert report._forms(r"D:\Films\Anna") == [r"D:\Films\Anna", r"D:\\Films\\Anna", "D:/Films/Anna"]
    assert report._forms("/srv/anna") == ["/srv/anna"]
