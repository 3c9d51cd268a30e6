"""Random histories: the figures always add up, and nothing is ever left hanging."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from m2hf_core.config.paths import Paths
from m2hf_core.store import clips, failures, files, folders, forget, jobs, open_store, status

EXTRACTORS = ("clip@1", "vggish@1", "s3d@1")
wanted = st.sets(st.sampled_from(EXTRACTORS), min_size=1)
names = st.sampled_from(["a", "b", "c", "sub/d"])
contents = st.sampled_from(["one", "two", "three"])


class Library(RuleBasedStateMachine):
    """Plays a library against a model in plain dictionaries."""

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.store = open_store(Paths(Path(self.place.name)))
        self.online = True
        self.paths: dict[str, tuple[str, str]] = {}  # path -> (content, state)
        self.jobs: dict[str, str] = {}  # content -> job state
        self.videos: dict[str, int] = {}  # content -> video id
        with self.store.library.writing() as session:
            self.folder = folders.add_folder(session, "/films")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.place.cleanup()

    @precondition(lambda self: self.online)
    @rule(name=names, content=contents)
    def put(self, name: str, content: str) -> None:
        with self.store.library.writing() as session:
            video = files.put_path(session, self.folder, f"/films/{name}", 1, 1, content)
        assert self.videos.setdefault(content, video) == video
        self.paths[f"/films/{name}"] = (content, "present")

    @precondition(lambda self: self.online)
    @rule(name=names)
    def delete_file(self, name: str) -> None:
        with self.store.library.writing() as session:
            row = files.known_paths(session, self.folder).get(f"/films/{name}")
            assert (row is None) == (f"/films/{name}" not in self.paths)
            if row is not None:
                files.mark_paths(session, [row.path_id], "gone")
                self.paths[f"/films/{name}"] = (row.fingerprint, "gone")

    @rule()
    def unplug_or_plug_in(self) -> None:
        self.online = not self.online
        before, after = ("offline", "present") if self.online else ("present", "offline")
        with self.store.library.writing() as session:
            folders.set_folder_state(session, self.folder, "online" if self.online else "offline")
        self.paths = {p: (c, after if s == before else s) for p, (c, s) in self.paths.items()}

    @rule(content=contents, wanted=wanted)
    def queue(self, content: str, wanted: set[str]) -> None:
        if content not in self.videos:
            return
        with self.store.library.writing() as session:
            before = jobs.counts(session)["queued"]
            newly = jobs.queue(session, [self.videos[content]], wanted)
            assert jobs.counts(session)["queued"] - before in (newly, newly - 1)
        if newly:
            self.jobs[content] = "queued"
        elif self.jobs[content] != "leased":
            self.jobs[content] = self._state(content)

    @rule(owner=st.sampled_from(["x", "y"]), now=st.floats(0, 100))
    def lease(self, owner: str, now: float) -> None:
        with self.store.library.writing() as session:
            taken = jobs.lease_next(session, owner, now, 50.0)
        there = {content for content, state in self.paths.values() if state == "present"}
        can = {content for content, state in self.jobs.items() if state == "queued"} & there
        assert (taken is None) == (not can)
        if taken is not None:
            assert taken.fingerprint in can
            assert self.paths[taken.path] == (taken.fingerprint, "present")
            self.jobs[taken.fingerprint] = "leased"

    @rule(content=contents, end=st.sampled_from(["finish", "quarantine", "fail"]), done=wanted)
    def end(self, content: str, end: str, done: set[str]) -> None:
        if self.jobs.get(content) != "leased":
            return
        with self.store.library.writing() as session:
            job_id = self._job(content)
            if end == "finish":
                assert jobs.finish(session, job_id, done)
                clips.replace_clips(session, self.videos[content], [(0.0, 1.0 + len(done))])
            else:
                assert jobs.fail(session, job_id, "s", "r", "h", quarantine=end == "quarantine")
        self.jobs[content] = self._state(content)
        assert self.jobs[content] in (("done", "queued") if end == "finish" else ("failed",))

    @rule(given=st.sets(contents), forgive=st.booleans())
    def give_back(self, given: set[str], forgive: bool) -> None:
        leased = {c for c in given if self.jobs.get(c) == "leased"}
        with self.store.library.writing() as session:
            known = [self._job(content) for content in given if content in self.jobs]
            assert jobs.release(session, known, forgive=forgive) == len(leased)
        self.jobs |= dict.fromkeys(leased, "queued")

    @rule()
    def retry(self) -> None:
        with self.store.library.writing() as session:
            count = failures.retry_failed(session)
        failed = [c for c, s in self.jobs.items() if s == "failed"]
        assert count == len(failed)
        self.jobs |= dict.fromkeys(failed, "queued")

    @rule(content=contents)
    def forget(self, content: str) -> None:
        known = content in self.videos
        assert forget.forget_videos(self.store, [self.videos.pop(content, 0)]) == known
        self.jobs.pop(content, None)
        self.paths = {p: (c, s) for p, (c, s) in self.paths.items() if c != content}

    @rule()
    def sweep(self) -> None:
        lying = {content for content, _ in self.paths.values()}
        pathless = set(self.videos) - lying
        assert forget.sweep(self.store) == len(pathless)
        for content in pathless:
            del self.videos[content]
            self.jobs.pop(content, None)

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.library.reading() as session:
            counted = jobs.counts(session)
            now = status.status(session)
            listed = failures.failures(session)
            searchable = {row.fingerprint for row in clips.searchable_clips(session)}
        for state in jobs.JOB_STATES:
            assert counted[state] == sum(s == state for s in self.jobs.values()), state
        reachable = {c for c, s in self.paths.values() if s != "gone"}
        present = {c for c, s in self.paths.values() if s == "present"}
        assert sum(now.videos.values()) == len(reachable)
        assert now.videos["offline"] == len(reachable - present)
        assert now.videos["ready"] == sum(self.jobs.get(c) == "done" for c in present)
        assert now.videos["failed"] == sum(self.jobs.get(c) == "failed" for c in present)
        assert {f.fingerprint for f in listed} == {c for c in reachable if self.jobs.get(c) == "failed"}
        assert searchable <= reachable
        assert self.store.library.pragma("foreign_key_check") == []

    def _job(self, content: str) -> int:
        with self.store.library.engine.connect() as connection:
            return connection.exec_driver_sql(
                "SELECT id FROM job WHERE video_id = ?", (self.videos[content],)
            ).scalar_one()

    def _state(self, content: str) -> str:
        with self.store.library.engine.connect() as connection:
            return connection.exec_driver_sql(
                "SELECT state FROM job WHERE video_id = ?", (self.videos[content],)
            ).scalar_one()


Library.TestCase.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
TestLibrary = Library.TestCase
