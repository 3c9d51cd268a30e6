"""Every word a synthetic caption may use: the attributes of each sense, their synonyms, the parts of sentences.

No word of one sense is a word of another (a test holds this): "circle" is a shape, so what goes round *orbits*,
and a ring is a shape, so no bell rings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from m2hf_core.synthetic.nouns import NOUNS

SHAPES: dict[str, tuple[tuple[str, str], ...]] = {
    "circle": (("circle", "circles"), ("disc", "discs")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"), ("pyramid", "pyramids")),
    "star": (("star", "stars"), ("five-pointed star", "five-pointed stars")),
    "heart": (("heart", "hearts"), ("valentine", "valentines")),
    "moon": (("moon", "moons"), ("crescent", "crescents")),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs")),
    "ring": (("ring", "rings"), ("hoop", "hoops")),
}
"""Singular and plural of each name of a shape."""

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "tangerine"),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "turquoise": ("turquoise", "teal", "aqua"),
    "blue": ("blue", "azure"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
}

BACKGROUNDS: dict[str, tuple[str, ...]] = {
    "dark": ("dark", "black"),
    "light": ("light", "pale", "cream"),
    "gray": ("gray", "grey"),
    "stripes": ("striped", "stripy"),
    "dots": ("dotted", "spotted", "polka-dot"),
    "checks": ("checkered", "chequered", "chessboard"),
}

COUNTS: tuple[int, ...] = (1, 2, 3)
COUNT_WORDS: dict[str, tuple[str, ...]] = {
    "one": ("{a}", "{a}", "{a}", "one", "a single"),
    "two": ("two", "two", "a pair of"),
    "three": ("three", "three", "a trio of"),
    "several": ("some", "several", ""),
}
"""How many a caption claims; "several" is true of two and of three. `{a}` becomes "a" or "an"."""

MOTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "left": (
        ("move to the left", "moves to the left", "moving to the left"),
        ("slide left", "slides left", "sliding left"),
        ("drift to the left", "drifts to the left", "drifting to the left"),
        ("glide leftward", "glides leftward", "gliding leftward"),
    ),
    "right": (
        ("move to the right", "moves to the right", "moving to the right"),
        ("slide right", "slides right", "sliding right"),
        ("drift to the right", "drifts to the right", "drifting to the right"),
        ("glide rightward", "glides rightward", "gliding rightward"),
    ),
    "up": (
        ("move up", "moves up", "moving up"),
        ("rise", "rises", "rising"),
        ("drift upward", "drifts upward", "drifting upward"),
        ("climb", "climbs", "climbing"),
    ),
    "down": (
        ("move down", "moves down", "moving down"),
        ("sink", "sinks", "sinking"),
        ("drift downward", "drifts downward", "drifting downward"),
        ("descend", "descends", "descending"),
    ),
    "orbit": (
        ("orbit", "orbits", "orbiting"),
        ("go round and round", "goes round and round", "going round and round"),
        ("loop around", "loops around", "looping around"),
    ),
    "bounce": (
        ("bounce", "bounces", "bouncing"),
        ("hop", "hops", "hopping"),
        ("jump", "jumps", "jumping"),
    ),
    "spin": (
        ("spin", "spins", "spinning"),
        ("rotate", "rotates", "rotating"),
        ("twirl", "twirls", "twirling"),
    ),
    "grow": (
        ("grow", "grows", "growing"),
        ("get bigger", "gets bigger", "getting bigger"),
        ("expand", "expands", "expanding"),
    ),
    "shrink": (
        ("shrink", "shrinks", "shrinking"),
        ("get smaller", "gets smaller", "getting smaller"),
        ("contract", "contracts", "contracting"),
    ),
    "shake": (
        ("shake", "shakes", "shaking"),
        ("tremble", "trembles", "trembling"),
        ("quiver", "quivers", "quivering"),
    ),
    "still": (
        ("stay still", "stays still", "staying still"),
        ("stand still", "stands still", "standing still"),
        ("rest", "rests", "resting"),
        ("do not move", "does not move", "not moving"),
    ),
}
"""Plural, singular and -ing form of each way to say a motion."""

SOUNDS: dict[str, tuple[str, ...]] = {
    "beeps": ("beeping", "beeps", "electronic bleeps"),
    "chirp": ("chirping", "chirps", "a tweeting whistle"),
    "noise": ("hissing noise", "static", "a steady hiss"),
    "drum": ("drumming", "drum beats", "a thumping drum"),
    "siren": ("a siren", "a wailing siren", "a howling alarm"),
    "chord": ("a chord", "organ music", "a sustained musical chord"),
    "buzz": ("buzzing", "a low hum", "a droning buzz"),
    "tick": ("ticking", "a ticking clock", "clicking"),
    "silence": (),
    "none": (),
}
"""`silence` is a track of zeros, `none` is no track at all. Nobody hears a difference: captions never claim one."""

QUIET = frozenset({"silence", "none"})
QUIET_JOINED = (
    " in silence",
    " without any sound",
    ", nothing is heard",
    ", with no sound at all",
    ", silent",
)
QUIET_ALONE = ("silence", "nothing is heard", "a clip without any sound", "no sound at all", "a silent clip")

BACKGROUND_PHRASES = (
    "on {a} {adjective} background",
    "over {a} {adjective} background",
    "in front of {a} {adjective} wall",
    "against {a} {adjective} backdrop",
)
SEEN = (
    "{subject}{background}",
    "there {be} {subject}{background}",
    "a video of {subject}{background}",
    "you see {subject}{background}",
    "a clip showing {subject}{background}",
)
SEEN_MOVING = (
    "{subject} {verb}{background}",
    "{subject} {verbing}{background}",
    "{subject}{background} {verb}",
    "a video of {subject} {verbing}{background}",
    "there {be} {subject} {verbing}{background}",
)
MOVING = (
    "something {verb}",
    "something {verbing}",
    "a video of something {verbing}",
    "you see something that {verb}",
)
HEARD_JOINED = (
    " with {sound}",
    " to the sound of {sound}",
    ", you hear {sound}",
    " while {sound} can be heard",
)
HEARD_ALONE = ("the sound of {sound}", "you hear {sound}", "{sound} can be heard", "a clip with {sound}")
SPOKEN = ("someone talks about {nouns}", "somebody mentions {nouns}", "a voice speaks of {nouns}")
WRITTEN = ("the words are about {nouns}", "the subtitles mention {nouns}", "the subtitles talk about {nouns}")
"""True of a clip without sound as well, of which "a voice speaks" would be a lie."""
SPEECH_LINKS = (", ", " and ", " while ")
LISTS = ("{0}", "{0} and {1}", "{0}, {1} and {2}")


def words_of(text: str) -> list[str]:
    """The words of a text, lower case, in order; hyphenated words stay whole."""
    return re.findall(r"[a-z]+(?:[-'][a-z]+)*", re.sub(r"\{\w*\}", " ", text.lower()))


def attribute_words() -> dict[str, frozenset[str]]:
    """Attribute name -> the words that express its values, without the glue shared by all captions."""
    glue = {"a", "to", "the", "and", "do", "does", "not", "of"}
    texts: dict[str, Iterable[str]] = {
        "shape": (form for forms in SHAPES.values() for pair in forms for form in pair),
        "colour": (form for forms in COLOURS.values() for form in forms),
        "background": (form for forms in BACKGROUNDS.values() for form in forms),
        "motion": (form for forms in MOTIONS.values() for triple in forms for form in triple),
        "sound": (form for forms in SOUNDS.values() for form in forms),
        "nouns": NOUNS,
    }
    return {
        name: frozenset(word for text in parts for word in words_of(text)) - glue
        for name, parts in texts.items()
    }


def _glue_texts() -> Iterator[str]:
    seen: tuple[tuple[str, ...], ...] = (BACKGROUND_PHRASES, SEEN, SEEN_MOVING, MOVING, *COUNT_WORDS.values())
    heard = (HEARD_JOINED, HEARD_ALONE, QUIET_JOINED, QUIET_ALONE)
    for parts in (*seen, *heard, SPOKEN, WRITTEN, SPEECH_LINKS, LISTS):
        yield from parts
    yield "a an the is are do does to not of and"


def caption_words() -> frozenset[str]:
    """Every word that any caption can hold, lower case: what a tokenizer of captions must know."""
    glue = {word for text in _glue_texts() for word in words_of(text)}
    return frozenset(glue.union(*attribute_words().values()))
