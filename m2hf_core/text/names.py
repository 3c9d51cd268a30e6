"""File names as a lane of their own: people name files after what is in them, and search should know."""

from __future__ import annotations

from pathlib import PurePath

from m2hf_core.text.languages import ENGLISH, lemma, stop_list

_CAMERA = {
    "avi", "clip", "dsc", "dscf", "dscn", "gopr", "gx", "img", "mkv", "mov", "movie", "mp", "mvi", "pxl", "vid", "video"
}  # fmt: skip
"""What cameras and programs write into every name says nothing about one of them."""


def name_words(path: PurePath | str) -> frozenset[str]:
    """`IMG_2023-birthdayParty at_theLake.MOV` -> {2023, birthday, party, lake}; the folder counts too."""
    path = PurePath(path)
    return words_of(f"{path.parent.name} {path.stem}")


def words_of(text: str) -> frozenset[str]:
    """Lemmas and numbers of a query or a name, split at case, digits, underscores and signs."""
    stops = stop_list(ENGLISH)
    runs = (run if run.isdigit() else lemma(run, ENGLISH) for run in _runs(text))
    return frozenset(run for run in runs if len(run) > 1 and run not in stops and run not in _CAMERA)


def _runs(text: str) -> list[str]:
    """`HTMLTalk2023` -> HTML, Talk, 2023; letters of any script."""
    spaced = []
    for before, here, after in zip(" " + text, text, text[1:] + " ", strict=False):
        camel = here.isupper() and (before.islower() or (before.isupper() and after.islower()))
        digits = here.isalnum() and before.isalnum() and here.isdigit() != before.isdigit()
        spaced.append(f" {here}" if camel or digits else here if here.isalnum() else " ")
    return "".join(spaced).split()
