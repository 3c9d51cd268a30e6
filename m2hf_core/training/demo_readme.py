"""The words that lie beside the demo models, with the figures of the run that made them."""

from __future__ import annotations

from typing import Any

_TEXT = """# The demo's models

These networks know the demo's synthetic world and nothing else: eight shapes in eight colours on six grounds, eleven
ways to move, eight sounds and silence. Shown a photograph or a real recording they give numbers without meaning.
They exist so that a fresh installation, a test and a lesson can run every part of the program without fetching
anything.

| file | what it is | bytes |
|---|---|---|
{files}

`clip.json` is a model description of open_clip, `clip.safetensors` its weights in float16, `merges.txt.gz` its byte
pairs; they load through the same code as every other preset. `SHA256SUMS` has their digests. `scorer.safetensors` is
the scorer that wakes the audio and motion branches, `scorer-report.md` the report of the run that trained it; its
digest is inside it. It belongs to these very weights and is refused with others.

## Figures

On val combinations, which trained nothing ({galleries} galleries of {gallery} clips; seed {seed}):

- sight: a caption with at least three visual claims finds its clip first in {r1:.1%} of {queries} queries and among the
  first five in {r5:.1%}. Some captions are true of several clips of a gallery: whoever saw everything would reach
  {ceiling_r1:.1%}. The first clip fits its caption in {fits:.1%}.
- sound: a linear probe on a clip's mean feature names {sounds} kinds in {sound:.1%} of {sound_clips} clips.
- movement: the same with {motions} kinds in {motion:.1%} of {motion_clips} clips.

The test combinations are left for the demo's own figures; nothing here was chosen by them.

## Making them again

```
python -m m2hf_core.training.demo_models --out resources/demo --seed {seed}
```

This took {minutes:.0f} minutes on two busy cores and wrote everything in this folder but the scorer, this page as well.
The scorer is then made by

```
m2hf-app train --data synthetic --out RUN
```

The same seed gives the same files on the same machine and versions ({versions}); `report.json` has the recipe and the
losses of {losses}.
"""

_PURPOSES = {
    "merges.txt.gz": "byte pairs of captions",
    "clip.json": "description of the contrastive model",
    "clip.safetensors": "frames and captions into one space",
    "audio.safetensors": "0.96 s of sound to 64 numbers",
    "motion.safetensors": "16 frames to 64 numbers",
}
_NETWORKS = {"clip": "sight", "audio": "sound", "motion": "movement"}


def render(report: dict[str, Any]) -> str:
    """Markdown for the report of `make_demo_models`."""
    clip, audio, motion = (report["val"][name] for name in ("clip", "audio", "motion"))
    files = [f"| `{name}` | {_PURPOSES[name]} | {size:,} |" for name, size in report["bytes"].items()]
    return _TEXT.format(
        files="\n".join(files),
        seed=report["seed"],
        galleries=clip["queries"] // clip["gallery"],
        gallery=clip["gallery"],
        queries=clip["queries"],
        r1=clip["r1"],
        r5=clip["r5"],
        ceiling_r1=clip["ceiling_r1"],
        fits=clip["first_fits_caption"],
        sounds=audio["classes"],
        sound=audio["linear_probe_accuracy"],
        sound_clips=audio["clips"],
        motions=motion["classes"],
        motion=motion["linear_probe_accuracy"],
        motion_clips=motion["clips"],
        losses=", ".join(name for key, name in _NETWORKS.items() if key in report["loss_by_tenth"]),
        minutes=max(1, report["training_seconds"] / 60),
        versions=", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    )
