"""Reading video files as untrusted input: what they are, their pictures, sound and subtitles by the clock."""

from m2hf_core.media.audio import iter_audio, read_audio
from m2hf_core.media.frames import Frame, read_frames
from m2hf_core.media.identity import fingerprint_file, full_hash
from m2hf_core.media.info import probe, times_grid
from m2hf_core.media.subtitles import read_subtitles
from m2hf_core.media.thumbnails import save_thumbnail

__all__ = [
    "Frame",
    "fingerprint_file",
    "full_hash",
    "iter_audio",
    "probe",
    "read_audio",
    "read_frames",
    "read_subtitles",
    "save_thumbnail",
    "times_grid",
]
