"""The reader of pictures: drawn text is read, a still picture is read once, nothing is fetched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from m2hf_core.errors import ModelsMissing
from m2hf_core.features import loading
from m2hf_core.features.contracts import UInt8
from m2hf_core.features.ocr import RapidReader, open_reader
from m2hf_core.hub.manifest import get_preset


@pytest.fixture(scope="module")
def reader() -> RapidReader:
    return open_reader()


def picture(*rows: str) -> UInt8:
    image = np.full((180, 320, 3), 210, np.uint8)
    for at, row in enumerate(rows):
        cv2.putText(image, row, (20, 60 + 80 * at), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (120, 10, 10), 3)
    return np.asarray(image, np.uint8)


def test_text_is_read_from_top_to_bottom_and_nothing_elsewhere(reader: RapidReader) -> None:
    blank = np.full((180, 320, 3), 90, np.uint8)
    texts = reader.read(np.stack([picture("Grand Hotel", "Platform 9"), blank]))
    assert [" ".join(found).replace(" ", "") for found in texts] == ["GrandHotelPlatform9", ""]


def test_a_still_picture_is_read_once_and_a_changed_line_again(
    reader: RapidReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    library = reader._ocr

    def counted(image: UInt8) -> object:
        calls.append(len(image))
        return library(image)

    monkeypatch.setattr(reader, "_ocr", counted)
    still, changed = picture("Grand Hotel"), picture("Grand Hotel", "closed")
    noise = np.random.default_rng(0).integers(-3, 4, still.shape)
    noisy = np.clip(still.astype(np.int64) + noise, 0, 255).astype(np.uint8)
    texts = reader.read(np.stack([still, noisy, still, changed]))
    assert len(calls) == 2, "noise of coding is no change; another line is"
    assert texts[0] == texts[1] == texts[2] != texts[3]


def test_the_fingerprint_names_the_known_networks(reader: RapidReader) -> None:
    assert reader.fingerprint == "text:pp-ocrv6-small:6f327246:1"


def test_a_machine_without_the_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> RapidReader:
        raise ModelsMissing("It comes with the package rapidocr.", 'pip install "m2hf-app[ocr]"')

    monkeypatch.setattr("m2hf_core.features.ocr.open_reader", refuse)
    assert loading.load_extractors(get_preset("fast")).text is None
    asked = loading.load_extractors(get_preset("fast"), ocr=True)
    assert asked.text is None
    assert any("m2hf-app[ocr]" in notice for notice in asked.notices)
