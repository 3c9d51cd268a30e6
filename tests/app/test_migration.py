"""Changing the preset: both kinds of videos are searched together, and going back extracts nothing again."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.services.bench_weights import write_random_weights
from app.services.captions import CaptionSearch
from app.services.indexing import index_folders
from app.services.library import Offer, open_library
from app.services.searching import open_searcher
from app.services.similar import find_similar
from m2hf_core.errors import Interrupted
from m2hf_core.hub import get_preset, load_manifest
from m2hf_core.progress import Progress
from m2hf_core.records import Feature, SearchAnswer
from m2hf_core.search.captions_cache import NounCache, VectorCache
from m2hf_core.store import Store, captions, features
from m2hf_core.store.captions import NewCaption
from m2hf_core.synthetic import draw_specs
from m2hf_core.synthetic.files import render_file
from m2hf_core.text.openclip import build_open_clip
from m2hf_core.text.tower import TextTower, open_text_tower

Run = Callable[..., Any]
ABOUT = {"sea": "a red square", "sea again": "a red square", "kitchen": "a green circle", "street": "a star"}
SECONDS = {"sea": 24, "sea again": 12, "kitchen": 8, "street": 5}


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextTower:
    """A second preset in the demo's layout whose numbers are others, so that nothing of the two may be compared."""
    demo, manifest = get_preset("demo"), load_manifest()
    weight = replace(
        manifest.weights[demo.clip], id="second-clip", file="second/clip.safetensors", shipped=False
    )
    monkeypatch.setitem(manifest.weights, weight.id, weight)  # type: ignore[arg-type]
    monkeypatch.setitem(manifest.presets, "second", replace(demo, id="second", clip=weight.id))  # type: ignore[arg-type]
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path / "models"))
    (tmp_path / "models" / "second").mkdir(parents=True)
    torch.manual_seed(4)
    model = build_open_clip(demo).model
    with torch.no_grad():
        for value in model.parameters():
            value += 0.3 * torch.randn_like(value) * value.std(correction=0)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, tmp_path / "models" / "second" / "clip.safetensors")
    return open_text_tower(get_preset("second"))


def move(data: Path, tower: TextTower, names: Iterable[str]) -> None:
    """These videos as the second preset's workers would leave them."""
    rng = np.random.default_rng(9)
    with open_library(data, preset="second", mode="write") as library:
        library.remember_offer(Offer({"clip": tower.fingerprint, "speech": "subtitles"}, {}))
        with library.store.features.writing() as shelves:
            for name in names:
                about = tower.encode([ABOUT[name]]).pooled_vector.numpy()
                noise = rng.normal(0, 0.3 * about.std(), (SECONDS[name], about.shape[1]))
                start_s = np.arange(SECONDS[name], dtype=np.float64)
                rows = (about + noise).astype(np.float32)
                features.put(shelves, name, tower.fingerprint, Feature(rows, start_s, start_s + 1))


def asked(data: Path, preset: str) -> SearchAnswer:
    with open_library(data, preset=preset) as library:
        return open_searcher(library).search("a red square", k=20)


def order(answer: SearchAnswer) -> list[tuple[int, float | None]]:
    return [(hit.clip_id, seen.score if (seen := hit.branches["visual"]) else None) for hit in answer.hits]


