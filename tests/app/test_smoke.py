"""`doctor --smoke`: a failing or talking program is found out, and nothing reaches the network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.services import smoke

PROBE = "import app, socket; socket.create_connection(('{host}', 9), timeout=0.2)"


def connect(host: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(host=host)],
        env={**os.environ, "M2HF_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "2001:db8::1"])
def test_cut_off_means_cut_off(host: str) -> None:
    assert "NetworkUsed" in connect(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_no_network(host: str) -> None:
    assert "NetworkUsed" not in connect(host)  # refused by the closed port, not by us


def said_by(monkeypatch: pytest.MonkeyPatch, script: str) -> list[smoke.Finding]:
    monkeypatch.setattr(smoke, "own_command", lambda *words: [sys.executable, "-c", script])
    return smoke.smoke()


def test_a_warning_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = said_by(monkeypatch, "import sys; print('{}'); sys.stderr.write('DeprecationWarning: x')")
    assert not finding.ok
    assert "unexpected output: DeprecationWarning: x" in finding.found


def test_chatter_on_standard_output_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = said_by(monkeypatch, "print('loading'); print('{}')")
    assert not finding.ok
    assert finding.found.endswith(": loading")


def test_a_failing_command_is_told_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = said_by(monkeypatch, "import sys; sys.exit('m2hf-app: no room')")
    assert not finding.ok
    assert "ended with code 1: m2hf-app: no room" in finding.found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_program_as_it_is_installed_here() -> None:
    findings = smoke.smoke()
    assert [finding.check for finding in findings] == [
        "smoke: demo",
        "smoke: figures",
        "smoke: search",
        "smoke: hits",
    ]
    assert all(finding.ok for finding in findings), findings


def test_a_machine_that_is_too_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "TIMEOUT_S", 0.01)
    (finding,) = said_by(monkeypatch, "import time; time.sleep(60)")
    assert not finding.ok
    assert "did not end within" in finding.found
