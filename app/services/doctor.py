"""Examines machine, weights and library: each finding says what was found and, where something is amiss, the remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from app.services.index_health import check_index
from m2hf_core.config.paths import open_paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import KnownError, ModelsMissing
from m2hf_core.hub import get_preset, load_manifest, missing
from m2hf_core.store import WriterLock, health, open_store
from m2hf_core.text import load_nouns

NEEDED_CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "aac", "mp3", "opus", "vorbis")
ROOM_GB = 2.0
GPU_SPEECH = "pip install 'm2hf-app[cuda-speech]'"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    """Whether searching and indexing suffer; what is merely absent by choice is not."""

    def document(self) -> dict[str, object]:
        document = asdict(self)
        del document["needed"]
        return document


def examine(data_dir: Path | None) -> list[Finding]:
    """Every finding, the machine first; a check that fails does not stop the others."""
    return [
        *_machine(),
        *_codecs(),
        *_packages(),
        *_weights(data_dir),
        *_speech(data_dir),
        *_library(data_dir),
        *_index(data_dir),
    ]


def _machine() -> Iterator[Finding]:
    import torch

    cores = os.cpu_count() or 1
    yield Finding(
        "machine",
        True,
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {cores} cores",
    )
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        yield Finding("device", True, f"torch {torch.__version__} on {names}")
    else:
        yield Finding(
            "device", True, f"torch {torch.__version__} on the CPU; extraction is slower than on a GPU"
        )


def _codecs() -> Iterator[Finding]:
    import av

    absent = [name for name in NEEDED_CODECS if name not in av.codecs_available]
    if absent:
        yield Finding(
            "codecs",
            False,
            f"missing: {', '.join(absent)}",
            "Install again: pip install --force-reinstall av",
        )
    else:
        yield Finding("codecs", True, f"{', '.join(NEEDED_CODECS)} can be decoded")


def _packages() -> Iterator[Finding]:
    for package, loss in (
        ("PySide6", "there is no window; every operation is on the command line"),
        ("hnswlib", "only bench search --compare uses it; searches do not need it"),
    ):
        there = importlib.util.find_spec(package) is not None
        remedy = "" if there else f"pip install {package}"
        yield Finding(
            package, there, "installed" if there else f"not installed: {loss}", remedy, needed=False
        )


def _weights(data_dir: Path | None) -> Iterator[Finding]:
    demo = missing(get_preset("demo"))
    yield Finding(
        "demo models",
        not demo,
        "complete" if not demo else f"missing: {', '.join(weight.file for weight in demo)}",
        "" if not demo else "Install the program again.",
    )
    try:
        preset = get_preset(str(Settings.load(open_paths(data_dir)).get("preset")), load_manifest())
    except KnownError as error:
        yield Finding("settings", False, error.sentence, error.hint)
        return
    absent = missing(preset)
    names = ", ".join(weight.id for weight in absent)
    yield Finding(
        "weights",
        not absent,
        f"preset {preset.id}: "
        + (
            "complete"
            if not absent
            else f"not here: {names}. Speech from subtitles and file names still work"
        ),
        "" if not absent else f"m2hf-app models prepare {preset.id}",
        needed=False,
    )
    nouns = load_nouns()
    yield Finding(
        "nouns",
        nouns.mode == "tagger",
        "the noun tagger is here"
        if nouns.mode == "tagger"
        else "no noun tagger: all content words serve instead",
        "" if nouns.mode == "tagger" else f"m2hf-app models prepare {preset.id}",
        needed=False,
    )


def _speech(data_dir: Path | None) -> Iterator[Finding]:
    """Whether what listens really does: its runtime may want another CUDA than the one that is here."""
    from m2hf_core.features.device import resolve_device
    from m2hf_core.features.speech import open_speech

    notices: list[str] = []
    try:
        settings = Settings.load(open_paths(data_dir))
        preset = get_preset(str(settings.get("preset")))
        device = resolve_device(str(settings.get("device")).split(",")[0])
        speech = open_speech(preset, device, notices.append)
        if speech is None:
            return
        try:
            ran_on = speech.prove()
        finally:
            speech.close()
    except ModelsMissing:  # said above, with what to do about it
        return
    except KnownError as error:
        yield Finding("speech", False, error.sentence, error.hint)
        return
    where = "the graphics card" if ran_on == "cuda" else "the processor"
    yield Finding("speech", True, f"the network ran on {where}")
    for notice in notices:
        yield Finding("speech", False, notice, GPU_SPEECH, needed=False)


def _library(data_dir: Path | None) -> Iterator[Finding]:
    paths = open_paths(data_dir)
    if not paths.library_db.exists():
        yield Finding("library", True, f"none in {paths.data} yet", "m2hf-app index FOLDER", needed=False)
        return
    free_gb = shutil.disk_usage(paths.data).free / 1e9
    yield Finding(
        "disk",
        free_gb >= ROOM_GB,
        f"{free_gb:.1f} GB free where the library is",
        "" if free_gb >= ROOM_GB else "Free some space, or move the library with M2HF_DATA_DIR.",
    )
    try:
        with open_store(paths) as store:
            for notice in store.notices:
                yield Finding("library", False, notice, "m2hf-app index")
            wrong = health.findings(store)
            if not wrong:
                yield Finding("library", True, f"{paths.data} is sound")
                return
            for sentence in wrong:
                yield Finding("library", False, sentence, "It is mended now where it can be; see below.")
            with WriterLock(paths.writer_lock):
                mended = health.repair(store)
            for done in mended:
                yield Finding("repair", True, done, "m2hf-app index", needed=False)
    except KnownError as error:
        yield Finding("library", False, error.sentence, error.hint)


def _index(data_dir: Path | None) -> Iterator[Finding]:
    """Reads all of the search index, which costs a second per gigabyte or two."""
    health = check_index(open_paths(data_dir).data / "index")
    remedy = "It has been taken away and is made again when the library is opened: m2hf-app search WORDS"
    if health.in_use:
        remedy = "Close the program that uses this library and run m2hf-app doctor again."
    for sentence in health.wrong:
        yield Finding("search index", False, sentence, remedy)
    if health.megabytes and not health.wrong:
        yield Finding("search index", True, f"{health.megabytes} MB are as they were written")
