"""The manifest, where files are found, what they are called, and carrying them by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.errors import BadModelFile, KnownError, ModelsMissing, UsageError
from m2hf_core.hub.carry import import_folder
from m2hf_core.hub.files import (
    digest_of,
    extractor_fingerprint,
    genuine,
    locate,
    missing,
    require,
    sha256_of,
)
from m2hf_core.hub.manifest import Manifest, get_preset, load_manifest
from m2hf_core.hub.verify import verify
from m2hf_core.progress import Progress

DEMANDED = ("demo", "fast", "balanced", "best", "paper-b16", "paper-l14")


def test_shipped_manifest_is_sound() -> None:
    manifest = load_manifest()
    assert set(DEMANDED) < set(manifest.presets)
    assert any(preset.languages == "many" for preset in manifest.presets.values())
    for weight in manifest.weights.values():
        assert weight.purpose
        assert weight.licence
        assert (weight.shipped or weight.package is not None) == (weight.url is None)
        assert weight.url is None or weight.url.startswith("https://")
        if not weight.shipped and weight.sha256 is not None:
            assert len(weight.sha256) in (8, 64)
            assert set(weight.sha256) <= set("0123456789abcdef")
        if weight.hub is not None and weight.hub.revision is not None:
            assert len(weight.hub.revision) == 40
            assert f"/resolve/{weight.hub.revision}/" in (weight.url or "")
    files = [weight.file for weight in manifest.weights.values()]
    assert len(files) == len(set(files))
    assert all(not Path(file).is_absolute() and ".." not in Path(file).parts for file in files)


def test_every_preset_but_the_demo_listens_with_a_whole_folder() -> None:
    """faster-whisper fetches what a folder lacks, so a preset must name all of it, and its detector of voices."""
    manifest = load_manifest()
    for preset in manifest.presets.values():
        if preset.id == "demo":
            continue
        files = [manifest.weights[name] for name in preset.speech]
        assert {Path(weight.file).name for weight in files} > {
            "model.bin",
            "config.json",
            "tokenizer.json",
            "silero_vad_v6.onnx",
        }
        folders = {Path(weight.file).parent for weight in files if weight.package is None}
        assert len(folders) == 1
        # Whisper's third generation hears 128 bands instead of 80, which only this file says.
        assert any(weight.file.endswith("preprocessor_config.json") for weight in files) == (
            "large-v3" in str(folders)
        )


def test_files_of_installed_packages_are_the_known_ones() -> None:
    """The networks inside rapidocr and faster-whisper, whose libraries would fetch what they do not like."""
    packaged = [weight for weight in load_manifest().weights.values() if weight.package is not None]
    assert {weight.package for weight in packaged} == {"faster_whisper", "rapidocr"}
    for weight in packaged:
        assert genuine(weight).stat().st_size == weight.size_bytes
    assert {finding.state for finding in verify(packaged, Progress())} == {"ok"}


def test_another_file_in_a_package_is_told_and_not_used(models: Path) -> None:
    voice = load_manifest().weights["voice-detector"]
    with pytest.raises(ModelsMissing, match="brings another silero_vad"):
        genuine(replace(voice, sha256="0" * 64))
    with pytest.raises(ModelsMissing, match=r"m2hf-app\[ocr\]"):
        genuine(replace(load_manifest().weights["reader-detection"], file="models/gone.onnx"))
    assert locate(replace(voice, package="no_such_package")) is None


def test_genuine_refuses_another_file_and_takes_an_unknown_one(
    manifest: Manifest, models: Path, server: Any
) -> None:
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin").write_bytes(b"another")
    with pytest.raises(BadModelFile, match="not the published file"):
        genuine(manifest.weights["big"])
    (models / "nets/a.bin").write_bytes(server.files["/a.bin"])
    (models / "blind.safetensors").write_bytes(b"brought by hand")
    assert genuine(manifest.weights["big"]) == models / "nets/a.bin"
    assert genuine(manifest.weights["blind"]) == models / "blind.safetensors"


def test_digests_in_names_agree_with_the_manifest() -> None:
    """VGGish and S3D carry the start of their digest in their file names."""
    weights = load_manifest().weights
    assert weights["vggish"].accepts("10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b")
    for name in ("vggish", "s3d-kinetics400"):
        assert (weights[name].sha256 or "")[:8] in weights[name].file


def test_an_unknown_preset_tells_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'fats'.*fast"):
        get_preset("fats")


def test_locate_prefers_the_models_folder(manifest: Manifest, models: Path) -> None:
    weight = manifest.weights["big"]
    assert locate(weight) is None
    (models / "nets").mkdir(parents=True)
    (models / "nets/a.bin").write_bytes(b"x")
    assert locate(weight) == models / "nets/a.bin"


def test_the_hugging_face_cache_is_used_without_a_network(
    manifest: Manifest, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    snapshot = cache / "models--org--Blind-Net/snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "open.safetensors").write_bytes(b"x")
    (cache / "models--org--Blind-Net/refs").mkdir()
    (cache / "models--org--Blind-Net/refs/main").write_text("a" * 40, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert locate(manifest.weights["blind"]) == snapshot / "open.safetensors"


def test_missing_and_require(models: Path) -> None:
    preset = get_preset("fast")
    assert {weight.id for weight in missing(preset)} == set(preset.weight_ids) - {"voice-detector"}
    with pytest.raises(ModelsMissing, match=r"prepare fast.*import"):
        require(preset.clip, preset)


def test_digest_is_remembered_until_the_file_changes(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"one")
    first = digest_of(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    cached = json.loads((models / "digests.json").read_text(encoding="utf-8"))
    cached[str(path)][2] = "remembered"
    (models / "digests.json").write_text(json.dumps(cached), encoding="utf-8")
    assert digest_of(path) == "remembered"
    path.write_bytes(b"two!")
    assert digest_of(path) == hashlib.sha256(b"two!").hexdigest()
    (models / "digests.json").write_text("damaged", encoding="utf-8")
    assert digest_of(path) == hashlib.sha256(b"two!").hexdigest()


def test_a_models_folder_that_cannot_be_written_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("M2HF_MODELS_DIR", str(tmp_path / "file" / "models"))
    assert digest_of(tmp_path / "file") == sha256_of(tmp_path / "file")


def test_fingerprint() -> None:
    assert extractor_fingerprint("clip", "demo", "3f2a91c0ffee", 1) == "clip:demo:3f2a91c0:1"
    with pytest.raises(ValueError, match="colon"):
        extractor_fingerprint("clip", "a:b", "3f", 1)


def test_verify_names_every_state(manifest: Manifest, models: Path, server: Any) -> None:
    (models / "nets").mkdir(parents=True)
    (models / "tagger").mkdir()
    (models / "nets/a.bin").write_bytes(server.files["/a.bin"])
    (models / "tagger/words.json").write_bytes(b'["VB"]')
    (models / "blind.safetensors").write_bytes(b"?")
    progress = Progress()
    found = {finding.id: finding for finding in verify(manifest.weights.values(), progress)}
    assert {name: finding.state for name, finding in found.items()} == {
        "big": "ok",
        "words": "wrong",
        "blind": "unknown-digest",
        "own": "missing",
    }
    assert "digest is unknown" in found["blind"].sentence
    assert progress.snapshot().done == progress.snapshot().total
    (models / "nets/a.bin").write_bytes(b"short")
    cut = verify([manifest.weights["big"]], Progress())[0]
    assert (cut.state, "5 bytes instead of 3,000,000" in cut.sentence) == ("wrong", True)


def test_files_brought_by_hand_are_recognised_by_content(
    manifest: Manifest, models: Path, tmp_path: Path, server: Any
) -> None:
    stick = tmp_path / "stick"
    (stick / "deep").mkdir(parents=True)
    (stick / "deep/renamed.pt").write_bytes(server.files["/a.bin"])
    (stick / "t.zip").write_bytes(server.files["/t.zip"])
    (stick / "holiday.jpg").write_bytes(b"no weight")
    findings = import_folder(stick, Progress(), manifest)
    assert sorted((finding.id, finding.state) for finding in findings) == [("big", "ok"), ("words", "ok")]
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]
    assert (models / "tagger/words.json").read_bytes() == b'["NN"]'
    assert (stick / "deep/renamed.pt").exists()
    assert (stick / "t.zip").exists()
    assert not list(models.rglob("*.part"))
    before = (models / "nets/a.bin").stat().st_mtime_ns
    import_folder(stick, Progress(), manifest)
    assert (models / "nets/a.bin").stat().st_mtime_ns == before, "what is there already is not copied again"


@pytest.mark.parametrize(
    "name",
    [
        "blind.safetensors",
        "Blind-Net/open.safetensors",
        "models--org--Blind-Net/snapshots/a/open.safetensors",
    ],
)
def test_a_file_without_digest_is_taken_by_name(
    name: str, manifest: Manifest, models: Path, tmp_path: Path
) -> None:
    path = tmp_path / "stick" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    (finding,) = import_folder(tmp_path / "stick", Progress(), manifest)
    assert (finding.id, finding.state) == ("blind", "unknown-digest")
    assert (models / "blind.safetensors").read_bytes() == b"weights"


def test_a_common_name_alone_names_nothing(manifest: Manifest, models: Path, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/open.safetensors").write_bytes(b"weights")
    assert import_folder(tmp_path / "stick", Progress(), manifest) == []
    assert not models.exists()


def test_a_known_name_with_another_content_is_left_alone(
    manifest: Manifest, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/a.bin").write_bytes(b"cut off")
    (finding,) = import_folder(tmp_path / "stick", Progress(), manifest)
    assert (finding.id, finding.state) == ("big", "wrong")
    assert not (models / "nets").exists()


def test_links_of_a_copied_cache_are_followed(
    manifest: Manifest, models: Path, tmp_path: Path, server: Any
) -> None:
    stick = tmp_path / "stick"
    (stick / "snapshot").mkdir(parents=True)
    (stick / "blob").write_bytes(server.files["/a.bin"])
    os.symlink(stick / "blob", stick / "snapshot/model.safetensors")
    findings = import_folder(stick, Progress(), manifest)
    assert {finding.id for finding in findings} == {"big"}
    assert (models / "nets/a.bin").read_bytes() == server.files["/a.bin"]


def test_import_says_what_is_no_folder(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        import_folder(tmp_path / "nothing", Progress(), manifest)


def test_a_file_that_grows_while_it_is_copied_is_refused(
    manifest: Manifest, models: Path, tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stick").mkdir()
    path = tmp_path / "stick/a.bin"
    path.write_bytes(server.files["/a.bin"])
    usage = shutil.disk_usage(tmp_path)

    def grow(_: Path) -> Any:
        path.write_bytes(path.read_bytes() + b"more")
        return usage

    monkeypatch.setattr(shutil, "disk_usage", grow)
    with pytest.raises(KnownError, match="changed while"):
        import_folder(tmp_path / "stick", Progress(), manifest)
    assert not list(models.rglob("*.*"))
