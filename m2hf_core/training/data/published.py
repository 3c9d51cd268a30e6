"""The five data sets of the paper in the layouts in which their annotations are published.

None of these files may travel with the program: whoever has them names the folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from m2hf_core.errors import KnownError
from m2hf_core.training.data.annotations import (
    AnnotatedClip,
    Annotations,
    Layout,
    paragraph,
    read_json,
    read_lines,
    read_rows,
    shaped,
    without_ending,
)

MsrvttSplit = Literal["9k", "7k", "full"]
_NO_VAL = "There is no validation split: a part of train is held out to choose the best epoch."


def read_msrvtt(folder: Path, split: MsrvttSplit) -> Annotations:
    """MSR-VTT: `9k` and `7k` train lists with the 1,000 pairs of JSFUSION's 1k-A as test, `full` as first published.

    Looks for MSRVTT_data.json (all 200,000 captions), or for the two files of the first release, also as .zip.
    """
    layout = Layout(folder, "MSR-VTT")
    whole = layout.find("MSRVTT_data.json", "MSRVTT_data.json.zip")
    paths = [whole] if whole else [
        layout.need("train_val_videodatainfo.json", "train_val_annotation.zip"),
        layout.need("test_videodatainfo.json", "test_videodatainfo.json.zip"),
    ]  # fmt: skip
    captions: dict[str, list[str]] = defaultdict(list)
    official: dict[str, str] = {}
    for path in paths:
        document = read_json(path)
        try:
            for video in document["videos"]:
                official[video["video_id"]] = {"validate": "val"}.get(video["split"], video["split"])
            for sentence in sorted(document["sentences"], key=lambda sentence: int(sentence["sen_id"])):
                captions[sentence["video_id"]].append(sentence["caption"])
        except (KeyError, TypeError, ValueError) as error:
            raise shaped(path, error) from error
    name = f"msrvtt-{split}"
    if split == "full":
        parts = {part: [v for v in official if official[v] == part] for part in ("train", "val", "test")}
        return Annotations(name, {part: _clips(videos, captions) for part, videos in parts.items()})
    listed = layout.need(f"MSRVTT_train.{split}.csv")
    train = [row["video_id"] for row in read_rows(listed, ["video_id"])]
    tested = layout.need("MSRVTT_JSFUSION_test.csv")
    test = [
        AnnotatedClip(row["video_id"], row["video_id"], (row["sentence"],))
        for row in read_rows(tested, ["video_id", "sentence"])
    ]
    if lacking := [video for video in train if video not in captions]:
        raise KnownError(f"{lacking[0]} of {listed.name} has no caption in {paths[0].name}.")
    return Annotations(name, {"train": _clips(train, captions), "test": tuple(test)}, (_NO_VAL,))


def read_msvd(folder: Path) -> Annotations:
    """MSVD: captions_msvd.json ({video: [captions]}) or AllVideoDescriptions.txt, and the lists of the splits.

    Without train_list.txt everything that is not test is train.
    """
    layout = Layout(folder, "MSVD")
    path = layout.find("captions_msvd.json", "AllVideoDescriptions.txt")
    if path is None:
        pickled = layout.find("raw-captions.pkl") is not None
        reason = "raw-captions.pkl is a pickle, which is never opened" if pickled else "no captions are there"
        raise layout.wrong(reason)
    captions = _msvd_captions(path)
    test = read_lines(layout.need("test_list.txt"))
    train_list, val_list = layout.find("train_list.txt"), layout.find("val_list.txt")
    val = read_lines(val_list) if val_list else []
    reserved = {*test, *val}
    train = read_lines(train_list) if train_list else [video for video in captions if video not in reserved]
    splits = {"train": train, "val": val, "test": test}
    for part, videos in splits.items():
        if lacking := [video for video in videos if video not in captions]:
            raise KnownError(f"{len(lacking)} videos of {part} have no caption, as {lacking[0]}.")
    notes = () if val else (_NO_VAL,)
    return Annotations(
        "msvd", {part: _clips(videos, captions) for part, videos in splits.items() if videos}, notes
    )


def _msvd_captions(path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = defaultdict(list)
    try:
        if path.suffix == ".json":
            for video, texts in read_json(path).items():
                captions[str(video)] = [text.strip() for text in texts if text.strip()]
        else:
            for line in read_lines(path):
                if not line.startswith("#"):
                    video, text = line.split(" ", 1)
                    captions[video].append(text.strip())
    except (AttributeError, TypeError, ValueError) as error:
        raise shaped(path, error) from error
    return captions


_LSMDC_FILES = {
    "train": ("LSMDC16_annos_training.csv",),
    "val": ("LSMDC16_annos_val.csv",),
    "test": ("LSMDC16_challenge_1000_publictect.csv",),
}


def read_lsmdc(folder: Path) -> Annotations:
    """LSMDC: a line per clip without a header, tabs between id, four times and the sentence; 1,000 test clips."""
    layout = Layout(folder, "LSMDC")
    splits = {}
    for part, names in _LSMDC_FILES.items():
        path = layout.need(*names)
        clips = []
        for number, line in enumerate(read_lines(path), 1):
            fields = line.split("\t")
            if len(fields) != 6:
                raise KnownError(
                    f"Line {number} of {path} has {len(fields)} fields; LSMDC's have 6.",
                    "Get the file again.",
                )
            clips.append(AnnotatedClip(fields[0], fields[0], (fields[5].strip(),)))
        splits[part] = _merged(clips)
    return Annotations("lsmdc", splits)


def read_didemo(folder: Path) -> Annotations:
    """DiDeMo by paragraph: all descriptions of a video, in the order of the file, are one query."""
    layout = Layout(folder, "DiDeMo")
    splits = {}
    for part in ("train", "val", "test"):
        path = layout.need(f"{part}_data.json")
        sentences: dict[str, list[str]] = defaultdict(list)
        try:
            for entry in read_json(path):
                sentences[entry["video"]].append(entry["description"])
        except (KeyError, TypeError) as error:
            raise shaped(path, error) from error
        splits[part] = _paragraphs({without_ending(video): texts for video, texts in sentences.items()})
    return Annotations("didemo", splits)


def read_activitynet(folder: Path) -> Annotations:
    """ActivityNet Captions by paragraph; `val_1` is the test split, as everywhere in the literature.

    Takes the JSON of the first release or the tab-separated one (a line per sentence).
    """
    layout = Layout(folder, "ActivityNet Captions")
    splits = {}
    for part, name in (("train", "train"), ("test", "val_1")):
        path = layout.need(f"{name}.json", f"{name}.csv")
        sentences: dict[str, list[str]] = defaultdict(list)
        if path.suffix == ".csv":
            for row in read_rows(path, ["video_id", "caption"], "\t"):
                sentences[row["video_id"]].append(row["caption"])
        else:
            try:
                for video, entry in read_json(path).items():
                    sentences[video].extend(entry["sentences"])
            except (AttributeError, KeyError, TypeError) as error:
                raise shaped(path, error) from error
        splits[part] = _paragraphs(sentences)
    return Annotations("activitynet", splits, (_NO_VAL,))


def _clips(videos: Iterable[str], captions: Mapping[str, list[str]]) -> tuple[AnnotatedClip, ...]:
    return tuple(AnnotatedClip(video, video, tuple(captions[video])) for video in dict.fromkeys(videos))


def _paragraphs(sentences: Mapping[str, list[str]]) -> tuple[AnnotatedClip, ...]:
    return tuple(AnnotatedClip(video, video, (paragraph(texts),)) for video, texts in sentences.items())


def _merged(clips: Iterable[AnnotatedClip]) -> tuple[AnnotatedClip, ...]:
    """Clips that stand several times get all their captions."""
    captions: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        captions[clip.clip_id].extend(clip.captions)
    return _clips(captions, captions)
