"""A world of labelled synthetic clips whose captions need all four senses; see the README beside this file.

Writing files needs PyAV and is imported on its own from `m2hf_core.synthetic.files`, so that training on
arrays does without.
"""

from m2hf_core.synthetic.captions import (
    Caption,
    audio_caption,
    available_senses,
    caption_for,
    captions,
    claims,
    describes,
    motion_caption,
    speech_caption,
    visual_caption,
)
from m2hf_core.synthetic.demo import DemoQuery, DemoSet, demo_set
from m2hf_core.synthetic.picture import frames
from m2hf_core.synthetic.sound import sound
from m2hf_core.synthetic.specs import (
    DURATION_S,
    FRAME_RATE,
    FRAME_SIZE,
    SPLITS,
    ClipSpec,
    Split,
    draw_specs,
    split_of,
    split_of_pair,
)
from m2hf_core.synthetic.speech import transcript
from m2hf_core.synthetic.vocabulary import caption_words

__all__ = [
    "DURATION_S",
    "FRAME_RATE",
    "FRAME_SIZE",
    "SPLITS",
    "Caption",
    "ClipSpec",
    "DemoQuery",
    "DemoSet",
    "Split",
    "audio_caption",
    "available_senses",
    "caption_for",
    "caption_words",
    "captions",
    "claims",
    "demo_set",
    "describes",
    "draw_specs",
    "frames",
    "motion_caption",
    "sound",
    "speech_caption",
    "split_of",
    "split_of_pair",
    "transcript",
    "visual_caption",
]
