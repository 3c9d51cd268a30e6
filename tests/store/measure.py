"""Times the store at the size of a large library: `python tests/store/measure.py [VIDEOS]`, by default 20,000."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from m2hf_core.config.paths import Paths
from m2hf_core.records import Feature, Line, Transcript
from m2hf_core.store import (
    Store,
    captions,
    clips,
    files,
    folders,
    jobs,
    open_store,
    status,
    transcripts,
)
from m2hf_core.store.commit import Extracted, Heard, commit_extracted
from m2hf_core.store.models import Clip

CAPTIONS = 200_000
COMMITS = 200


@contextmanager
def timed(what: str, times: int = 1) -> Iterator[None]:
    began, busy = time.perf_counter(), time.process_time()
    yield
    took, busy = (time.perf_counter() - began) / times, (time.process_time() - busy) / times
    sys.stdout.write(f"{what:55s}{took * 1000:12.2f} ms{busy * 1000:12.2f} ms of processor\n")
    sys.stdout.flush()


def fill(store: Store, videos: int) -> int:
    with timed(f"put {videos:,} paths, each", videos), store.library.writing() as session:
        folder = folders.add_folder(session, "/films")
        ids = [
            files.put_path(session, folder, f"/films/{n // 100}/{n}.mp4", 1000, n, f"{n:064x}")
            for n in range(videos)
        ]
    with timed("queue them all"), store.library.writing() as session:
        jobs.queue(session, ids, ["clip@1"])
    with timed("queue them all again, nothing to do"), store.library.writing() as session:
        jobs.queue(session, ids, ["clip@1"])
    with timed("replace the clips of a video, each", 1000), store.library.writing() as session:
        for video in ids[:1000]:
            clips.replace_clips(session, video, [(0.0, 12.0), (12.0, 24.0)])
    with timed("a transcript of 50 lines, each", videos // 50), store.library.writing() as session:
        lines = tuple(Line(f"the dog says number {n}", float(n), n + 1.0) for n in range(50))
        for video in ids[::50]:
            heard = Transcript("asr", "en", lines)
            transcripts.put_transcript(session, video, heard, [("dog", "number")] * 50, "nltk", "1")
    with store.library.writing() as session:
        spans = [(video, start) for video in ids[1000:] for start in (0.0, 12.0)]
        session.execute(
            insert(Clip),
            [{"video_id": video, "start_s": start, "end_s": start + 12} for video, start in spans],
        )
    return folder


def use(store: Store, folder: int) -> None:
    rows = np.random.default_rng(1).standard_normal((120, 512)).astype(np.float32)
    feature = Feature(rows, np.arange(120.0), np.arange(120.0) + 1)
    heard = Heard(Transcript("asr", "en", (Line("a dog", 0.0, 1.0),)), [("dog",)], "nltk", "1")
    with timed("lease and commit a two-minute video, each", COMMITS):
        for _ in range(COMMITS):
            with store.library.writing() as session:
                lease = jobs.lease_next(session, "w", 0.0, 60.0)
            assert lease is not None
            info = files.VideoInfo(120.0, 1, 1, True, "mp4", "h264")
            commit_extracted(
                store, lease, Extracted(lease.wanted, {"clip@1": feature}, info, [(0.0, 120.0)], [heard])
            )
    with store.library.reading() as session:
        with timed("known paths of the folder"):
            files.known_paths(session, folder)
        with timed("all searchable clips"):
            clips.searchable_clips(session)
        with timed("status"):
            status.status(session)
        with timed("nouns of all lines"):
            sum(1 for _ in transcripts.iter_line_nouns(session))
        with timed("search lines, 100 best of all"):
            transcripts.search_lines(session, "dog 3")
    with timed(f"import {CAPTIONS:,} captions"), store.library.writing() as session:
        bank = (
            captions.NewCaption(f"a person rides horse {n} along the beach", "bank") for n in range(CAPTIONS)
        )
        captions.add_captions(session, bank)
    with store.library.reading() as session:
        with timed("list them"):
            captions.list_captions(session)
        with timed("search them"):
            captions.search_captions(session, "horse 777")


def main(videos: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        paths = Paths(Path(place))
        with timed("open, new"):
            store = open_store(paths)
        use(store, fill(store, videos))
        store.close()
        with timed("open again, checked"):
            store = open_store(paths)
        store.close()
        for path in (paths.library_db, paths.features_db):
            sys.stdout.write(f"{path.name:55s}{path.stat().st_size / 1e6:12.1f} MB\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
