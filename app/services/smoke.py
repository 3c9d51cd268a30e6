"""Tries the whole program as it is installed here: the demo is rendered, indexed and searched without a network.

It runs the program's own commands in processes of their own, so that a frozen build is tried as it will be used. A
line that nobody expects is a failure: a library that warns today is a library that breaks tomorrow.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.services.doctor import Finding
from app.services.itself import own_command
from app.workers.offline import VARIABLE

TIMEOUT_S = 900.0


def smoke() -> list[Finding]:
    """Demo and search, each with what was found. Stops at the first failure, since the rest would only repeat it."""
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="m2hf-smoke-") as folder:
        for finding in _steps(Path(folder)):
            findings.append(finding)
            if not finding.ok:
                break
    return findings


def _steps(folder: Path) -> Iterator[Finding]:
    document, finding = _run("smoke: demo", folder, "demo", "--headless", "--dir", str(folder / "demo"))
    yield finding
    figures = document["t2v"]["honest"]
    found = f"the first hit is right for {figures['R@1']:.0f} % of {document['queries']} queries"
    good = figures["R@1"] > 25.0  # chance is 1 in 48
    remedy = "" if good else "Install the program again; its demo models do not work here."
    yield Finding("smoke: figures", good, found, remedy)
    query = document["search"][0]["query"]
    data = str(folder / "demo" / "seed-0" / "library")
    document, finding = _run("smoke: search", folder, "search", query, "--preset", "demo", "--data-dir", data)
    yield finding
    hits = len(document["hits"])
    yield Finding("smoke: hits", hits > 0, f"{hits} hits for “{query}”", "" if hits else "Install again.")


def _run(check: str, folder: Path, *words: str) -> tuple[dict[str, Any], Finding]:
    """Run one command cut off from the network; its JSON document, and whether it said that and nothing else."""
    environment = {**os.environ, VARIABLE: "1", "HF_HUB_OFFLINE": "1", "M2HF_DATA_DIR": str(folder / "data")}
    began = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - this very program, in words of our own
            own_command(*words, "--json"),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        remedy = "Try again when the machine has less to do."
        return {}, Finding(check, False, f"did not end within {TIMEOUT_S / 60:.0f} minutes", remedy)
    took = f"in {time.monotonic() - began:.0f} s, without a network"
    remedy = "Install the program again, or report this line."
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return {}, Finding(check, False, f"ended with code {done.returncode}: {last}", remedy)
    if done.stderr.strip():
        return {}, Finding(check, False, f"unexpected output: {done.stderr.strip().splitlines()[0]}", remedy)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        line = (done.stdout.strip().splitlines() or ["nothing"])[0]
        return {}, Finding(check, False, f"unexpected output instead of one document: {line}", remedy)
    return document, Finding(check, True, took)
