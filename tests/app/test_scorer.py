"""Scorers of a library: taken in, tested before they answer, refused when worse, gone back from, carried away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.services import self_test
from app.services.export_training import export_training
from app.services.eyes import open_eyes
from app.services.known_items import split_of
from app.services.library import Offer, open_library
from m2hf_core.config.paths import open_paths
from m2hf_core.config.settings import Settings
from m2hf_core.errors import BadModelFile, KnownError
from m2hf_core.hub import Preset, get_preset
from m2hf_core.model.checkpoint import ScorerInfo, load_scorer, save_scorer
from m2hf_core.model.config import M2HFConfig, build_scorer
from m2hf_core.model.m2hf import M2HF
from m2hf_core.progress import Progress
from m2hf_core.records import Feature, Line, Transcript
from m2hf_core.store import captions, clips, features, files, folders, pins, transcripts
from m2hf_core.synthetic import draw_specs, visual_caption
from m2hf_core.text import load_nouns
from m2hf_core.text.half import LoadedText, build_text
from m2hf_core.text.openclip import build_open_clip
from m2hf_core.text.tower import open_text_tower, text_state
from m2hf_core.training.data.prepared import open_prepared

VIDEOS = 40
AUDIO, MOTION = 6, 8
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def library_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty videos whose frames look like their own captions; one caption is a pin, one video says something."""
    data, rng = tmp_path_factory.mktemp("scored") / "data", np.random.default_rng(1)
    data.mkdir()
    Settings.load(open_paths(data)).set("preset", "demo")
    tower, nouns = open_text_tower(get_preset("demo")), load_nouns()
    texts = list(dict.fromkeys(visual_caption(spec).text for spec in draw_specs("train", 80, 3)))[:VIDEOS]
    about = tower.encode(texts).pooled_vector.numpy()
    with open_library(data, mode="create") as library:
        prints = {"clip": tower.fingerprint, "vggish": "ears", "s3d": "legs", "speech": nouns.fingerprint}
        library.remember_offer(Offer(prints, {}))
        with library.store.library.writing() as session, library.store.features.writing() as shelves:
            folder = folders.add_folder(session, "/films", watched=True)
            for n, text in enumerate(texts):
                video = files.put_path(session, folder, f"/films/{n}.mp4", 1000, n + 1, f"print{n}")
                files.put_info(session, video, files.VideoInfo(4.0, 64, 64, True, "mp4", "h264"))
                clips.replace_clips(session, video, [(0.0, 4.0)])
                start_s = np.arange(4.0)
                rows = about[n] + rng.normal(0, 0.2 * about.std(), (4, about.shape[1]))
                features.put(shelves, f"print{n}", tower.fingerprint, Feature(rows, start_s, start_s + 1))
                for extractor, width in (("ears", AUDIO), ("legs", MOTION)):
                    values = rng.normal(size=(4, width))
                    features.put(shelves, f"print{n}", extractor, Feature(values, start_s, start_s + 1))
                if n == 0:
                    pins.put_pin(session, text, video, 0.0, 4.0, "right")
                    pins.put_pin(session, "something else", video, 0.0, 4.0, "wrong")
                    line = Line("the captain waves", 1.0, 2.0)
                    transcripts.put_transcript(
                        session, video, Transcript("sidecar", "en", (line,)), [("captain",)], nouns.mode, "1"
                    )
                else:
                    span = (None, None) if n % 2 else (0.0, 4.0)
                    captions.add_captions(session, [captions.NewCaption(text, "own", video, *span)])
    return data


