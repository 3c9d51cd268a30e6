"""A run's figures as they come: a JSON line each, and the same for TensorBoard where it is installed."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from m2hf_core.aside import explained, write_aside
from m2hf_core.training.runfolder import EVENTS, GOES_ON, METRICS

log = logging.getLogger(__name__)

Row = dict[str, Any]


def read_metrics(folder: Path) -> list[Row]:
    """Every whole line, in order; a line that a kill has cut short is no line."""
    path = folder / METRICS
    rows: list[Row] = []
    if not path.is_file():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class MetricsLog:
    """Writes one phase from `after` on: what a killed run wrote beyond its last checkpoint is taken back first."""

    def __init__(self, folder: Path, phase: str, after: int) -> None:
        """`after`: number of the phase's last step that the checkpoint knows, 0 at the beginning."""
        self._phase = phase
        kept = [row for row in read_metrics(folder) if row["phase"] != phase or row["step"] <= after]
        with explained(folder / METRICS, GOES_ON):
            write_aside(folder / METRICS, "".join(json.dumps(row) + "\n" for row in kept).encode())
            self._file = (folder / METRICS).open("a", encoding="utf-8")
        self._path = folder / METRICS
        self._events = _open_events(folder / EVENTS, kept)

    def add(self, row: Mapping[str, Any]) -> None:
        """`row` has "step" and "event"; every number in it becomes a curve. Raises `DiskFull`."""
        row = {"phase": self._phase, **row}
        with explained(self._path, GOES_ON):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        _add_curves(self._events, row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()


def _open_events(folder: Path, kept: list[Row]) -> Any:
    """TensorBoard's writer, fed with what is kept of a resumed run; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        # A frozen program has no pip, and never has TensorBoard; its curves are in metrics.jsonl and the report.
        if not getattr(sys, "frozen", False):
            log.warning(
                "TensorBoard is not installed, so no event files are written: pip install 'm2hf-app[train]'"
            )
        return None
    shutil.rmtree(folder, ignore_errors=True)
    events = SummaryWriter(str(folder))
    for row in kept:
        _add_curves(events, row)
    return events


def _add_curves(events: Any, row: Mapping[str, Any]) -> None:
    if events is None:
        return
    for name, value in _numbers(row, f"{row['phase']}/{row['event']}/"):
        events.add_scalar(name, value, row["step"])


def _numbers(row: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((f"{prefix}{name}", float(value)))
    return found
