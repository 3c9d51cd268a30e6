"""How fast pictures come out, against a plain OpenCV loop over the same files.

`python -m m2hf_core.media.measure FOLDER` prints one JSON document; the README's figures come from here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import av
import cv2

from m2hf_core.errors import UnreadableMedia
from m2hf_core.media.container import open_media, pick_video
from m2hf_core.media.frames import THREADS, Strategy, read_frames
from m2hf_core.media.info import probe, times_grid
from m2hf_core.media.packets import VideoDecoder, read_packets
from m2hf_core.records import MediaInfo

_DENSE_S, _SPARSE_S = 1.0, 10.0
_MAX_SIDE = 336

T = TypeVar("T")
Clock = Callable[[], float]


def measure(folder: Path, threads: int = THREADS, clock: Clock = time.perf_counter) -> dict[str, object]:
    """Figures over all readable videos below `folder`: frames decoded and seconds of video served per second.

    `against` holds the OpenCV loop with the same number of threads, in the same run. The clock counts waiting
    too, as owners feel it; on a busy machine `time.process_time` (all threads' work) compares more fairly.
    """

    def timed(work: Callable[[], T]) -> tuple[T, float]:
        began = clock()
        result = work()
        return result, clock() - began

    infos = readable(folder)
    seconds = sum(info.duration_s for info in infos)
    frames, ours_s = timed(lambda: sum(decode_all(info.path, threads) for info in infos))
    grabbed, grab_s = timed(lambda: sum(opencv_grid(info, None, threads) for info in infos))
    figures = {
        "decode_frames_per_s": frames / ours_s,
        "probe_ms": 1000 * timed(lambda: readable(folder))[1] / len(infos),
    }
    strategies: tuple[Strategy, ...] = ("stream", "skip", "seek", "auto")
    for name, step_s in (("dense", _DENSE_S), ("sparse", _SPARSE_S)):
        for strategy in strategies:
            _, took_s = timed(lambda: [_grid(info, step_s, threads, strategy) for info in infos])  # noqa: B023
            figures[f"{name}_{strategy}_video_s_per_s"] = seconds / took_s
    _, dense_s = timed(lambda: [opencv_grid(info, _DENSE_S, threads) for info in infos])
    _, sparse_s = timed(lambda: [opencv_grid(info, _SPARSE_S, threads) for info in infos])
    return {
        "machine": {
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "av": av.__version__,
            "opencv": cv2.__version__,
            "threads": threads,
            "clock": clock.__name__,
        },
        "sizes": {"videos": len(infos), "seconds": seconds, "frames": frames, "opencv_frames": grabbed},
        "figures": figures,
        "against": {
            "opencv_grab_frames_per_s": grabbed / grab_s,
            "opencv_dense_video_s_per_s": seconds / dense_s,
            "opencv_sparse_video_s_per_s": seconds / sparse_s,
        },
    }


def readable(folder: Path) -> list[MediaInfo]:
    """What is below `folder` and can be decoded, by path."""
    infos = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                infos.append(probe(path))
            except UnreadableMedia:
                continue  # a folder may hold other files too; what was measured stands in "sizes"
    return infos


def decode_all(path: Path, threads: int) -> int:
    """Decode every frame and look at none; how many there were."""
    with open_media(path) as container:
        video = pick_video(container)
        decoder = VideoDecoder(video, threads)
        count = sum(len(decoder.decode(packet)) for packet in read_packets(path, container, video))
        return count + len(decoder.decode(None))


def _grid(info: MediaInfo, step_s: float, threads: int, strategy: Strategy) -> int:
    times = times_grid(info, step_s)
    frames = read_frames(info.path, times, max_side=_MAX_SIDE, threads=threads, strategy=strategy)
    return sum(1 for _ in frames)


def opencv_grid(info: MediaInfo, step_s: float | None, threads: int) -> int:
    """Grab every frame; convert and shrink one per step, where a step is given."""
    video = cv2.VideoCapture(str(info.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    times = [] if step_s is None else times_grid(info, step_s)
    count = 0
    while video.grab():
        count += 1
        if times and video.get(cv2.CAP_PROP_POS_MSEC) / 1000 >= times[0]:
            times.pop(0)
            image = video.retrieve()[1]
            scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    video.release()
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure decoding against a plain OpenCV loop.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--processor-time", action="store_true", help="count work instead of waiting")
    chosen = parser.parse_args(arguments)
    clock = time.process_time if chosen.processor_time else time.perf_counter
    json.dump(measure(chosen.folder, chosen.threads, clock), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
