"""The recipes of the frozen program: what can be checked without freezing it."""

from __future__ import annotations

import ast
import configparser
import gzip
import hashlib
import importlib
import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from types import ModuleType
from typing import TypeGuard
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ROOT / "installers" / "frozen"


SYSTEM_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/libz.so.1")

on_debian = pytest.mark.skipif(not SYSTEM_LIBRARY.is_file(), reason="Debian's libraries are not here")


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FROZEN))
    return importlib.import_module("notices")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FROZEN))
    return importlib.import_module("debian")


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FROZEN))
    return importlib.import_module("build")


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FROZEN))
    return importlib.import_module("contents")


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
    program, *words = section["Exec"].replace("%F", "/videos/sea.mp4 /videos/lake").split()
    assert program == "m2hf-app"
    from app.cli.main import build_parser

    assert build_parser().parse_args(words).paths == [Path("/videos/sea.mp4"), Path("/videos/lake")]
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
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(FROZEN / script)], check=True)


def test_macos_opens_the_program_without_a_console() -> None:
    """PyInstaller would take the first program of the folder."""
    nodes = list(ast.walk(ast.parse((FROZEN / "m2hf-app.spec").read_text())))
    programs = {
        words["name"]: words["console"]
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "EXE"
        for words in [{k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}]
    }
    assert programs == {"m2hf-app": True, "m2hf-app-window": False}
    (plist,) = (ast.literal_eval(node.value) for node in nodes if is_plist(node))
    assert programs[plist["CFBundleExecutable"]] is False


def is_plist(node: ast.AST) -> TypeGuard[ast.keyword]:
    return isinstance(node, ast.keyword) and node.arg == "info_plist"


@pytest.fixture
def sections() -> dict[str, list[str]]:
    """The Windows script: section -> its lines, continued ones joined; comments and preprocessor lines left out."""
    text = (FROZEN / "windows" / "m2hf-app.iss").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            lines = found[line.strip("[]")] = []
        elif line.strip() and not line.lstrip().startswith((";", "//", "#")):
            lines.append(line.rstrip())
    return found


def entries(lines: list[str]) -> list[dict[str, str]]:
    """`Name: "a; b"; Flags: c` as a dictionary per line."""
    found = []
    for line in lines:
        rest = re.sub(r'\s*(\w+): ("(?:[^"]|"")*"|[^";]*)(;|$)', "", line)
        assert not rest.strip(), f"not understood: {rest}"
        found.append({k: v.strip('"') for k, v in re.findall(r'(\w+): ("(?:[^"]|"")*"|[^";]*)(?:;|$)', line)})
    return found


def test_the_windows_script_parses(sections: dict[str, list[str]]) -> None:
    assert list(sections) == ["Setup", "Files", "Icons", "Tasks", "Registry", "Run", "Code"]
    settings = dict(line.split("=", 1) for line in sections["Setup"])
    assert {"AppId", "AppName", "AppVersion", "DefaultDirName", "OutputDir"} <= settings.keys()
    assert (FROZEN / "windows" / settings["SetupIconFile"].replace("\\", "/")).is_file()
    assert settings["LicenseFile"] == r"{#Folder}\licences\COPYRIGHT"
    asked = {name: entries(lines) for name, lines in sections.items() if name not in ("Setup", "Code")}
    started = {Path(e["Filename"].replace("\\", "/")).name for e in asked["Icons"] + asked["Run"]}
    assert started == {"m2hf-app-window.exe"}
    tasks = {entry["Name"] for entry in asked["Tasks"]}
    assert {e["Tasks"] for lines in asked.values() for e in lines if "Tasks" in e} == tasks


