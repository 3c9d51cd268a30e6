"""The measuring command gives figures that can be read by a program, for everything that is asked of it."""

from __future__ import annotations

import json

from m2hf_core.synthetic.measure import measure


def test_every_figure_that_something_is_asked_of_is_there() -> None:
    report = json.loads(json.dumps(measure(labels=20, arrays=1, files=1, workers=1)))
    assert set(report) == {"machine", "sizes", "figures", "against"}
    assert set(report["against"]) <= set(report["figures"])
    assert all(figure > 0 for name, figure in report["figures"].items() if name.endswith("_per_s"))
