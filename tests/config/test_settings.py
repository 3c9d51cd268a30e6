"""Settings: declared once, checked on the way in, and never half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2hf_core.config.paths import Paths
from m2hf_core.config.settings import DECLARED, Settings
from m2hf_core.errors import EXIT_USAGE, DiskFull, KnownError, UsageError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "library")


def test_defaults_pass_their_own_checks(paths: Paths) -> None:
    settings = Settings.load(paths)
    for name, setting in DECLARED.items():
        assert settings.get(name) == setting.default == setting.parse(setting.default)
        assert setting.help.endswith(".")
    assert settings.get("preset") == "fast"
    assert settings.get("fusion") == "mmbf"
    assert not paths.data.exists(), "reading creates nothing"


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("preset", "many-languages", "many-languages"),
        ("fusion", "rrf", "rrf"),
        ("device", "cuda:0,cuda:1", "cuda:0,cuda:1"),
        ("ignore", " *.tmp, Trash/* ,*.tmp,", ("*.tmp", "Trash/*")),
        ("ignore", ["a", "b"], ("a", "b")),
        ("ignore", "", ()),
    ],
)
def test_what_is_set_stays_set(paths: Paths, name: str, typed: object, value: object) -> None:
    Settings.load(paths).set(name, typed)
    assert Settings.load(paths).get(name) == value
    assert [file.name for file in paths.data.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("preset", "../x"),
        ("preset", ""),
        ("fusion", "MMBF"),
        ("device", "gpu"),
        ("device", "cpu,cuda:0"),
        ("ignore", 3),
        ("ignore", [1]),
        ("nonsense", "1"),
    ],
)
def test_bad_values_change_nothing(paths: Paths, name: str, typed: object) -> None:
    settings = Settings.load(paths)
    settings.set("fusion", "rrf")
    before = paths.settings.read_bytes()
    with pytest.raises(UsageError) as caught:
        settings.set(name, typed)
    assert caught.value.exit_code == EXIT_USAGE
    assert paths.settings.read_bytes() == before
    assert settings.get("fusion") == "rrf"


def test_unknown_name_tells_the_known_ones(paths: Paths) -> None:
    with pytest.raises(UsageError, match="preset, fusion, device"):
        Settings.load(paths).get("presett")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"colour": "red"}', "'colour' that this version does not know"),
        ('{"fusion": "best"}', "'best' for fusion"),
        ("\x00\x01", "damaged"),
    ],
)
def test_a_damaged_file_gets_a_sentence(paths: Paths, content: str, says: str) -> None:
    paths.data.mkdir()
    paths.settings.write_text(content, encoding="utf-8")
    with pytest.raises(KnownError, match=says) as caught:
        Settings.load(paths)
    assert str(paths.settings) in caught.value.sentence
    assert caught.value.hint


def test_a_failed_write_leaves_the_old_file(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(paths)
    settings.set("fusion", "rrf")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DiskFull, match=r"no room left for settings\.json"):
        settings.set("fusion", "mean-rank")
    monkeypatch.undo()
    assert Settings.load(paths).get("fusion") == "rrf" == settings.get("fusion")
    assert [file.name for file in paths.data.iterdir()] == ["settings.json"]


def test_description_is_json_and_complete(paths: Paths) -> None:
    rows = json.loads(json.dumps(Settings.load(paths).describe()))
    assert [row["id"] for row in rows] == list(DECLARED)
    assert {row["kind"] for row in rows} == {"choice", "text", "list"}
    assert all(set(row) >= {"id", "value", "default", "help"} for row in rows)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())))
def test_any_value_is_taken_or_refused_with_a_reason(value: object) -> None:
    refusals = []
    for setting in DECLARED.values():
        try:
            parsed = setting.parse(value)
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert setting.parse(json.loads(json.dumps(parsed))) == parsed
    assert all(reason.startswith("it is") for reason in refusals)
