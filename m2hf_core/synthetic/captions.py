"""English captions of synthetic clips that mention some of the four senses, and know which.

A caption claims only what is true of its clip and records every claim as an attribute, so `describes` can tell
of any other clip whether the same words would be true of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from m2hf_core.records import BRANCHES, Branch
from m2hf_core.synthetic import vocabulary as words
from m2hf_core.synthetic.specs import SPLITS, ClipSpec

T = TypeVar("T")

COUNT_NAMES = {1: "one", 2: "two", 3: "three"}
QUIET_VALUE = "quiet"

_COLOUR_ODDS, _BACKGROUND_ODDS, _EXACT_COUNT_ODDS, _KEYWORD_ODDS = 0.8, 0.5, 0.65, 0.15
_CAPTION_PART = 4


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, the senses it appeals to, and what it claims: `attributes` holds only what the text says.

    Keys: shape, colour, background, count (one, two, three, several), motion, sound (`quiet` for both kinds
    of silence), nouns (comma-separated).
    """

    text: str
    senses: frozenset[Branch]
    attributes: Mapping[str, str]


def claims(spec: ClipSpec) -> dict[str, str]:
    """Everything a caption of this clip could claim, in the words of `Caption.attributes`."""
    found = {
        "shape": spec.shape,
        "colour": spec.colour,
        "background": spec.background,
        "count": COUNT_NAMES[spec.count],
        "motion": spec.motion,
        "sound": QUIET_VALUE if spec.sound in words.QUIET else spec.sound,
    }
    return found | {"nouns": ",".join(spec.nouns)} if spec.nouns else found


def describes(attributes: Mapping[str, str], spec: ClipSpec) -> bool:
    """Whether everything that these attributes claim is true of the clip."""
    true = claims(spec)
    for name, value in attributes.items():
        if name == "nouns":
            if not set(value.split(",")) <= set(spec.nouns):
                return False
        elif name == "count" and value == "several":
            if spec.count < 2:
                return False
        elif true[name] != value:
            return False
    return True


def available_senses(spec: ClipSpec) -> tuple[Branch, ...]:
    """The senses a caption of this clip may mention: all, but speech only where something is said."""
    return BRANCHES if spec.nouns else tuple(sense for sense in BRANCHES if sense is not Branch.SPEECH)


def captions(spec: ClipSpec, n: int = 1, seed: int = 0) -> list[Caption]:
    """`n` captions, each of a random non-empty subset of the senses; caption i is the same for every `n`.

    The number of senses is uniform over 1 to all that are available, then which ones.
    """
    return [numbered_caption(spec, number, seed) for number in range(n)]


def numbered_caption(spec: ClipSpec, number: int, seed: int = 0) -> Caption:
    """Caption `number` of `captions`."""
    rng = _caption_rng(spec, seed, number)
    available = available_senses(spec)
    wanted = int(rng.integers(1, len(available) + 1))
    chosen = rng.permutation(len(available))[:wanted]
    return _write(spec, frozenset(available[int(i)] for i in chosen), rng)


def caption_for(spec: ClipSpec, senses: Collection[Branch], seed: int = 0) -> Caption:
    """A caption that mentions exactly these senses. ValueError if one of them has nothing to mention."""
    wanted = frozenset(senses)
    if not wanted or not wanted <= set(available_senses(spec)):
        raise ValueError(f"clip {spec.index} has nothing to say about {sorted(wanted)}")
    return _write(
        spec, wanted, _caption_rng(spec, seed, sum(1 << BRANCHES.index(sense) for sense in wanted) << 32)
    )


def visual_caption(spec: ClipSpec, seed: int = 0) -> Caption:
    return caption_for(spec, {Branch.VISUAL}, seed)


def audio_caption(spec: ClipSpec, seed: int = 0) -> Caption:
    return caption_for(spec, {Branch.AUDIO}, seed)


def motion_caption(spec: ClipSpec, seed: int = 0) -> Caption:
    return caption_for(spec, {Branch.MOTION}, seed)


def speech_caption(spec: ClipSpec, seed: int = 0) -> Caption:
    """ValueError for a clip that says nothing."""
    return caption_for(spec, {Branch.SPEECH}, seed)


def _caption_rng(spec: ClipSpec, seed: int, number: int) -> np.random.Generator:
    key = (spec.seed, SPLITS.index(spec.split), spec.index, _CAPTION_PART, seed, number)
    return np.random.default_rng(np.random.SeedSequence(key))


def _pick(rng: np.random.Generator, options: tuple[T, ...]) -> T:
    return options[int(rng.integers(len(options)))]


def _write(spec: ClipSpec, senses: frozenset[Branch], rng: np.random.Generator) -> Caption:
    claimed: dict[str, str] = {}
    style: Callable[..., str] = _keywords if rng.random() < _KEYWORD_ODDS else _sentence
    text = style(spec, senses, claimed, rng)
    return Caption(text, senses, MappingProxyType(claimed))


