"""Whisper folders in the published layout, with weights of our own: a random one, and ones whose words are known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers import decoders as token_decoders
from tokenizers import models as token_models

from m2hf_core.features.whisper import Whisper

WIDTH, HEADS, POSITIONS, MELS = 64, 2, 448, 80
# fmt: off
LANGUAGES = (
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi", "fi",
    "vi", "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la", "mi", "ml",
    "cy", "sk", "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy", "ne", "mn", "bs",
    "kk", "sq", "sw", "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be", "tg", "sd", "gu", "am",
    "yi", "lo", "uz", "fo", "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl", "mg", "as", "tt", "haw", "ln",
    "ha", "ba", "jw", "su",
)
# fmt: on
TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", " again")
TEXT_TOKENS = 50257
"""What Whisper's own vocabulary has before its special tokens."""

Spoken = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def _threads_as_they_were() -> Iterator[None]:
    """Making a network sets how many threads OpenMP gives this process, and torch's are the same ones.

    The program makes it in a process that holds no torch; here both live together.
    """
    with pytest.MonkeyPatch.context() as patch:
        opened = Whisper._open

        def restoring(self: Whisper, *args: Any) -> Any:
            torch = sys.modules.get("torch")
            threads = torch.get_num_threads() if torch else 0
            try:
                return opened(self, *args)
            finally:
                if torch:
                    torch.set_num_threads(threads)

        patch.setattr(Whisper, "_open", restoring)
        yield


def token(name: str) -> str:
    return f"<|{name}|>"


def vocabulary() -> list[str]:
    """51,865 tokens in the published order: letters, words, fillers, specials, 1,501 timestamps."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [word.replace(" ", "\u0120") for word in WORDS]
    fillers = [f"\u0120filler{i}" for i in range(TEXT_TOKENS - 1 - len(letters) - len(words))]
    specials = ["endoftext", "startoftranscript", *LANGUAGES, *TASKS]
    times = [f"{i * 0.02:.2f}" for i in range(1501)]
    # The empty token is how the runtime tells a multilingual vocabulary.
    return [*letters, *words, *fillers, "", *map(token, specials + times)]


def write_tokenizer(folder: Path, tokens: Sequence[str]) -> None:
    ids = {text: number for number, text in enumerate(tokens[:TEXT_TOKENS])}
    tokenizer = Tokenizer(token_models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = token_decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in tokens[TEXT_TOKENS:]])
    tokenizer.save(str(folder / "tokenizer.json"))


def random_variables(spec: object, size: int) -> None:
    """Give every variable of the specification a small random value of its published shape."""
    from ctranslate2.specs.model_spec import visit_spec

    generator = np.random.default_rng(0)

    def shape_of(name: str) -> tuple[int, ...] | None:
        kind = name.rsplit("/", 1)[-1]
        if name.startswith("encoder/conv"):
            inner = MELS if "conv1" in name else WIDTH
            return (WIDTH, inner, 3) if kind == "weight" else (WIDTH,) if kind == "bias" else None
        if kind == "encodings":
            return (1500 if name.startswith("encoder") else POSITIONS, WIDTH)
        if kind in ("gamma", "beta"):
            return (WIDTH,)
        if name in ("decoder/embeddings/weight", "decoder/projection/weight"):
            return (size, WIDTH)
        outer, inner = WIDTH, WIDTH
        if "ffn/linear_0" in name:
            outer = 4 * WIDTH
        elif "ffn/linear_1" in name:
            inner = 4 * WIDTH
        elif "self_attention/linear_0" in name:
            outer = 3 * WIDTH
        elif "/attention/linear_1" in name:
            outer = 2 * WIDTH
        if "linear" not in name:
            return None
        return (outer, inner) if kind == "weight" else (outer,) if kind == "bias" else None

    def fill(owner: object, name: str, value: object) -> None:
        shape = shape_of(name)
        if shape is None or isinstance(value, np.ndarray):
            return
        values = generator.normal(0, 0.02, shape).astype(np.float32)
        if name.endswith("gamma"):
            values += 1
        setattr(owner, name.rsplit("/", 1)[-1], values)

    visit_spec(spec, fill)


def teach(decoder: object, script: Sequence[int], first: int) -> None:
    """Make the decoder write `script` (token ids) whatever it hears, after `first`, its guess of the language.

    The last layer norm sees hardly anything but the position, and every scripted token stands at a right angle
    to the others, so that its probability is near 1.
    """
    generator = np.random.default_rng(1)
    embeddings = generator.normal(0, 0.01, decoder.embeddings.weight.shape).astype(np.float32)  # type: ignore[attr-defined]
    places = np.zeros((POSITIONS, WIDTH), np.float32)
    # The output at position 0 names the language or nobody; the one at 2, the prompt's last, begins the text.
    wanted = {0: first, **{2 + step: number for step, number in enumerate(script)}}
    axes: dict[int, int] = {}
    for place in range(POSITIONS):
        number = wanted.get(place, script[-1])
        axis = axes.setdefault(number, len(axes))
        places[place, axis] = 40.0
        embeddings[number] = 0
        embeddings[number, axis] = 4.0
    decoder.position_encodings.encodings = places  # type: ignore[attr-defined]
    decoder.embeddings.weight = embeddings * 0.01  # type: ignore[attr-defined]
    decoder.projection.weight = embeddings  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """Builds folders: `whisper_folder()` is random, `whisper_folder("the quick", ...)` says that, always.

    `silent` makes the network sure that nobody speaks, while it still writes its words.
    """
    tokens = vocabulary()
    number_of = {text: number for number, text in enumerate(tokens)}

    @cache
    def build(*lines: str, language: str = "en", silent: bool = False) -> Path:
        from ctranslate2.specs import whisper_spec

        folder = tmp_path_factory.mktemp("whisper")
        spec = whisper_spec.WhisperSpec(1, HEADS, 1, HEADS)
        random_variables(spec, len(tokens))
        if lines:
            script: list[int] = []
            for at, line in enumerate(lines):
                begin, end = token(f"{2 * at:.2f}"), token(f"{2 * at + 2:.2f}")
                words = [number_of["\u0120" + word] for word in line.split()]
                script += [number_of[begin], *words, number_of[end]]
            script.append(number_of[token("endoftext")])
            teach(spec.decoder, script, number_of[token("nospeech" if silent else language)])
        spec.register_vocabulary(tokens)
        spec.config.suppress_ids = []
        spec.config.suppress_ids_begin = [number_of[token("endoftext")]]
        spec.config.lang_ids = [number_of[token(language)] for language in LANGUAGES]
        spec.config.alignment_heads = [[0, 0], [0, 1]]
        spec.validate()
        spec.save(str(folder))
        (folder / "vocabulary.json").unlink()
        (folder / "vocabulary.txt").write_text(
            "\n".join(tokens), encoding="utf-8"
        )  # as the published ones have it
        write_tokenizer(folder, tokens)
        return folder

    return build
