"""Why a file cannot be used, in words for its owner: the one place where technical failures become sentences.

The library's own wording (error numbers, demuxer jargon) goes into `detail` and never into the sentence.
"""

from __future__ import annotations

import errno
from pathlib import Path

from m2hf_core.errors import UnreadableMedia

COPY_AGAIN = "Copy it again from where it came from; if it does not play elsewhere either, remove it."

# How the containers that people have begin, to tell "damaged video" from "no video at all".
_SIGNATURES = (b"\x1a\x45\xdf\xa3", b"OggS", b"FLV\x01", b"\x30\x26\xb2\x75", b"\x00\x00\x01\xba", b"RIFF")
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def empty() -> UnreadableMedia:
    return UnreadableMedia("The file is empty.", COPY_AGAIN)


def no_file(path: Path) -> UnreadableMedia:
    return UnreadableMedia(
        "This is not an ordinary file.",
        "Only files can be searched; give a folder to the library instead.",
        str(path),
    )


def no_video(container: str) -> UnreadableMedia:
    return UnreadableMedia(
        "The file contains no video.",
        "It may be a sound file or a still picture; leave it out of the library.",
        f"no video stream in {container}",
    )


def no_decoder(container: str) -> UnreadableMedia:
    # PyAV keeps a codec's name only where there is a decoder, so the sentence cannot give it.
    return UnreadableMedia(
        "The video track is stored in a form that cannot be decoded here.",
        "Convert it to H.264 in MP4 with a video converter.",
        f"no decoder for the video stream in {container}",
    )


def nothing_decodes(detail: str) -> UnreadableMedia:
    return UnreadableMedia(
        "No picture in the video track can be decoded: the file is damaged.", COPY_AGAIN, detail
    )


def explain(path: Path, error: Exception) -> UnreadableMedia:
    """The reason behind an exception of the operating system or of the container library.

    `path` is looked at once more (its first bytes and its box structure), because the library reports
    one and the same "invalid data" for a cut-off recording, a damaged copy and a text document.
    """
    detail = f"{type(error).__name__}: {error}"
    known = _system_reason(error, detail)
    if known is not None:
        return known
    try:
        with path.open("rb") as file:
            head = file.read(16)
            cut_off = head[4:8] in _ISO_BOXES and not _has_header_box(path)
    except OSError as gone:
        return _system_reason(gone, detail) or _drive(detail)
    if not head:
        return empty()
    if cut_off:
        return UnreadableMedia(
            "The recording was cut off before it was finished: its table of contents is missing.",
            "Copy it again in full, or repair it with the program or camera that recorded it.",
            detail,
        )
    if head.startswith(_SIGNATURES) or head[4:8] in _ISO_BOXES:
        return UnreadableMedia("The video is damaged or was only partly copied.", COPY_AGAIN, detail)
    return UnreadableMedia(
        "This is not a video in a format that can be read here.",
        "If it plays elsewhere, convert it to MP4; if it does not, remove it.",
        detail,
    )


def _system_reason(error: Exception, detail: str) -> UnreadableMedia | None:
    """The operating system's own refusals; None for everything that is about the file's content."""
    if isinstance(error, FileNotFoundError):
        return UnreadableMedia(
            "The file is no longer there.",
            "It was moved, renamed or deleted, or its drive is not connected.",
            detail,
        )
    if isinstance(error, PermissionError) and error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableMedia(
            "This program is not allowed to read the file.",
            "Give your user account permission to read it, or close the program that holds it.",
            detail,
        )
    if isinstance(error, OSError) and type(error).__module__ == "builtins":
        return _drive(detail)
    return None


def _drive(detail: str) -> UnreadableMedia:
    return UnreadableMedia(
        "The drive could not read the file.", "Check the drive and its cable or network, then retry.", detail
    )


def _has_header_box(path: Path) -> bool:
    """Whether an ISO file (mp4, mov, 3gp) has its `moov` or `moof` box whole; walks the top-level boxes only."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1 and len(head) == 16:
                length = int.from_bytes(head[8:16], "big")
            elif length == 0:
                length = size - at
            if head[4:8] in (b"moov", b"moof"):
                return at + length <= size
            if length < 8:
                return False
            at += length
    return False