@pytest.fixture
def data(library_dir: Path, tmp_path: Path) -> Path:
    """A copy that the test may change."""
    shutil.copytree(library_dir, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def backbone() -> str:
    return open_text_tower(get_preset("demo")).fingerprint


@pytest.fixture
def write(tmp_path: Path, backbone: str) -> Callable[..., Path]:
    """A scorer file: `good` starts where the untrained one ends, `bad` compares noise with the text."""

    def build(
        name: str, *, good: bool, backbone: str = backbone, state: str | None = None, **changes: Any
    ) -> Path:
        torch.manual_seed(0)
        shape: dict[str, Any] = (
            {"branches": ("visual",)} if good else {"branches": ("audio",), "audio_fusion": "none"}
        )
        senses = {"audio_width": AUDIO, "motion_width": MOTION}
        config = M2HFConfig(128, **(senses | shape | changes))
        scorer = build_scorer(config)
        if isinstance(scorer, M2HF):
            scorer.open_tokens()
        info = ScorerInfo(config, backbone, state or f"trained:{name}", "1")
        save_scorer(tmp_path / f"{name}.safetensors", scorer, info)
        return tmp_path / f"{name}.safetensors"

    return build


def test_a_scorer_is_taken_in_tested_and_used(run: Run, data: Path, write: Callable[..., Path]) -> None:
    done = run("scorer", "import", write("good", good=True), "--data-dir", data, "--json")
    assert (done.code, done.json["state"], done.json["new"]) == (0, "trained:good", True)
    before = run("scorer", "list", "--data-dir", data, "--json").json
    assert [(one["id"], one["active"]) for one in before] == [("untrained", True), (done.json["id"], False)]
    used = run("scorer", "use", done.json["id"][:6], "--data-dir", data, "--json")
    assert used.code == 0, used.err
    test = used.json["test"]
    # 39 captions, a right pin and a spoken line; the wrong pin is no truth.
    assert (test["queries"], test["videos"], test["clips"], test["against"]) == (41, 40, 40, "untrained")
    assert test["before"]["R@1"] > 80
    assert not test["worse"]
    after = run("scorer", "list", "--data-dir", data, "--json").json
    assert [one["active"] for one in after] == [False, True]
    assert after[1]["test"]["queries"] == 41
    assert "answers" in run("scorer", "list", "--data-dir", data).out
    told = run("status", "--data-dir", data, "--json").json["scorer"]
    assert told == {"id": done.json["id"], "state": "trained"}


def test_a_worse_scorer_is_refused_unless_forced(run: Run, data: Path, write: Callable[..., Path]) -> None:
    scorer_id = run("scorer", "import", write("bad", good=False), "--data-dir", data, "--json").json["id"]
    refused = run("scorer", "use", scorer_id, "--data-dir", data)
    assert refused.code == 1
    assert "is not used: on 41 captions, pins and spoken lines of this library R@" in refused.err
    assert "--force" in refused.err
    assert run("scorer", "list", "--data-dir", data, "--json").json[0]["active"]
    forced = run("scorer", "use", scorer_id, "--force", "--data-dir", data, "--json")
    assert (forced.code, forced.json["forced"]) == (0, True)
    assert run("scorer", "list", "--data-dir", data, "--json").json[1]["active"]


def test_a_scorer_brings_the_words_that_it_was_trained_with(
    run: Run, data: Path, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text tower lies in its file: it is tested and searched with that one, and going back leaves it."""
    plain = write("plain", good=True)
    scorer, info = load_scorer(plain)
    words = text_state(build_open_clip(get_preset("demo")).model)
    own = tmp_path / "own.safetensors"
    save_scorer(own, scorer, info, {name: torch.zeros_like(value) for name, value in words.items()})
    scorer_id = run("scorer", "import", own, "--data-dir", data, "--json").json["id"]
    refused = run("scorer", "use", scorer_id, "--data-dir", data)
    assert refused.code == 1, "words that are all alike find nothing"
    assert run("scorer", "use", scorer_id, "--force", "--data-dir", data).code == 0
    built: list[str] = []

    def counted(preset: Preset) -> LoadedText:
        built.append(preset.id)
        return build_text(preset)

    monkeypatch.setattr("m2hf_core.text.tower.build_text", counted)
    with open_library(data) as library:
        eyes = open_eyes(library, None, None)
        assert built == ["demo"], "the words are read once, not once more for the taught ones"
        assert eyes.own is not None
        assert eyes.own.tower.taught_by == scorer_id
        assert open_eyes(library, eyes, None).own.tower is eyes.own.tower  # type: ignore[union-attr]
        assert built == ["demo"]
        assert not eyes.own.tower.encode(["a red circle"]).tokens.any()
        assert run("scorer", "rollback", "--data-dir", data).code == 0
        former = open_eyes(library, eyes, None)
        assert former.own is not None
        assert former.own.tower.taught_by == ""
        assert former.own.tower.encode(["a red circle"]).tokens.any()


def test_a_tower_that_does_not_fit_leaves_the_search_standing(
    run: Run, data: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    scorer, info = load_scorer(write("plain", good=True))
    scorer_id = run("scorer", "import", write("good", good=True), "--data-dir", data, "--json").json["id"]
    assert run("scorer", "use", scorer_id, "--force", "--data-dir", data).code == 0
    (file,) = (data / "scorers").glob(f"{scorer_id}*")
    save_scorer(file, scorer, info, {"ln_final.weight": torch.zeros(3)})
    with open_library(data) as library:
        eyes = open_eyes(library, None, None)
    assert eyes.own is not None
    assert eyes.own.tower.taught_by == ""
    assert any("trained scorer is not used" in note for note in eyes.notes)


def test_a_text_tower_of_another_model_is_a_sentence(write: Callable[..., Path], tmp_path: Path) -> None:
    scorer, info = load_scorer(write("plain", good=True))
    words = {"ln_final.weight": torch.zeros(3)}
    save_scorer(tmp_path / "odd.safetensors", scorer, info, words)
    with pytest.raises(BadModelFile, match="does not fit the preset's model"):
        open_text_tower(get_preset("demo"), scorer=tmp_path / "odd.safetensors")


def test_rollback_goes_back_step_by_step(run: Run, data: Path, write: Callable[..., Path]) -> None:
    first = run("scorer", "import", write("one", good=True), "--data-dir", data, "--json").json["id"]
    second = run("scorer", "import", write("two", good=True), "--data-dir", data, "--json").json["id"]
    for scorer_id in (first, second):
        assert run("scorer", "use", scorer_id, "--data-dir", data).code == 0
    assert run("scorer", "rollback", "--data-dir", data, "--json").json == {"id": first}
    assert run("scorer", "rollback", "--data-dir", data, "--json").json == {"id": "untrained"}
    nothing = run("scorer", "rollback", "--data-dir", data)
    assert nothing.code == 1
    assert "nothing to go back from" in nothing.err


def test_an_exported_scorer_comes_back_as_itself(
    run: Run, data: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    file = write("good", good=True)
    scorer_id = run("scorer", "import", file, "--data-dir", data, "--json").json["id"]
    done = run("scorer", "export", scorer_id, tmp_path / "carried.safetensors", "--data-dir", data)
    assert done.code == 0
    assert (tmp_path / "carried.safetensors").read_bytes() == file.read_bytes()
    again = run("scorer", "import", tmp_path / "carried.safetensors", "--data-dir", data, "--json")
    assert again.json == {"id": scorer_id, "state": "trained:good", "preset": "demo", "new": False}


def test_files_that_are_no_scorer_for_here_are_a_sentence(
    run: Run, data: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    whole = write("good", good=True).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.safetensors").write_text("hello")
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["m2hf"])
    inner["format"] = 99
    header["__metadata__"]["m2hf"] = json.dumps(inner)
    newer = json.dumps(header).encode()
    (tmp_path / "newer.safetensors").write_bytes(
        len(newer).to_bytes(8, "little") + newer + whole[8 + length :]
    )
    cases = {
        tmp_path / "cut.safetensors": "damaged or incomplete",
        tmp_path / "text.safetensors": "damaged or incomplete",
        tmp_path / "newer.safetensors": "newer version",
        tmp_path / "nowhere.safetensors": "There is no scorer",
        write("foreign", good=True, backbone="another"): "another picture model",
        write("fresh", good=True, state="untrained"): "untrained scorer",
        write("flat", good=True, kind="mean-pooled"): "a baseline for evaluation",
    }
    for file, sentence in cases.items():
        done = run("scorer", "import", file, "--data-dir", data)
        assert done.code == 1
        assert sentence in done.err
        assert "Traceback" not in done.err
    assert len(run("scorer", "list", "--data-dir", data, "--json").json) == 1
    assert not (data / "scorers").exists()


def test_a_scorer_of_other_senses_is_not_used(run: Run, data: Path, write: Callable[..., Path]) -> None:
    file = write("wide", good=False, audio_width=128)
    scorer_id = run("scorer", "import", file, "--data-dir", data, "--json").json["id"]
    done = run("scorer", "use", scorer_id, "--data-dir", data)
    assert done.code == 1
    assert "of other networks than this library's" in done.err


def test_unknown_ids_are_told(run: Run, data: Path, tmp_path: Path) -> None:
    for words in (("use", "zzz"), ("export", "zzz", tmp_path / "x")):
        done = run("scorer", *words, "--data-dir", data)
        assert done.code == 1
        assert "No scorer of this library begins with 'zzz'" in done.err
    assert run("scorer", "use", "untrained", "--data-dir", data).code == 2


def test_the_export_can_be_trained_on_and_keeps_videos_apart(
    library_dir: Path, tmp_path: Path, backbone: str
) -> None:
    with open_library(library_dir) as library:
        done = export_training(library, tmp_path / "out", Progress())
        # A second time goes on with the same folder and makes the same.
        assert export_training(library, tmp_path / "out", Progress()).clips == done.clips
    assert sum(done.clips.values()) == VIDEOS
    expected = {"train": 0, "val": 0, "test": 0}
    for n in range(VIDEOS):
        expected[split_of(f"print{n}")] += 1
    assert done.clips == {split: count for split, count in expected.items() if count}
    opened = open_prepared(tmp_path / "out", frames=4)
    assert (opened.name, opened.backbone, opened.audio_width, opened.motion_width) == (
        "library",
        backbone,
        AUDIO,
        MOTION,
    )
    for split in opened.splits.values():
        for text, row in zip(split.texts, split.clip_of_text, strict=True):
            best = split.tokens.batch([split.texts.index(text)])
            vector = best.tokens[0, best.pooled[0]].numpy()
            frames = split.clips.frames.astype(np.float32).mean(1)
            cosines = frames @ vector / np.linalg.norm(frames, axis=1)
            assert cosines.argmax() == row
    pinned = next(
        split for split in opened.splits.values() if any("print0@" in info.clip_id for info in split.infos)
    )
    place = next(i for i, info in enumerate(pinned.infos) if info.clip_id.startswith("print0@"))
    assert pinned.spoken[place] == {"captain"}


def test_a_scorer_trained_here_is_tested_on_what_was_held_out(
    run: Run, data: Path, write: Callable[..., Path]
) -> None:
    file = write("own", good=True, state="trained:library-e2e-0011aabb")
    scorer_id = run("scorer", "import", file, "--data-dir", data, "--json").json["id"]
    test = run("scorer", "use", scorer_id, "--data-dir", data, "--json").json["test"]
    held = sum(split_of(f"print{n}") != "train" for n in range(VIDEOS))
    own = 1 if split_of("print0") != "train" else 0
    assert (test["queries"], test["clips"]) == (held + own, VIDEOS)


def test_a_library_without_captions_cannot_be_exported(shelf: Path, tmp_path: Path) -> None:
    with (
        open_library(shelf) as library,
        pytest.raises(KnownError, match="No caption or pin belongs to a video"),
    ):
        export_training(library, tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_long_films_do_not_make_the_test_endless(library_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are taken while their videos' clips fit; what is left of the room goes to other videos."""
    monkeypatch.setattr(self_test, "CLIPS", 10)
    with open_library(library_dir) as library:
        known = self_test._gather(library, held_out=False)
    assert known is not None
    split, owner, truth = known
    assert len(owner) == len(split) == 10
    assert set(truth.tolist()) == set(owner.tolist())
