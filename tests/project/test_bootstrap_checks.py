"""The bootstrap's `test`: which tiers run, what their ends mean, how they are counted and told."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Part = Callable[[str], ModuleType]


def marked(part: Part, everything: bool) -> dict[str, str]:
    return {tier.name: tier.marks for tier in part("_checks").tiers(everything, 7)}


# Every mix of markers that a test that needs no GPU can have.
MIXES = [
    frozenset(name for bit, name in enumerate(("gui", "slow", "faults", "release")) if mix >> bit & 1)
    for mix in range(16)
]


def chosen_by(expression: str, marks: frozenset[str], default: str) -> bool:
    """pytest's `-m`: the names that a test carries are true."""
    names = {name: name in marks for name in ("gui", "slow", "faults", "release", "gpu")}
    return bool(eval(expression or default, {}, names))


@pytest.mark.parametrize("marks", MIXES, ids=lambda marks: "+".join(sorted(marks)) or "plain")
def test_each_test_that_needs_no_gpu_runs_in_all(part: Part, root: Path, marks: frozenset[str]) -> None:
    options = part("_environment").read_project(root)["tool"]["pytest"]["ini_options"]["addopts"]
    default = options[options.index("-m") + 1]
    hits = [name for name, tier in marked(part, True).items() if chosen_by(tier, marks, default)]
    assert len(hits) >= 1
    assert not any(chosen_by(tier, marks | {"gpu"}, default) for tier in marked(part, True).values())


def test_the_short_run_leaves_out_what_takes_long(part: Part) -> None:
    for marks in ({"slow"}, {"slow", "gui"}, {"slow", "faults"}, {"release"}):
        default = "not slow and not gui and not faults and not gpu and not release"
        assert not any(chosen_by(tier, frozenset(marks), default) for tier in marked(part, False).values())


def test_fault_tests_get_their_seed_and_length(part: Part) -> None:
    settings = {tier.name: tier.settings for tier in part("_checks").tiers(True, 7)}
    assert settings["faults, long"]["M2HF_FAULT_SEED"] == "7"
    assert settings["faults, long"]["M2HF_FAULTS"] == "long"


def test_an_empty_tier_is_told_but_only_the_ordinary_one_must_have_tests(part: Part) -> None:
    checks = part("_checks")
    ordinary, window, _ = checks.tiers(False, 1)
    empty = checks.judge(window, checks.NO_TESTS, checks.Counts(), 0.1)
    assert (empty.ok, empty.verdict) == (True, "no tests in this tier yet")
    assert not checks.judge(ordinary, checks.NO_TESTS, checks.Counts(), 0.1).ok


def test_a_pytest_that_died_is_a_failure_that_counts(part: Part) -> None:
    checks = part("_checks")
    died = checks.judge(checks.tiers(False, 1)[0], -11, None, 0.1)
    assert not died.ok
    assert died.counts.failed == 1


SAMPLE = """
import pytest
def test_good(): pass
def test_bad(): assert 0
@pytest.mark.skip(reason="a sample")
def test_skipped(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_error(broken): pass
"""


def test_counts_are_pytests_own(part: Part, tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "."]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    counts = part("_checks").read_counts(report)
    assert str(counts) == "1 passed, 2 failed, 1 skipped"
    assert part("_checks").read_counts(tmp_path / "none.xml") is None


