"""The frozen program's first line: worker processes start here too, and must not become a second program."""

from __future__ import annotations

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()  # a spawned worker is served here and never returns
    if sys.argv[1:] == ["--speech-process"]:  # what a frozen worker starts instead of `python -m`
        from m2hf_core.features.speech_process import main

        main()
    else:
        from app.cli.main import run

        run()
