"""Pictures follow from the labels, and no unordered set of them tells which way things go."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from m2hf_core.synthetic import DURATION_S, FRAME_RATE, ClipSpec, frames
from m2hf_core.synthetic.vocabulary import COLOURS, MOTIONS, SHAPES, SOUNDS

TIMES = np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE
MIRRORED = [("left", "right"), ("up", "down"), ("grow", "shrink")]
HUES = {
    "red": 356,
    "orange": 27,
    "yellow": 49,
    "green": 134,
    "turquoise": 176,
    "blue": 217,
    "purple": 271,
    "pink": 331,
}


def contents(pictures: npt.NDArray[np.uint8]) -> list[bytes]:
    return sorted(picture.tobytes() for picture in pictures)


def shown(spec: ClipSpec, **labels: object) -> npt.NDArray[np.uint8]:
    return frames(replace(spec, **labels), TIMES, 64)


def centre_of_red(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """x and y of what is red, by colour alone."""
    red = picture[..., 0].astype(float) - picture[..., 1:].max(-1)
    strength = np.clip(red - 60, 0, None)
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    return np.array([(columns * strength).sum(), (rows * strength).sum()]) / strength.sum()


def test_the_same_labels_draw_the_same_pictures(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs[:12]:
        first = frames(spec, TIMES, 64)
        assert first.dtype == np.uint8
        assert first.shape == (96, 64, 64, 3)
        assert np.array_equal(first, frames(spec, TIMES, 64))
        some = [90, 3, 41, 3]
        assert np.array_equal(first[some], frames(spec, TIMES[some], 64))


def test_no_times_give_no_pictures(train_specs: list[ClipSpec]) -> None:
    assert frames(train_specs[0], [], 64).shape == (0, 64, 64, 3)


def test_the_picture_knows_nothing_of_sound_and_speech(train_specs: list[ClipSpec]) -> None:
    for spec, sound in zip(train_specs[:20], list(SOUNDS) * 2, strict=True):
        assert np.array_equal(
            frames(spec, TIMES[:24], 64), frames(replace(spec, sound=sound, nouns=()), TIMES[:24], 64)
        )


@pytest.mark.parametrize(("one", "other"), MIRRORED)
def test_two_directions_consist_of_the_same_frames(train_specs: list[ClipSpec], one: str, other: str) -> None:
    for spec in train_specs[:10]:
        forth, back = shown(spec, motion=one), shown(spec, motion=other)
        assert contents(forth) == contents(back)
        assert np.array_equal(forth[0], back[0])
        assert np.array_equal(forth[1:][::-1], back[1:])
        assert not np.array_equal(forth, back)


@pytest.mark.parametrize(("one", "other"), MIRRORED)
@pytest.mark.parametrize("start_s", [0.0, 0.5])
def test_one_frame_per_second_is_the_same_set_either_way(
    train_specs: list[ClipSpec], one: str, other: str, start_s: float
) -> None:
    moments = start_s + np.arange(4)
    for spec in train_specs[:10]:
        forth = frames(replace(spec, motion=one), moments, 64)
        assert contents(forth) == contents(frames(replace(spec, motion=other), moments, 64))


def test_a_spinning_clip_played_backwards_is_another_spinning_clip(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs[:10]:
        spinning = shown(spec, motion="spin")
        turned = np.roll(spinning[::-1], 1, axis=0)
        assert contents(spinning) == contents(turned)
        assert not np.array_equal(spinning, turned)


def test_a_still_clip_is_a_frame_of_its_moving_twin(train_specs: list[ClipSpec]) -> None:
    for spec in train_specs[:10]:
        still = shown(spec, motion="still")
        assert len(set(contents(still))) == 1
        for motion in ("spin", "shake"):
            moving = shown(spec, motion=motion)
            assert len(set(contents(moving))) > 5


def test_one_frame_does_not_tell_growth_from_a_big_still_shape(train_specs: list[ClipSpec]) -> None:
    """Coverage of the picture by the shape, over many clips: same range and same middle, moving or not."""
    single = [
        replace(spec, shape="circle", colour="red", background="dark", count=1) for spec in train_specs[:250]
    ]

    def coverage(motion: str) -> npt.NDArray[np.float64]:
        drawn = np.stack([frames(replace(spec, motion=motion), [1.3], 64)[0] for spec in single])
        return (drawn[..., 0] > 110).mean(axis=(1, 2))

    still, grow, shrink = (
        np.quantile(coverage(motion), [0.1, 0.3, 0.5, 0.7, 0.9]) for motion in ("still", "grow", "shrink")
    )
    assert grow == pytest.approx(still, rel=0.25)
    assert shrink == pytest.approx(still, rel=0.25)


def test_one_frame_does_not_tell_which_way_a_shape_is_moving(train_specs: list[ClipSpec]) -> None:
    """Places of a shape in one frame per clip: both axes and rest have the same middle and spread."""
    single = [
        replace(spec, shape="circle", colour="red", background="dark", count=1) for spec in train_specs[:250]
    ]
    for motion in ("left", "up", "still"):
        places = np.stack(
            [centre_of_red(frames(replace(spec, motion=motion), [1.3], 64)[0]) for spec in single]
        )
        assert places.mean(axis=0) == pytest.approx([31.5, 31.5], abs=2.5)
        assert places.std(axis=0) == pytest.approx([0.62 * 64 / np.sqrt(12)] * 2, rel=0.12)


def test_motions_go_where_their_names_say(train_specs: list[ClipSpec]) -> None:
    """From one frame to the next; a few steps cross the seam, so the middle step counts."""
    for spec in train_specs[:6]:
        single = replace(spec, shape="circle", colour="red", background="dark", count=1)
        for motion, sign in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
            places = np.stack([centre_of_red(picture) for picture in shown(single, motion=motion)])
            step = np.median(np.diff(places, axis=0), axis=0)
            assert np.sign(np.round(step, 1)).tolist() == list(sign)
        sizes = {
            motion: np.median(
                np.diff([(picture[..., 0] > 110).sum() for picture in shown(single, motion=motion)])
            )
            for motion in ("grow", "shrink")
        }
        assert sizes["grow"] > 0 > sizes["shrink"]
        x, y = np.stack([centre_of_red(picture) for picture in shown(single, motion="orbit")]).T
        assert np.ptp(x) == pytest.approx(np.ptp(y), rel=0.1)
        x, y = np.stack([centre_of_red(picture) for picture in shown(single, motion="bounce")]).T
        assert np.ptp(x) < 1 < 8 < np.ptp(y)


@pytest.mark.parametrize("motion", list(MOTIONS))
def test_small_pictures_look_like_large_ones_reduced(train_specs: list[ClipSpec], motion: str) -> None:
    for spec in train_specs[:8]:
        moving = replace(spec, motion=motion)
        small, large = frames(moving, [0.0, 1.1], 64), frames(moving, [0.0, 1.1], 224)
        for one, other in zip(small, large, strict=True):
            reduced = cv2.resize(other, (64, 64), interpolation=cv2.INTER_AREA)
            assert np.abs(one.astype(int) - reduced).mean() < 2.5
            assert np.corrcoef(one.ravel(), reduced.ravel())[0, 1] > 0.97


def test_colours_are_those_that_were_named(train_specs: list[ClipSpec]) -> None:
    assert set(HUES) == set(COLOURS)
    for colour, hue in HUES.items():
        for spec in train_specs[:5]:
            still = replace(spec, colour=colour, shape="square", motion="still", background="gray", count=1)
            hsv = cv2.cvtColor(frames(still, [0.0], 224)[0].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
            strong = hsv[..., 0][hsv[..., 1] > 0.35]
            assert len(strong) > 500
            away = (np.median(strong) - hue + 180) % 360 - 180
            assert abs(away) < 9


def test_as_many_shapes_as_were_counted(train_specs: list[ClipSpec]) -> None:
    for spec, shape in zip(train_specs[:160], list(SHAPES) * 20, strict=True):
        still = replace(spec, shape=shape, motion="still", colour="green", background="light")
        picture = frames(still, [0.0], 224)[0].astype(int)
        green = (picture[..., 1] - picture[..., [0, 2]].max(-1) > 40).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(green)
        assert (stats[1:, cv2.CC_STAT_AREA] > 40).sum() == spec.count
        assert not green[0].any()
        assert not green[:, 0].any()


def test_sizes_places_and_texture_vary(train_specs: list[ClipSpec]) -> None:
    same = [
        replace(spec, shape="circle", colour="red", background="gray", count=1, motion="still")
        for spec in train_specs[:30]
    ]
    drawn = np.stack([frames(spec, [0.0], 64)[0] for spec in same]).astype(int)
    assert len({picture.tobytes() for picture in drawn}) == 30
    assert np.ptp(drawn[:, 0, 0], axis=0).min() >= 4