def test_a_test_that_hangs_ends_its_tier(
    part: Part, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where no signal gets through, as in a library that waits for itself."""
    (tmp_path / "test_waits.py").write_text("import time\n\ndef test_waits():\n    time.sleep(60)\n", "utf-8")
    checks, voice = part("_checks"), part("_voice")
    result = checks.run_tier(
        tmp_path, Path(sys.prefix), checks.Tier("waiting", hangs_s=1), voice.Voice(io.StringIO())
    )
    assert (result.ok, result.counts.failed) == (False, 1)
    assert result.seconds < 30
    assert "test_waits.py" in capfd.readouterr().err


def test_a_thread_that_a_test_leaves_ends_with_its_tier(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python waits for it for ever, after all tests are over."""
    lines = (
        "import threading",
        "def test_leaves():",
        "    threading.Thread(target=threading.Event().wait).start()",
    )
    (tmp_path / "test_leaves.py").write_text("\n".join(lines), "utf-8")
    checks, voice = part("_checks"), part("_voice")
    monkeypatch.setattr(checks, "ENDS_S", 1.0)
    result = checks.run_tier(tmp_path, Path(sys.prefix), checks.Tier("leaving"), voice.Voice(io.StringIO()))
    assert (result.ok, result.counts.passed) == (False, 1)
    assert result.seconds < 30


def test_the_table_and_the_last_line(
    part: Part, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step runs although the first has failed; the closing line stands alone."""
    checks, voice = part("_checks"), part("_voice")
    run: list[str] = []

    def check(_root: Path, _folder: Path, name: str, _command: object, _voice: object) -> object:
        run.append(name)
        return checks.Result(name, name != "ruff check", "passed", 1.0)

    def tier(_root: Path, _folder: Path, tier: object, _voice: object) -> object:
        run.append(tier.name)  # type: ignore[attr-defined]
        return checks.Result("pytest", True, "3 passed", 2.5, checks.Counts(3, 0, 1))

    monkeypatch.setattr(checks, "run_check", check)
    monkeypatch.setattr(checks, "run_tier", tier)
    said = io.StringIO()
    assert checks.run_all(root, tmp_path, voice.Voice(said), False) == 1
    assert len(run) == 7
    lines = said.getvalue().splitlines()
    assert lines[-1] == "9 passed, 0 failed, 3 skipped"
    assert lines[-2] == "Failed: ruff check"
    assert sum(line.endswith("2.5") for line in lines) == 3


def test_a_program_is_watched_to_its_end(part: Part) -> None:
    voice = part("_voice")
    heard: list[str | None] = []

    def describe(line: str | None) -> str:
        heard.append(line)
        return line or ""

    program = "import sys, time; print('one'); time.sleep(0.7); sys.exit('two')"
    outcome = voice.watch([sys.executable, "-u", "-c", program], voice.Voice(io.StringIO()), describe)
    assert outcome.code == 1
    assert outcome.lines == ("one", "two")
    assert None in heard  # time passed and was shown


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
def test_an_interrupt_ends_the_watched_program_and_what_it_started(part: Part, tmp_path: Path) -> None:
    voice, heard = part("_voice"), tmp_path / "pid"
    sleeper = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}])"

    def describe(line: str | None) -> str:
        if line is None:
            return ""
        heard.write_text(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        voice.watch([sys.executable, "-c", program], voice.Voice(io.StringIO()), describe)
    grandchild = int(heard.read_text())
    deadline = time.monotonic() + 20
    while (
        Path(f"/proc/{grandchild}/cmdline").exists()
        and b"sleep" in Path(f"/proc/{grandchild}/cmdline").read_bytes()
    ):
        assert time.monotonic() < deadline, "the grandchild goes on"
        time.sleep(0.05)


def test_failures_are_told_with_last_words_sentence_and_remedy(part: Part) -> None:
    voice, said = part("_voice"), io.StringIO()
    voice.Voice(said).failure(voice.Stop("It broke.", "Mend it.", ["last words"]))
    assert said.getvalue() == "    | last words\n\nIt broke.\nMend it.\n"


def test_the_command_line(part: Part, root: Path) -> None:
    commands = part("_commands")
    assert commands.parser().parse_args(["test", "--all"]).all
    assert commands.parser().parse_args(["run", "--data-dir", "x"]).data_dir == Path("x")
    told = subprocess.run(
        [sys.executable, root / "installers/bootstrap.py"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert "usage" in told.stderr
