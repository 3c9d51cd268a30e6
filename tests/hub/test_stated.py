"""Files whose digest the manifest does not know: their publisher states it, and is held to it afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m2hf_core.errors import BadModelFile, KnownError
from m2hf_core.hub.files import genuine, statement_of
from m2hf_core.hub.manifest import Manifest, get_preset
from m2hf_core.hub.prepare import plan, prepare
from m2hf_core.hub.verify import Finding, verify
from m2hf_core.progress import Progress

CONTENT = b'{"small": true}'
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def pinned(manifest: Manifest, server: Any) -> Manifest:
    """The file without digest at an address that names a revision, as the hub serves it."""
    path = f"/org/Blind-Net/resolve/{REVISION}/open.safetensors"
    server.files[path] = CONTENT
    weight = manifest.weights["blind"]
    hub = replace(weight.hub, revision=REVISION)
    weight = replace(weight, url=f"{server.url}{path}", hub=hub)
    return replace(manifest, weights={**manifest.weights, "blind": weight})


def run(manifest: Manifest) -> list[Finding]:
    return prepare(get_preset("blind", manifest), Progress(), manifest)


def states(
    server: Any, digest: str, revision: str = REVISION, where: str = "https://elsewhere.example/x"
) -> None:
    headers = {"X-Linked-Etag": f'"{digest}"', "X-Repo-Commit": revision, "Location": where}
    server.stated[f"/org/Blind-Net/resolve/{REVISION}/open.safetensors"] = headers


def test_without_a_digest_the_publisher_is_asked(pinned: Manifest, models: Path, server: Any) -> None:
    states(server, hashlib.sha256(CONTENT).hexdigest())
    assert "to be checked by what its publisher states" in plan(get_preset("blind", pinned), pinned).lines[0]
    assert [finding.state for finding in run(pinned)] == ["ok", "ok"]
    assert (models / "blind.safetensors").read_bytes() == CONTENT
    assert plan(get_preset("blind", pinned), pinned).fetch == ()
    (models / "blind.safetensors").write_bytes(b"changed")
    found = verify([pinned.weights["blind"]], Progress())
    assert found[0].state == "wrong", "what was stated then still counts"
    with pytest.raises(BadModelFile):
        genuine(pinned.weights["blind"])


def test_a_renamed_repository_is_followed(pinned: Manifest, models: Path, server: Any) -> None:
    states(server, hashlib.sha256(CONTENT).hexdigest())
    here = f"/org/Blind-Net/resolve/{REVISION}/open.safetensors"
    server.stated["/new"] = server.stated[here]
    server.stated[here] = {"Location": "/new"}
    run(pinned)
    assert server.asked == [here, "/new"]


@pytest.mark.parametrize(
    ("digest", "revision", "where"),
    [
        ("", REVISION, "https://elsewhere.example/x"),
        ("0" * 40, REVISION, "https://elsewhere.example/x"),
        ("0" * 64, REVISION[::-1], "https://elsewhere.example/x"),
        ("", REVISION, f"/org/Blind-Net/resolve/{REVISION}/open.safetensors"),
    ],
)
def test_without_a_statement_nothing_is_fetched(
    digest: str, revision: str, where: str, pinned: Manifest, models: Path, server: Any
) -> None:
    states(server, digest, revision, where)
    with pytest.raises(KnownError, match=r"states no checksum.*models import"):
        run(pinned)
    assert server.ranges == []
    assert not models.exists()


def test_another_file_than_the_stated_one_is_removed(pinned: Manifest, models: Path, server: Any) -> None:
    states(server, "0" * 64)
    with pytest.raises(BadModelFile, match="not the published file"):
        run(pinned)
    assert not (models / "blind.safetensors").exists()
    assert not statement_of(pinned.weights["blind"]).exists(), "the next attempt asks again"


def test_a_hub_that_does_not_answer_gets_a_sentence(pinned: Manifest, server: Any) -> None:
    with pytest.raises(KnownError, match="There is no file at"):
        run(pinned)


@pytest.mark.parametrize("kept", ["", "0123", "f" * 63])
def test_half_a_statement_accepts_nothing(kept: str, pinned: Manifest, models: Path, server: Any) -> None:
    models.mkdir()
    (models / "blind.safetensors").write_bytes(b"anything")
    statement_of(pinned.weights["blind"]).write_text(kept)
    (found,) = verify([pinned.weights["blind"]], Progress())
    assert found.state == "unknown-digest"
