"""What could not be searched is said, and looking at it moves it to the front of the queue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.services.blind_spots import blind_spots, raise_priority
from app.services.library import Library, Offer, open_library
from app.services.opened import Opened, look_at
from app.services.searching import standing_notes
from m2hf_core.records import Feature
from m2hf_core.store import features, files, folders, jobs
from m2hf_core.text import NounExtractor, load_nouns


def test_spots_and_priority(tmp_path: Path) -> None:
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            folder = folders.add_folder(session, "/v")
            first, second, away = (
                files.put_path(session, folder, path, 10 + n, 1, f"print{n}")
                for n, path in enumerate(("/v/a.mp4", "/v/Holidays/b.mp4", "/v/c.mp4"))
            )
            jobs.queue(session, [first, second, away], ["clip@1", "vggish@1"])
            known = files.known_paths(session, folder)
            files.mark_paths(session, [known["/v/c.mp4"].path_id], "offline")
        library.remember_offer(Offer({"clip": "clip@1", "vggish": "vggish@1"}, {}))
        with library.store.features.writing() as session:
            features.put(session, "print0", "clip@1", Feature(np.ones((1, 2)), np.zeros(1), np.ones(1)))
        spots = blind_spots(library)
        assert [spot.split(" (")[0] for spot in spots] == [
            "not extracted yet: 2 videos",
            "not yet heard: 1 video",
            "offline, so not to be played now: 1 video",
        ]
        assert raise_priority(library, "dog in:holidays") == 1
        with library.store.library.writing() as session:
            leased = jobs.lease_next(session, "worker", 0.0, 60.0)
        assert leased is not None
        assert leased.video_id == second, "the later one, which somebody looked at"
        assert raise_priority(library) == 1, "the offline one waits for its folder"
        assert look_at(library, [Path("/v/a.mp4")]) == 1
        assert raise_priority(library) == 1
        assert look_at(library, [Path("/v")]) == 1, "what waits in a folder"
        assert look_at(library, [Path("/nowhere")]) == 0


def test_what_is_opened_goes_before_what_a_search_could_not_see(tmp_path: Path) -> None:
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            folder = folders.add_folder(session, "/v")
            paths = ("/v/a.mp4", "/v/b.mp4", "/v/in/c.mp4", "/v/in/d.mp4")
            ids = [
                files.put_path(session, folder, path, 10 + n, 1, f"print{n}") for n, path in enumerate(paths)
            ]
            jobs.queue(session, ids, ["clip@1"])
        assert look_at(library, [Path("/v/in")]) == 2
        assert raise_priority(library) == 4
        assert look_at(library, [Path("/v/in/d.mp4")]) == 1
        with library.store.library.writing() as session:
            order = [jobs.lease_next(session, "worker", 0.0, 60.0) for _ in ids]
        assert [lease.path for lease in order if lease] == [paths[3], paths[0], paths[1], paths[2]]


def test_what_is_opened_before_it_has_a_job_goes_first_too(tmp_path: Path) -> None:
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        with library.store.library.writing() as session:
            folder = folders.add_folder(session, "/v")
            paths = ("/v/a.mp4", "/v/b.mp4", "/v/c.mp4")
            ids = [
                files.put_path(session, folder, path, 10 + n, 1, f"print{n}") for n, path in enumerate(paths)
            ]
        opened = Opened()
        opened.keep_first(library)
        assert opened.look_at(library, [Path(paths[1])]) == 1, (
            "its folder was looked through, nothing is queued"
        )
        with library.store.library.writing() as session:
            jobs.queue(session, ids, ["clip@1"])
        opened.keep_first(library)
        with library.store.library.writing() as session:
            order = [jobs.lease_next(session, "worker", 0.0, 60.0) for _ in ids]
        assert [lease.path for lease in order if lease] == [paths[1], paths[0], paths[2]]


def test_the_note_on_nouns_is_about_nouns_alone(tmp_path: Path) -> None:
    """Whoever listens or reads has a part in what is stored, and nothing to do with the nouns of a query."""
    nouns = load_nouns()
    stored = {nouns.fingerprint: False, f"{nouns.fingerprint}+whisper:base:1:1": False, "": False}
    other = {"nouns:other:0:1": True, f"nouns:other:0:1+{nouns.fingerprint}": True}
    with open_library(tmp_path / "data", preset="demo", mode="create") as library:
        assert not told_of_nouns(library, nouns)
        for fingerprint, told in (stored | other).items():
            library.remember_offer(Offer({"speech": fingerprint}, {}))
            assert told_of_nouns(library, nouns) is told, fingerprint


def told_of_nouns(library: Library, nouns: NounExtractor) -> bool:
    return any("another way" in note for note in standing_notes(library, nouns))
