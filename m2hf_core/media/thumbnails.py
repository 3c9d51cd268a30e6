"""Small pictures for lists, written so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

import cv2

from m2hf_core.errors import DiskFull
from m2hf_core.media.picture import Image

_QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 85],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 85],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 80],
}


def save_thumbnail(image: Image, path: Path, side: int = 320) -> None:
    """Write RGB uint8 [H, W, 3] as JPEG or WebP (by `path`'s ending), longer side at most `side`, never enlarged.

    Written aside and renamed. Raises `DiskFull` when there is no room, `ValueError` for another ending.
    """
    if path.suffix.lower() not in _QUALITY:
        raise ValueError(f"thumbnails are .jpg or .webp, not {path.suffix!r}")
    height, width = image.shape[:2]
    if max(height, width) > side:
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    else:
        small = image
    written, encoded = cv2.imencode(
        path.suffix.lower(), cv2.cvtColor(small, cv2.COLOR_RGB2BGR), _QUALITY[path.suffix.lower()]
    )
    assert written
    try:
        _replace(path, encoded.tobytes())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                "There is no space left for thumbnails.",
                "Free some space on the drive of the library.",
                str(error),
            ) from error
        raise


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".part", delete=False
    ) as aside:
        try:
            aside.write(data)
            aside.close()
            os.replace(aside.name, path)
        except BaseException:
            aside.close()
            os.unlink(aside.name)
            raise