def test_both_kinds_are_found_together_and_going_back_costs_nothing(
    shelf: Path, second: TextTower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    before = asked(data, "demo")
    assert before.clips == len(before.hits) == 5

    chosen = asked(data, "second")  # nothing was extracted with it yet
    assert {hit.clip_id for hit in chosen.hits} == {hit.clip_id for hit in before.hits}
    assert [hit.clip_id for hit in chosen.hits] == [hit.clip_id for hit in before.hits]
    assert any("changing from demo to second: 4 videos wait" in note for note in chosen.notes)

    move(data, second, ["sea", "kitchen"])
    half = asked(data, "second")
    assert {hit.clip_id for hit in half.hits} == {hit.clip_id for hit in before.hits}, "no gap"
    assert all(hit.branches["visual"] is not None for hit in half.hits)
    assert {hit.video.stem for hit in half.hits[:3]} >= {"sea", "sea again"}, "the best of both models lead"
    assert any("changing from demo to second: 2 videos wait" in note for note in half.notes)

    move(data, second, ["sea again", "street"])
    after = asked(data, "second")
    assert not any("changing" in note for note in after.notes)
    assert {hit.clip_id for hit in after.hits} == {hit.clip_id for hit in before.hits}

    def never(*_: object) -> None:
        raise AssertionError("the former index is used as it lies there")

    monkeypatch.setattr("app.services.eyes.derive", never)
    back = asked(data, "demo")
    assert order(back) == order(before)
    assert not any("changing" in note for note in back.notes)


def test_a_video_that_waits_has_captions_and_similar_moments(
    shelf: Path, second: TextTower, tmp_path: Path
) -> None:
    """Its features are the former models', so they are compared with what those know."""
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    move(data, second, ["street"])
    videos = shelf.parent / "videos"
    with open_library(data, preset="second") as library:
        searcher = open_searcher(library)
        told = CaptionSearch(searcher).nearest(str(videos / "sea.mp4"), k=3)
        alike = find_similar(searcher, str(videos / "sea.mp4"), lambda _: pytest.fail("no picture"), k=5)
    assert all(hit.branches["visual"] is not None for hit in told.hits)
    assert any("former models" in note for note in told.notes)
    assert [hit.video.stem for hit in alike.hits if hit.branches["visual"] is not None][:1] == ["kitchen"]
    assert any(copy.video.stem == "sea again" for copy in alike.copies)
    assert any("1 video of the new models is left out" in note for note in alike.notes)


def test_the_bank_is_read_once_and_mapped_once_for_each_tower(
    shelf: Path, second: TextTower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(shelf, data)
    move(data, second, ["street"])
    made: list[str] = []

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        return lambda *given: (made.append(name), function(*given))[1]

    monkeypatch.setattr(VectorCache, "vectors", counted("vectors", VectorCache.vectors))
    monkeypatch.setattr(NounCache, "nouns", counted("nouns", NounCache.nouns))
    waits, ready = (str(shelf.parent / "videos" / f"{name}.mp4") for name in ("sea", "street"))
    with open_library(data, preset="second", mode="write") as library:
        searcher = open_searcher(library)
        search = CaptionSearch(searcher)
        first = [search.nearest(target, k=3) for target in (waits, ready)]
        assert sorted(made) == ["nouns", "vectors", "vectors"]
        search = search.over(searcher.reloaded())
        assert [search.nearest(target, k=3) for target in (waits, ready)] == first
        assert [answer.notes[0].startswith("This video waits") for answer in first] == [True, False]
        assert len(made) == 3, "asked again, and over the library opened again"
        with library.store.library.writing() as session:
            captions.add_captions(session, [NewCaption("a blue triangle", "own")])
        search.nearest(ready, k=3)
        search.nearest(ready, k=3)
    assert len(made) == 5, "a new caption is a new bank, for the tower that is asked"


CLIPS = 6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_workers_change_over_stop_half_way_and_go_back(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo models and a ViT-B/32 of random numbers, by the program's own commands."""
    videos, data = tmp_path / "videos", tmp_path / "data"
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path / "models"))
    videos.mkdir()
    for place, spec in enumerate(draw_specs("train", CLIPS, seed=3)):
        render_file(spec, videos / f"{place}.mp4")
    write_random_weights("fast", tmp_path / "models")
    for asleep in (tmp_path / "models").glob("*.pth"):
        asleep.unlink()  # sight is enough here, and loads in half the time
    first = run("index", videos, "--preset", "demo", "--data-dir", data, "--json")
    assert (first.code, first.json["ready"]) == (0, CLIPS), first.err
    ask = ("search", "a red circle", "-k", 20, "--json", "--data-dir", data, "--preset")
    before = run(*ask, "demo").json

    with open_library(data, preset="fast", mode="create") as library:
        progress = Progress()
        watcher = threading.Thread(target=_stop_after_two, args=(library.store, progress))
        watcher.start()
        with pytest.raises(Interrupted):
            index_folders(library, [], device="cpu", progress=progress)
        watcher.join()
    covered = run("status", "--json", "--preset", "fast", "--data-dir", data).json["coverage"]["clip"]
    assert 0 < covered < CLIPS
    half = run(*ask, "fast").json
    assert {hit["video"] for hit in half["hits"]} == {hit["video"] for hit in before["hits"]}
    assert all(hit["branches"]["visual"] for hit in half["hits"])
    waiting = f"changing from demo to fast: {CLIPS - covered} videos wait"
    assert any(waiting in note for note in half["notes"]), half["notes"]
    assert any("not extracted yet" in spot for spot in half["blind_spots"])

    rest = run("index", "--preset", "fast", "--data-dir", data, "--json")
    assert (rest.code, rest.json["ready"]) == (0, CLIPS - covered), rest.err
    assert not any("changing" in note for note in run(*ask, "fast").json.get("notes", []))
    back = run("index", "--preset", "demo", "--data-dir", data, "--json")
    assert (back.code, back.json["ready"], back.json["failed"]) == (0, 0, 0), "nothing is extracted again"
    again = run(*ask, "demo").json
    assert again["hits"] == before["hits"]
    assert again["blind_spots"] == before["blind_spots"]


def _stop_after_two(store: Store, progress: Progress) -> None:
    """Cancel once two videos have frames of both presets."""
    deadline = time.monotonic() + 500
    while time.monotonic() < deadline:
        with store.features.reading() as session:
            fast = [
                number for name, number in features.coverage(session).items() if name.startswith("clip:fast")
            ]
        if fast and fast[0] >= 2:
            break
        time.sleep(0.02)
    progress.cancel()