def _subject(spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator, bare: bool) -> str:
    """Count, colour and shape as a noun phrase; `bare` leaves the article out, as in a list of keywords."""
    single, plural = _pick(rng, words.SHAPES[spec.shape])
    name = single if spec.count == 1 else plural
    claimed["shape"] = spec.shape
    if rng.random() < _COLOUR_ODDS:
        claimed["colour"] = spec.colour
        name = f"{_pick(rng, words.COLOURS[spec.colour])} {name}"
    exact = spec.count == 1 or rng.random() < _EXACT_COUNT_ODDS
    claimed["count"] = COUNT_NAMES[spec.count] if exact else "several"
    amount = _pick(rng, words.COUNT_WORDS[claimed["count"]])
    if bare and (spec.count == 1 or not exact):
        return name
    return f"{amount.format(a=_article(name))} {name}".strip()


def _background(spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator) -> str:
    claimed["background"] = spec.background
    adjective = _pick(rng, words.BACKGROUNDS[spec.background])
    return _pick(rng, words.BACKGROUND_PHRASES).format(a=_article(adjective), adjective=adjective)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _nouns(spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator) -> tuple[str, ...]:
    """One to all of the clip's nouns, in any order."""
    mentioned = rng.permutation(len(spec.nouns))[: int(rng.integers(1, len(spec.nouns) + 1))]
    nouns = tuple(spec.nouns[int(i)] for i in mentioned)
    claimed["nouns"] = ",".join(nouns)
    return nouns


def _sound(spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator) -> str:
    """The sound as a noun phrase; for a quiet clip, a phrase that stands alone."""
    quiet = spec.sound in words.QUIET
    claimed["sound"] = QUIET_VALUE if quiet else spec.sound
    return _pick(rng, words.QUIET_ALONE if quiet else words.SOUNDS[spec.sound])


def _keywords(
    spec: ClipSpec, senses: frozenset[Branch], claimed: dict[str, str], rng: np.random.Generator
) -> str:
    """What people type into a search box: "two red stars, spinning, siren"."""
    parts = []
    if Branch.VISUAL in senses:
        parts.append(_subject(spec, claimed, rng, bare=True))
        if rng.random() < _BACKGROUND_ODDS:
            claimed["background"] = spec.background
            parts.append(f"{_pick(rng, words.BACKGROUNDS[spec.background])} background")
    if Branch.MOTION in senses:
        claimed["motion"] = spec.motion
        parts.append(_pick(rng, words.MOTIONS[spec.motion])[2])
    if Branch.AUDIO in senses:
        parts.append(_sound(spec, claimed, rng))
    if Branch.SPEECH in senses:
        parts += _nouns(spec, claimed, rng)
    return ", ".join(parts[int(i)] for i in rng.permutation(len(parts)))


def _sentence(
    spec: ClipSpec, senses: frozenset[Branch], claimed: dict[str, str], rng: np.random.Generator
) -> str:
    text = _seen_and_moving(spec, senses, claimed, rng)
    if Branch.AUDIO in senses:
        text = _with_sound(text, spec, claimed, rng)
    if Branch.SPEECH in senses:
        text = _with_speech(text, spec, claimed, rng)
    return text


def _seen_and_moving(
    spec: ClipSpec, senses: frozenset[Branch], claimed: dict[str, str], rng: np.random.Generator
) -> str:
    plural, single, verbing = _pick(rng, words.MOTIONS[spec.motion])
    if Branch.MOTION in senses:
        claimed["motion"] = spec.motion
    if Branch.VISUAL not in senses:
        return (
            _pick(rng, words.MOVING).format(verb=single, verbing=verbing) if Branch.MOTION in senses else ""
        )
    subject = _subject(spec, claimed, rng, bare=False)
    shown = rng.random() < _BACKGROUND_ODDS
    background = f" {_background(spec, claimed, rng)}" if shown else ""
    be, verb = ("is", single) if spec.count == 1 else ("are", plural)
    pattern = _pick(rng, words.SEEN_MOVING if Branch.MOTION in senses else words.SEEN)
    return pattern.format(subject=subject, background=background, be=be, verb=verb, verbing=verbing)


def _with_sound(text: str, spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator) -> str:
    sound = _sound(spec, claimed, rng)
    if spec.sound in words.QUIET:
        return text + _pick(rng, words.QUIET_JOINED) if text else sound
    return (text + _pick(rng, words.HEARD_JOINED) if text else _pick(rng, words.HEARD_ALONE)).format(
        sound=sound
    )


def _with_speech(text: str, spec: ClipSpec, claimed: dict[str, str], rng: np.random.Generator) -> str:
    """A quiet clip's words are only written, so no caption lets a voice say them."""
    nouns = _nouns(spec, claimed, rng)
    patterns = words.WRITTEN if spec.sound in words.QUIET else words.SPOKEN + words.WRITTEN
    said = _pick(rng, patterns).format(nouns=words.LISTS[len(nouns) - 1].format(*nouns))
    return f"{text}{_pick(rng, words.SPEECH_LINKS)}{said}" if text else said
