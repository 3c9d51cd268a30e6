"""Every check and test of the project, run to the end, with a table and one closing line of counts."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from _environment import script_in
from _pip import clean
from _voice import Voice

NO_TESTS = 5  # pytest's exit code when it collected none
NOT_HERE = "not gpu and not release"
HANGS_S, SLOW_HANGS_S = 1_500, 8_000
"""A test that takes so long hangs where no signal reaches it: every thread's place is told and its process ends. Beyond
the longest limit that a test of an ordinary tier, or of a slow one, sets itself."""
ENDS_S = 60.0
"""For how long after its report pytest may take to end."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Tests chosen by marker. Only the ordinary tier must have some."""

    name: str
    marks: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    may_be_empty: bool = True
    parallel: bool = False
    hangs_s: int = HANGS_S


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests of one or all tiers."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table."""

    step: str
    ok: bool
    verdict: str
    seconds: float
    counts: Counts = Counts()


CHECKS = (
    ("ruff check", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("mypy", ("mypy",)),
    ("import-linter", ("lint-imports",)),
)


def tiers(everything: bool, seed: int) -> list[Tier]:
    """The tiers of `test`, or of `test --all`: what a machine without a GPU can do."""
    offscreen = {"QT_QPA_PLATFORM": "offscreen"}
    faults = {**offscreen, "M2HF_FAULT_SEED": str(seed), "M2HF_FAULTS": "long" if everything else "short"}
    chosen = [Tier("tests", settings=offscreen, may_be_empty=False, parallel=True)]
    if not everything:
        return [
            *chosen,
            Tier("window", f"gui and not slow and not faults and {NOT_HERE}", offscreen),
            Tier("faults", f"faults and not slow and {NOT_HERE}", faults, parallel=True),
        ]
    return [
        *chosen,
        Tier("window", f"gui and not faults and {NOT_HERE}", offscreen, hangs_s=SLOW_HANGS_S),
        Tier(
            "slow",
            f"slow and not gui and not faults and {NOT_HERE}",
            offscreen,
            parallel=True,
            hangs_s=SLOW_HANGS_S,
        ),
        Tier("faults, long", f"faults and {NOT_HERE}", faults, parallel=True, hangs_s=SLOW_HANGS_S),
        Tier("release", "release and not gpu", offscreen, hangs_s=SLOW_HANGS_S),
    ]


def run_all(root: Path, folder: Path, voice: Voice, everything: bool) -> int:
    """Run every step whatever fails, print the table and the counts. 1 if any step failed, else 0."""
    # The short tier is the same every time; a long run tries new ground, and says which.
    seed = random.SystemRandom().randrange(1, 2**31) if everything else 1
    results = [run_check(root, folder, name, command, voice) for name, command in CHECKS]
    results += [run_tier(root, folder, tier, voice) for tier in tiers(everything, seed)]
    voice.plain()
    for line in table(results):
        voice.plain(line)
    if everything:
        voice.plain(f"The long fault tests ran with M2HF_FAULT_SEED={seed}.")
    failed = [result.step for result in results if not result.ok]
    if failed:
        voice.plain(f"Failed: {', '.join(failed)}")
    voice.plain(str(sum((result.counts for result in results), Counts())))
    return 1 if failed else 0


def run_check(root: Path, folder: Path, name: str, command: Sequence[str], voice: Voice) -> Result:
    voice.step(name)
    began = time.monotonic()
    code = subprocess.run(
        [str(script_in(folder, command[0])), *command[1:]], cwd=root, env=clean(os.environ), check=False
    ).returncode
    return Result(name, code == 0, "passed" if code == 0 else f"code {code}", time.monotonic() - began)


def run_tier(root: Path, folder: Path, tier: Tier, voice: Voice) -> Result:
    voice.step(f"pytest: {tier.name}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as aside:
        report = Path(aside) / "report.xml"
        command = [str(script_in(folder, "pytest")), "-q", f"--junitxml={report}"]
        command += ["-o", f"faulthandler_timeout={tier.hangs_s}", "-o", "faulthandler_exit_on_timeout=true"]
        command += ["-m", tier.marks] if tier.marks else []
        environment = {**clean(os.environ), "CI": "1", **tier.settings}
        workers = min(4, os.cpu_count() or 1)
        if tier.parallel and workers > 1:
            # A file stays on one worker, so that its expensive fixtures are made once.
            command += ["-n", str(workers), "--dist", "loadfile"]
            environment.setdefault("OMP_NUM_THREADS", "1")
        code = run_to_its_end(command, root, environment, report)
        counts = read_counts(report)
    return judge(tier, code, counts, time.monotonic() - began)


def run_to_its_end(command: Sequence[str], root: Path, environment: dict[str, str], report: Path) -> int:
    """pytest's exit code. Once its report is written it is ended, whatever some test's thread still does."""
    process = subprocess.Popen(command, cwd=root, env=environment)
    try:
        while True:
            written = report.exists()
            try:
                return process.wait(timeout=ENDS_S)
            except subprocess.TimeoutExpired:
                if written:
                    return 1
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def read_counts(report: Path) -> Counts | None:
    """From pytest's JUnit file; None when it wrote none, as after a crash or wrong usage."""
    try:
        suites = list(ElementTree.parse(report).iter("testsuite"))  # noqa: S314 - our own pytest wrote it
    except (FileNotFoundError, ElementTree.ParseError):
        return None
    total = Counts()
    for suite in suites:
        number = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        total += Counts(max(0, number["tests"] - failed - number["skipped"]), failed, number["skipped"])
    return total


def judge(tier: Tier, code: int, counts: Counts | None, seconds: float) -> Result:
    """What a pytest run means for its tier."""
    name = f"pytest: {tier.name}"
    if code == NO_TESTS and tier.may_be_empty:
        return Result(name, True, "no tests in this tier yet", seconds)
    if code == NO_TESTS:
        return Result(name, False, "found no tests", seconds)
    if counts is None:
        return Result(name, False, f"pytest ended with code {code} and no report", seconds, Counts(failed=1))
    return Result(name, code == 0, str(counts), seconds, counts)


def table(results: Sequence[Result]) -> list[str]:
    """Step, result, seconds, in columns."""
    rows = [("step", "result", "seconds")]
    rows += [(r.step, ("" if r.ok else "FAILED: ") + r.verdict, f"{r.seconds:.1f}") for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{step:<{widths[0]}}  {verdict:<{widths[1]}}  {s:>{widths[2]}}" for step, verdict, s in rows]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
