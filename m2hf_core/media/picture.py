"""From a decoded frame to the picture a person would see: RGB, upright, square pixels, on black."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

Image = npt.NDArray[np.uint8]

# Encoders write 640:639 where they mean 1:1; below one percent nobody sees it and resampling only blurs.
_SQUARE_WITHIN = 0.01
# Beyond this the ratio is a damaged header, not a picture format.
_WIDEST_PIXEL = 8.0


@dataclass(frozen=True, slots=True)
class Pose:
    """How a stored picture becomes the shown one: stretch its width by `aspect`, transpose, then flip."""

    aspect: float
    transposed: bool
    flip_x: bool
    flip_y: bool

    @property
    def rotation(self) -> int:
        """Clockwise degrees: 0, 90, 180 or 270; a mirrored picture counts as its unmirrored rotation."""
        if self.transposed:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def shown_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as shown, of a picture stored as width x height."""
        stretched = max(1, round(width * self.aspect))
        return (height, stretched) if self.transposed else (stretched, height)


def pose_of(frame: VideoFrame, stream: VideoStream) -> Pose:
    """Pose from the frame's display matrix and the track's sample aspect ratio."""
    aspect = _aspect(stream.sample_aspect_ratio)
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None:
        return Pose(aspect, False, False, False)
    # Row vectors: x' = a x + c y, y' = b x + d y, in 16.16 fixed point; angles between are rounded to quarters.
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Pose(aspect, False, flip_x=a < 0, flip_y=d < 0)
    return Pose(aspect, True, flip_x=c < 0, flip_y=b < 0)


def _aspect(ratio: Fraction | None) -> float:
    if not ratio or ratio < 0:
        return 1.0
    aspect = float(ratio)
    if abs(aspect - 1.0) < _SQUARE_WITHIN or not 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL:
        return 1.0
    return aspect


class Painter:
    """Turns decoded frames into images of one `max_side`; keeps the converter between frames."""

    def __init__(self, stream: VideoStream, max_side: int | None = None) -> None:
        self._stream = stream
        self._max_side = max_side
        self._converter = VideoReformatter()

    def paint(self, frame: VideoFrame) -> Image:
        """uint8 [H, W, 3] RGB, at most `max_side` long, never enlarged.

        The frame's own colour matrix and range are used; where it names none, BT.601 limited range, as
        OpenCV and the decoders behind published training sets do.
        """
        pose = pose_of(frame, self._stream)
        image = self._rgb(frame)
        height, width = image.shape[:2]
        image = _resized(image, *_stored_target(pose, width, height, self._max_side))
        if pose.transposed:
            image = image.transpose(1, 0, 2)
        if pose.flip_x:
            image = image[:, ::-1]
        if pose.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def _rgb(self, frame: VideoFrame) -> Image:
        if not any(component.is_alpha for component in frame.format.components):
            # One thread: the work is small, and the pool would ignore our thread budget.
            plain = self._converter.reformat(frame, format="rgb24", threads=1)
            return cast(Image, plain.to_ndarray())
        layered = cast(Image, self._converter.reformat(frame, format="rgba", threads=1).to_ndarray())
        colour, alpha = layered[..., :3].astype(np.uint16), layered[..., 3:].astype(np.uint16)
        return ((colour * alpha + 127) // 255).astype(np.uint8)


def _stored_target(pose: Pose, width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """(width, height) to resample to before the picture is turned upright."""
    wide, high = max(1, round(width * pose.aspect)), height
    if max_side is None or max(wide, high) <= max_side:
        return wide, high
    scale = max_side / max(wide, high)
    return max(1, round(wide * scale)), max(1, round(high * scale))


def _resized(image: Image, width: int, height: int) -> Image:
    if (image.shape[1], image.shape[0]) == (width, height):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    # Averaging over the area keeps fine texture from turning into patterns; it cannot enlarge.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(image, (width, height), interpolation=method))
