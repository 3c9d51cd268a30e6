"""The process that runs errands for the window: a picture, a vector, a cut; quick to start, and free to die.

It imports what an errand needs when the first one of its kind comes: pictures need no torch.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.workers.parent import die_with_parent
from m2hf_core.errors import KnownError, UnreadableMedia

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from m2hf_core.features import ImageExtractor


@dataclass(frozen=True, slots=True)
class Errand:
    """`what` names a function of `ERRANDS`; the arguments travel."""

    number: int
    what: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """The answer, or the error that it ended in."""

    number: int
    value: Any
    error: KnownError | None = None


def thumbnail(video: Path, at_s: float, side: int, target: Path) -> Path:
    """The frame shown at `at_s`, its longer side at most `side`, written to `target` (.jpg or .webp)."""
    from m2hf_core.media import read_frames, save_thumbnail

    frame = next(iter(read_frames(video, [at_s], max_side=side)))
    save_thumbnail(frame.image, target, side)
    return target


def identify(video: Path) -> str:
    from m2hf_core.media import fingerprint_file

    return fingerprint_file(video)


def encode_image(preset: str, picture: Path) -> Any:
    """float32 [d] of a picture, or of a video's first frame, by the preset's image tower; not normalised."""
    import numpy as np

    tower = _tower(preset)
    return np.asarray(tower.encode(_pixels(picture)[None])[0], np.float32)


def cut(video: Path, start_s: float, end_s: float, target: Path) -> Path:
    """[start_s, end_s) as a file of its own: copied, from the key frame before, where that goes; else encoded."""
    from m2hf_core.media import cutting

    if target.exists():
        raise KnownError(f"{target} is there already.", "Choose another name, or move it away.")
    try:
        return cutting.cut(video, start_s, end_s, target).path
    except KnownError:
        return cutting.cut(video, start_s, end_s, target, exact=True).path


ERRANDS: dict[str, Callable[..., Any]] = {
    "thumbnail": thumbnail,
    "identify": identify,
    "encode_image": encode_image,
    "cut": cut,
}


def errand_main(pipe: Connection[Any, Any]) -> None:
    """Entry point of the process; returns when the pipe closes."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    while True:
        try:
            errand: Errand = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        pipe.send(run(errand))


def run(errand: Errand) -> Brought:
    """Whatever goes wrong with one errand is its answer."""
    try:
        return Brought(errand.number, ERRANDS[errand.what](*errand.arguments))
    except KnownError as error:
        return Brought(errand.number, None, error)
    except OSError as error:
        what, why = error.filename or "The file", error.strerror or type(error).__name__
        known = KnownError(f"{what} could not be read or written ({why}).", "", str(error))
        return Brought(errand.number, None, known)
    except Exception as error:  # noqa: BLE001 - the border of the process: a bug costs one errand, and is told
        reason = f"The program failed on this file ({type(error).__name__}: {error})."
        return Brought(errand.number, None, KnownError(reason, "Please report it."))


@cache
def _tower(preset: str) -> ImageExtractor:
    import torch

    from m2hf_core.features.clip import open_image_tower
    from m2hf_core.hub import get_preset

    torch.set_num_threads(max(1, torch.get_num_threads() // 2))  # the window and the search keep the rest
    return open_image_tower(get_preset(preset))


def _pixels(picture: Path) -> Any:
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(picture) as opened:
            upright = ImageOps.exif_transpose(opened) or opened
            return np.asarray(upright.convert("RGB"), np.uint8)
    except UnidentifiedImageError:
        from m2hf_core.media import read_frames

        return next(iter(read_frames(picture, [0.0]))).image
    except (
        OSError,
        SyntaxError,
    ) as error:  # what Pillow raises for a picture that begins well and then breaks off
        if getattr(error, "errno", None) is not None:
            raise
        raise UnreadableMedia(
            f"{picture.name} is damaged or incomplete.", "Save or copy the picture again.", str(error)
        ) from error
    except Image.DecompressionBombError as error:
        raise KnownError(
            f"{picture.name} is too large a picture.", "Make it smaller first.", str(error)
        ) from error
