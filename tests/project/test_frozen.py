"""The recipes of the frozen program: what can be checked without freezing it."""

from __future__ import annotations

import ast
import configparser
import json
import plistlib
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ROOT / "installers" / "frozen"


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FROZEN))
    import notices

    return notices


def test_the_recipe_names_files_that_are_there() -> None:
    tree = ast.parse((FROZEN / "m2hf-app.spec").read_text())
    names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {"resources", "entry.py", "m2hf-app.ico", "m2hf-app.icns"} <= names
    for part in ("resources", "installers/frozen/entry.py"):
        assert (ROOT / part).exists()
    assert (FROZEN / "icons" / "m2hf-app.ico").stat().st_size > 10_000
    assert (FROZEN / "icons" / "m2hf-app.icns").stat().st_size > 10_000


def test_the_menu_entry_starts_a_command_that_exists() -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(FROZEN / "linux" / "m2hf-app.desktop")
    section = entry["Desktop Entry"]
    program, command, *_ = section["Exec"].split()
    assert program == "m2hf-app"
    from app.cli.main import COMMANDS

    assert command in {module.__name__.rpartition(".")[2] for module in COMMANDS}
    assert section["MimeType"].endswith(";")
    assert "video/mp4" in section["MimeType"].split(";")
    if shutil.which("desktop-file-validate"):
        subprocess.run(["desktop-file-validate", str(FROZEN / "linux" / "m2hf-app.desktop")], check=True)


def test_the_metadata_and_entitlements_parse() -> None:
    component = ElementTree.parse(FROZEN / "linux" / "m2hf-app.metainfo.xml").getroot()
    assert component.findtext("launchable") == "m2hf-app.desktop"
    assert component.findtext("project_license") == "GPL-3.0-or-later"
    rights = plistlib.loads((FROZEN / "macos" / "entitlements.plist").read_bytes())
    assert rights
    assert all(value is True for value in rights.values())


@pytest.mark.parametrize("script", ["macos/make_dmg.sh", "linux/AppRun"])
def test_shell_scripts_parse(script: str) -> None:
    subprocess.run(["bash", "-n", str(FROZEN / script)], check=True)


def test_the_windows_script_refers_to_what_the_recipe_makes() -> None:
    script = (FROZEN / "windows" / "m2hf-app.iss").read_text()
    for name in ("m2hf-app-window.exe", "licences\\COPYRIGHT", "..\\icons\\m2hf-app.ico"):
        assert name in script
    sections = [line for line in script.splitlines() if line.startswith("[")]
    assert sections == ["[Setup]", "[Files]", "[Icons]", "[Tasks]", "[Registry]", "[Run]", "[Code]"]


def test_every_required_distribution_is_listed_with_a_licence(notices) -> None:
    listed = {item.name: item for item in notices.shipped()}
    assert {"m2hf-app", "torch", "av", "SQLAlchemy"} <= set(listed)
    assert "pytest" not in listed
    assert listed["torch"].version == version("torch")
    unknown = [name for name, item in listed.items() if not notices.licence_of(item)]
    assert unknown == []


def test_the_sbom_holds_x264_with_its_digest(notices) -> None:
    document = json.loads(json.dumps(notices.sbom([distribution("av")])))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    references = [component["bom-ref"] for component in document["components"]]
    assert len(references) == len(set(references))
    (x264,) = [c for c in document["components"] if c["name"].startswith("libx264")]
    assert len(x264["hashes"][0]["content"]) == 64


@pytest.mark.skipif(
    not Path("/usr/share/common-licenses/GPL-3").is_file(), reason="the GPL's text is not here"
)
def test_notices_carry_the_licence_texts(notices, tmp_path: Path) -> None:
    notices.write_notices(tmp_path / "licences")
    folder = tmp_path / "licences"
    assert "GNU GENERAL PUBLIC LICENSE" in (folder / "GPL-3").read_text()
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert list((folder / "torch").iterdir())
    assert f"| torch | {version('torch')} |" in (folder / "COMPONENTS.md").read_text()


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    (tmp_path / "dist" / "m2hf-app").mkdir(parents=True)
    command = [sys.executable, str(FROZEN / "build.py"), "inno", "--keep", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "iscc is not on the PATH" in done.stderr
    assert "Traceback" not in done.stderr