def test_the_windows_scripts_code_is_whole(sections: dict[str, list[str]]) -> None:
    code = "\n".join(sections["Code"])
    assert len(re.findall(r"\bbegin\b", code)) == len(re.findall(r"\bend;", code)) > 0
    assert code.count("(") == code.count(")")
    defined = set(re.findall(r"^(?:function|procedure) (\w+)", code, flags=re.MULTILINE))
    called = " ".join(sections["Registry"])
    used = set(re.findall(r"\{code:(\w+)", called)) | set(re.findall(r"Check: (\w+)", called))
    assert used < defined
    assert defined - used == {"Place", "CurUninstallStepChanged"}, "called by the others, and by the setup"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A build as PyInstaller leaves it: its lists, and a folder with one file of each owner."""
    (x264,) = (file for file in distribution("av").files or () if file.name.startswith("libx264"))
    taken = {
        f"av.libs/{x264.name}": (Path(str(x264.locate())), "BINARY"),
        "lib-dynload/json.py": (Path(json.__file__), "DATA"),
        "m2hf_core/resources/models.json": (ROOT / "resources" / "models.json", "DATA"),
        SYSTEM_LIBRARY.name: (SYSTEM_LIBRARY, "BINARY"),
    }
    inside, work = tmp_path / "dist" / "_internal", tmp_path / "work"
    work.mkdir()
    for place, (source, _) in taken.items():
        (inside / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, inside / place)
    rows = [(place, str(source), kind) for place, (source, kind) in taken.items()]
    rows.append(("libx264.so", f"av.libs/{x264.name}", "SYMLINK"))
    (inside / "libx264.so").symlink_to(f"av.libs/{x264.name}")
    module = str(distribution("torch").locate_file("torch/version.py"))
    (work / "COLLECT-00.toc").write_text(repr((rows, None)))
    (work / "PYZ-00.toc").write_text(
        repr(("PYZ", [("torch.version", module, "PYMODULE"), ("a", "-", "PYMODULE")]))
    )
    (work / "PKG-00.toc").write_text(repr([("pyi-contents-directory _internal", "", "OPTION")]))
    return tmp_path


@on_debian
def test_every_file_has_an_owner(made: Path, contents: ModuleType) -> None:
    owners = {piece.place: (piece.kind, piece.owner) for piece in contents.pieces(made / "work", ROOT)}
    assert owners.pop("") == ("distribution", "torch")
    assert owners.pop("lib-dynload/json.py") == ("Python", "Python")
    assert owners.pop("m2hf_core/resources/models.json") == ("the program", "the program")
    assert owners.pop(SYSTEM_LIBRARY.name) == ("system", "zlib1g")
    assert list(owners.values()) == [("distribution", "av")]


@on_debian
def test_a_file_of_nobody_stops_the_build(made: Path, contents: ModuleType, notices: ModuleType) -> None:
    pieces = contents.pieces(made / "work", ROOT)
    (made / "dist" / "_internal" / "stray.so").touch()
    with pytest.raises(LookupError, match=r"stray\.so"):
        notices.components(made / "dist", pieces)


@on_debian
def test_notices_and_sbom_are_of_what_is_inside(
    made: Path, contents: ModuleType, notices: ModuleType
) -> None:
    pieces = contents.pieces(made / "work", ROOT)
    folder = made / "dist" / "licences"
    notices.write_notices(folder, made / "dist", pieces)
    assert "GNU GENERAL PUBLIC LICENSE" in (folder / "GPL-3").read_text()
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert list((folder / "torch").iterdir())
    assert list((folder / "zlib1g").iterdir())
    table = (folder / "COMPONENTS.md").read_text()
    assert f"| torch | {version('torch')} | BSD" in table
    assert "numpy" not in table, "is installed, and not inside"
    document = json.loads((folder / "sbom.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    references = [component["bom-ref"] for component in document["components"]]
    assert len(references) == len(set(references)) == 5
    (x264,) = [c for c in document["components"] if c["name"].startswith("libx264")]
    (file,) = (made / "dist" / "_internal" / "av.libs").iterdir()
    assert x264["hashes"][0]["content"] == hashlib.sha256(file.read_bytes()).hexdigest()


@on_debian
def test_what_a_wrapping_takes_out_is_not_listed(
    made: Path, contents: ModuleType, notices: ModuleType
) -> None:
    pieces = contents.pieces(made / "work", ROOT)
    (made / "dist" / "_internal" / SYSTEM_LIBRARY.name).unlink()
    assert [one.name for one in notices.components(made / "dist", pieces)] == ["av", "Python", "torch"]


@on_debian
@pytest.mark.skipif(shutil.which("dpkg-shlibdeps") is None, reason="Debian's dpkg-dev is not here")
def test_the_debian_package_gives_the_system_its_libraries_back(
    made: Path, contents: ModuleType, debian: ModuleType
) -> None:
    """A package of a program that is /bin/true, beside PyAV's library and one of the system's."""
    pieces = contents.pieces(made / "work", ROOT)
    folder = made / "dist"
    shutil.copyfile("/bin/true", folder / "m2hf-app")
    (folder / "m2hf-app").chmod(0o755)
    icon = ROOT / "resources" / "icons" / "app.svg"
    package = debian.build_deb(folder, made, FROZEN / "linux", icon, pieces)
    place = made / "unpacked"
    subprocess.run(["dpkg-deb", "-R", str(package), str(place)], check=True)
    assert not (place / "opt" / "m2hf-app" / "_internal" / SYSTEM_LIBRARY.name).exists()
    assert (folder / "_internal" / SYSTEM_LIBRARY.name).exists(), "the folder itself stays whole"
    assert (place / "usr" / "bin" / "m2hf-app").readlink() == Path("/opt/m2hf-app/m2hf-app")
    subprocess.run([place / "opt" / "m2hf-app" / "m2hf-app"], check=True)
    control = dict(
        line.split(": ", 1)
        for line in (place / "DEBIAN" / "control").read_text().splitlines()
        if ": " in line
    )
    assert control["Version"] == version("m2hf-app")
    assert "libc6 (>= " in control["Depends"]
    assert "libegl1" in control["Depends"].split(", ")
    subprocess.run(
        ["md5sum", "--check", "--strict", "--quiet", "DEBIAN/md5sums"],
        cwd=place,
        check=True,
        stdout=sys.stderr,
    )
    sums = (place / "DEBIAN" / "md5sums").read_text().splitlines()
    files = [file for file in place.rglob("*") if file.is_file() and not file.is_symlink()]
    assert len(sums) == len(files) - 2, "all but control and the sums themselves"
    assert "zlib1g" not in (place / "opt" / "m2hf-app" / "licences" / "COMPONENTS.md").read_text()
    with gzip.open(place / "usr" / "share" / "man" / "man1" / "m2hf-app.1.gz") as manual:
        assert manual.readline().startswith(b".TH M2HF-APP")


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
def test_the_appimages_folder_starts_the_program(
    made: Path, monkeypatch: pytest.MonkeyPatch, build: ModuleType
) -> None:
    """In place of appimagetool, which is not here, a program that starts what it was given."""
    shutil.copyfile("/bin/echo", made / "dist" / "m2hf-app")
    (made / "dist" / "m2hf-app").chmod(0o755)
    tools = made / "tools"
    tools.mkdir()
    (tools / "appimagetool").write_text('#!/bin/sh\n"$3/AppRun" search "two words" > "$4"\n')
    (tools / "appimagetool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    image = build.appimage(made / "dist", made)
    assert image.read_text() == "search two words\n"
    entry = (made / "AppDir" / "m2hf-app.desktop").read_text()
    (icon,) = (line.partition("=")[2] for line in entry.splitlines() if line.startswith("Icon="))
    assert (made / "AppDir" / f"{icon}.svg").is_file()


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    (tmp_path / "dist" / "m2hf-app").mkdir(parents=True)
    command = [sys.executable, str(FROZEN / "build.py"), "inno", "--keep", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "iscc is not on the PATH" in done.stderr
    assert "Traceback" not in done.stderr
