"""Slow motion: frames in between those of a video, by motion-compensated interpolation.

The motion between two frames is estimated both ways by dense inverse search (Kroeger et al., "Fast
Optical Flow using Dense Inverse Search", ECCV 2016), as OpenCV has it, and carried to the time in
between by splatting (Niklaus and Liu, "Softmax Splatting for Video Frame Interpolation", CVPR
2020). A pixel is then taken from those of the two frames that show it: where the way forth and back
does not return to the same place, it was covered in one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Float32 = NDArray[np.float32]

STILL_PATCH = 7
"""Side, in pixels, of the patch that must be equal in both frames for its middle to be still."""
TOLERANCE_PX = 0.7
"""Distance between a pixel and where the way forth and back ends at which it half counts."""


def frames_needed(factor: Fraction, count: int) -> int:
    """Return how many frames `slowed` takes for `count` of its own."""
    return ceil((count - 1) / factor) + 1


def slowed(frames: Gray, factor: Fraction, count: int) -> Gray:
    """Play frames `factor` times as slowly.

    Parameters
    ----------
    frames : ndarray of uint8, shape (T, H, W)
        Consecutive frames, at least `frames_needed` of them.
    factor : Fraction
        One or more; frame ``k`` shows the time ``k / factor``, in frames of the input.
    count : int
        Number of frames to make.

    Returns
    -------
    ndarray of uint8, shape (count, H, W)
        At whole times, the frames of the input themselves; the others are interpolated. What is
        equal in two frames is equal in all between them.
    """
    if factor < 1 or frames_needed(factor, count) > len(frames):
        raise ValueError(f"{count} frames, {factor} times as slow, are not in {len(frames)}")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the flow differs in its last bits with the number of threads
    try:
        return _slowed(frames, factor, count)
    finally:
        cv2.setNumThreads(threads)


def _slowed(frames: Gray, factor: Fraction, count: int) -> Gray:
    made = np.empty((count, *frames.shape[1:]), np.uint8)
    pair: tuple[int, _Pair] | None = None
    for number in range(count):
        first, time = divmod(number / factor, 1)
        if not time:
            made[number] = frames[first]
            continue
        if pair is None or pair[0] != first:
            pair = first, _Pair(frames[first], frames[first + 1])
        made[number] = pair[1].between(float(time))
    return made


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two frames, and the motion from each to the other."""

    before: Gray
    after: Gray

    @cached_property
    def still(self) -> NDArray[np.bool_]:
        """Pixels in a patch that is equal in both frames."""
        equal = (self.before == self.after).astype(np.uint8)
        patch = np.ones((STILL_PATCH, STILL_PATCH), np.uint8)
        return cv2.erode(equal, patch, borderValue=1).astype(bool)

    @cached_property
    def flows(self) -> tuple[Float32, Float32]:
        """The motion from the first frame to the second and back: ``(H, W, 2)``, x and y."""
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        estimator.setFinestScale(0)
        forth = np.asarray(estimator.calc(self.before, self.after, np.empty(0)), np.float32)
        back = np.asarray(estimator.calc(self.after, self.before, np.empty(0)), np.float32)
        for flow in (forth, back):
            flow[self.still] = 0
        return forth, back

    @cached_property
    def trust(self) -> tuple[Float32, Float32]:
        """How surely each pixel of the frames is visible in the other one, 0 to 1."""
        forth, back = self.flows
        return _agreement(forth, -_sampled(back, forth)), _agreement(back, -_sampled(forth, back))

    def between(self, time: float) -> Gray:
        """Interpolate the frame at `time`, between 0 (the first frame) and 1 (the second)."""
        forth, back = self.flows
        motion = self._motion_at(time)
        to_before, to_after = -time * motion, (1 - time) * motion
        seen_before = _agreement(motion, _sampled(forth, to_before))
        seen_after = _agreement(motion, -_sampled(back, to_after))
        weight_before = (1 - time) * (seen_before + 1e-3)
        weight_after = time * (seen_after + 1e-3)
        total = weight_before * _sampled(self.before, to_before)
        total += weight_after * _sampled(self.after, to_after)
        values = np.clip(np.rint(total / (weight_before + weight_after)), 0, 255).astype(np.uint8)
        return np.where(self.still, self.before, values)

    def _motion_at(self, time: float) -> Float32:
        """Return the motion from the first frame to the second of what is seen at `time`."""
        height, width = self.before.shape
        size = height * width
        sums = np.zeros((3, size))
        rows, cols = np.mgrid[:height, :width]
        forth, back = self.flows
        sides = (forth, time * forth, self.trust[0]), (-back, (1 - time) * back, self.trust[1])
        for motion, way, trust in sides:
            x, y = cols + way[..., 0], rows + way[..., 1]
            left, top = np.floor(x).astype(int), np.floor(y).astype(int)
            for right, below in ((0, 0), (0, 1), (1, 0), (1, 1)):
                to_x, to_y = left + right, top + below
                inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
                share = (1 - abs(x - to_x)) * (1 - abs(y - to_y)) * (trust**2 + 1e-6)
                place, share = (to_y * width + to_x)[inside], share[inside]
                for sum_, value in zip(sums[:2], (motion[..., 0], motion[..., 1]), strict=True):
                    sum_ += np.bincount(place, share * value[inside], size)
                sums[2] += np.bincount(place, share, size)
        return _filled(*sums.reshape(3, height, width))


def _filled(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> Float32:
    """Divide weighted sums by their weights; where nothing came to lie, take what is near."""
    while not weight.all():
        near = [
            cv2.boxFilter(plane, -1, (5, 5), borderType=cv2.BORDER_ISOLATED, normalize=False)
            for plane in (x, y, weight)
        ]
        hole = weight == 0
        x, y, weight = (np.where(hole, a, b) for a, b in zip(near, (x, y, weight), strict=True))
    return np.stack([x / weight, y / weight], axis=-1).astype(np.float32)


def _sampled(values: NDArray[np.uint8] | Float32, offsets: Float32) -> Float32:
    """Read an image at every pixel moved by its offset, ``(H, W, 2)``, x and y in pixels."""
    rows, cols = np.mgrid[: values.shape[0], : values.shape[1]].astype(np.float32)
    x, y = cols + offsets[..., 0], rows + offsets[..., 1]
    kind = cv2.INTER_CUBIC if values.dtype == np.uint8 else cv2.INTER_LINEAR
    read = cv2.remap(values.astype(np.float32), x, y, kind, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32)


def _agreement(one: Float32, other: Float32) -> Float32:
    """Return 1 where two motions are equal, a half where they are `TOLERANCE_PX` apart."""
    apart = np.sum((one - other) ** 2, axis=-1) / TOLERANCE_PX**2
    return np.asarray(1 / (1 + apart**2), np.float32)
