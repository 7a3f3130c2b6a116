"""Motion of the virtual camera and of what moves in front of it, and the frames that it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 8
"""A frame's view is computed at the corners of GRID x GRID cells, and bilinear inside each cell."""

Points = NDArray[np.float64]
"""(..., 2) x and y in pixels."""

Displacement = Callable[[Points, int], Points]
"""Gives what is added to scene points at a slot."""


@dataclass(frozen=True)
class Motion:
    """A smooth path of a rigid view: position, angle and zoom at each slot.

    Attributes
    ----------
    shift : ndarray of float64
        x and y in output pixels, shape (T, 2).
    angle : ndarray of float64
        Radians, shape (T,).
    zoom : ndarray of float64
        Scale factors, shape (T,).
    """

    shift: NDArray[np.float64]
    angle: NDArray[np.float64]
    zoom: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, slots: int, max_speed_px: float) -> Motion:
        """Draw a path whose speed is log-uniform from 0.1 to `max_speed_px` pixels per frame."""
        time = np.linspace(-0.5, 0.5, slots) * (slots - 1)  # frames from the middle
        speed = np.exp(rng.uniform(np.log(0.1), np.log(max_speed_px)))
        heading = rng.uniform(0, 2 * np.pi)
        velocity = speed * np.array([np.cos(heading), np.sin(heading)])
        bend = speed * rng.normal(0, 0.02, 2)  # px/frame^2: changes the speed by half in a window
        shake = speed * rng.normal(0, 0.35, 2)  # tremor of the hand
        phase = rng.uniform(0, 2 * np.pi, 2)
        rate = rng.uniform(0.1, 0.6)
        shift = (
            time[:, None] * velocity
            + time[:, None] ** 2 * bend
            + shake * np.sin(rate * time[:, None] + phase)
        )
        turn = rng.normal(0, 0.0015) * min(speed, 2) + rng.choice([0, 1]) * rng.normal(0, 0.004)
        growth = rng.normal(0, 0.003) * min(speed, 2)
        return cls(shift, rng.normal(0, 0.2) + turn * time, np.exp(growth * time))

    def slowed(self, factor: float) -> Motion:
        """Return the same path, scaled to `factor` of its length."""
        return Motion(self.shift * factor, self.angle, self.zoom**factor)

    @classmethod
    def still(cls, slots: int) -> Motion:
        """Return the motion of a camera on a tripod."""
        return cls(np.zeros((slots, 2)), np.zeros(slots), np.ones(slots))


def view(
    motion: Motion, slot: int, size: int, tilt: NDArray[np.float64], ripple: Displacement | None
) -> Points:
    """Return where the grid of a frame lies in the scene at `slot`, (GRID+1, GRID+1, 2).

    Parameters
    ----------
    motion : Motion
        Motion of the camera.
    slot : int
        Frame number.
    size : int
        Side of the frame, pixels.
    tilt : ndarray of float64
        Perspective in x and y, 1/pixel, shape (2,).
    ripple : Displacement or None
        Added to the points of a rigid scene.
    """
    axis = np.linspace(-size / 2, size / 2, GRID + 1)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    cosine, sine = np.cos(motion.angle[slot]), np.sin(motion.angle[slot])
    turned = points @ np.array([[cosine, sine], [-sine, cosine]]) * motion.zoom[slot]
    seen: Points = turned / (1 + points @ tilt)[..., None] + motion.shift[slot]
    return seen if ripple is None else seen + ripple(seen, slot)


def waves(rng: np.random.Generator) -> Displacement:
    """Return a travelling ripple of scene points, as of cloth, water and leaves."""
    direction = rng.normal(0, 1, (2, 2))
    wave_number = rng.uniform(0.02, 0.09, (2, 1)) * direction
    amplitude = rng.uniform(0.5, 3.0, (2, 2))
    rate = rng.uniform(0.05, 0.5, 2)
    phase = rng.uniform(0, 2 * np.pi, 2)

    def displacement(points: Points, slot: int) -> Points:
        swing = np.sin(points @ wave_number.T + rate * slot + phase)
        return np.asarray(swing @ amplitude)

    return displacement


def warp(picture: NDArray[np.uint8], grid: Points, side: int) -> NDArray[np.uint8]:
    """Draw a frame of `side` pixels from `grid`, (GRID+1, GRID+1, 2) x and y in `picture`."""
    # Bilinear between the points of the grid, at the centre of each pixel of the frame.
    before, share = np.divmod((np.arange(side) + 0.5) * GRID / side, 1)
    before, share = before.astype(int), share.astype(np.float32)[:, None, None]
    rows = grid[before] + share * (grid[before + 1] - grid[before])
    columns = rows.astype(np.float32).transpose(1, 0, 2)
    x, y = (columns[before] + share * (columns[before + 1] - columns[before])).T - np.float32(0.5)
    drawn = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, np.uint8)
