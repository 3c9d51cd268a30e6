"""Files of captions as people have them: data sets as they are published, and what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.services.bank import import_captions, list_captions
from app.services.library import Library, open_library
from m2hf_core.errors import KnownError
from m2hf_core.progress import Progress


@pytest.fixture
def bring(tmp_path: Path) -> Callable[[str, Any], list[object]]:
    """Write a file, import it, and answer the texts of the bank."""

    def bring(name: str, content: Any) -> list[object]:
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        with open_library(tmp_path / "data", mode="create") as library:
            return _imported(library, tmp_path / name)

    return bring


def _imported(library: Library, file: Path) -> list[object]:
    import_captions(library, file, None, Progress())
    return [row["text"] for row in list_captions(library)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "msrvtt.json",
            {"info": {}, "videos": [1], "sentences": [{"caption": "a dog"}, {"caption": "a  cat"}]},
        ),
        ("coco.json", {"annotations": [{"id": 1, "caption": "a dog"}, {"id": 2, "caption": "a cat"}]}),
        ("list.json", ["a dog", "a cat", "a dog", " "]),
        ("table.csv", "key,sentence\n1,a dog\n2,a cat\n"),
        ("lines.jsonl", '{"text": "a dog"}\n"a cat"\n'),
    ],
)
def test_data_sets_come_as_they_are_published(bring: Any, name: str, content: Any) -> None:
    assert bring(name, content) == ["a dog", "a cat"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.json", '{"sentences": [\n{"caption": "a dog"},', "Line 2 of cut.json is not JSON"),
        ("other.json", {"results": ["a dog"]}, "holds no list of captions"),
        ("number.json", "7", "holds no list of captions"),
        ("odd.json", [{"caption": "a dog"}, {"name": "a cat"}], "Entry 2 of odd.json has no `text`"),
        ("null.json", ["a dog", None], "Entry 2 of null.json has no `text`"),
    ],
)
def test_what_is_none_is_a_sentence_and_imports_nothing(
    bring: Any, name: str, content: Any, said: str
) -> None:
    with pytest.raises(KnownError, match=said):
        bring(name, content)
    assert bring("good.txt", "only this") == ["only this"]


@pytest.mark.slow
def test_the_published_captions_of_msrvtt(shared: Path, tmp_path: Path) -> None:
    """59,800 sentences of the test split, as the archive holds them; equal ones count once."""
    import zipfile

    with zipfile.ZipFile(shared / "text" / "msrvtt" / "test_videodatainfo.json.zip") as archive:
        archive.extract("test_videodatainfo.json", tmp_path)
    sentences = json.loads((tmp_path / "test_videodatainfo.json").read_text("utf-8"))["sentences"]
    assert len(sentences) == 59_800
    distinct = {" ".join(row["caption"].split()) for row in sentences}
    with open_library(tmp_path / "data", mode="create") as library:
        added = import_captions(library, tmp_path / "test_videodatainfo.json", None, Progress())
    assert added == len(distinct)


def test_a_picture_is_no_list_of_captions(tmp_path: Path) -> None:
    picture = tmp_path / "holiday.txt"
    Image.new("RGB", (64, 64), "red").save(picture, "jpeg")
    with open_library(tmp_path / "data", mode="create") as library:
        with pytest.raises(KnownError, match=r"holiday\.txt is no text file"):
            import_captions(library, picture, None, Progress())
        assert list_captions(library) == []
    (tmp_path / "wide.txt").write_text("a dog\na cat\n", "utf-16")
    with open_library(tmp_path / "data", mode="write") as library:
        assert _imported(library, tmp_path / "wide.txt") == ["a dog", "a cat"]
