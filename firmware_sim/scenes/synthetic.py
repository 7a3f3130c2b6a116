"""A seeded picture in smooth motion: what an emulated sensor sees without a file or a camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError


class SyntheticScene:
    """A seeded picture in smooth motion: textured ground, hard edges, and moving objects.

    The picture of a slot depends on the seed and the number of the slot alone, so windows can be
    asked for in any order and repeatedly. Ground and objects move 0.5 to 3 pixels per slot.
    """

    _OBJECTS = 4

    def __init__(self, height: int, width: int, slots: int = 16, *, seed: int = 0) -> None:
        if min(height, width) < 8:
            raise SceneError(f"a synthetic scene needs 8x8 pixels or more, not {height}x{width}")
        self.shape = (height, width)
        self.slots = slots
        rng = np.random.default_rng(seed)
        self._ground = _textured_ground(rng, 2 * height, 2 * width)
        side = min(height, width)
        sizes = rng.integers(side // 6 + 2, side // 3 + 4, self._OBJECTS)
        self._objects = [_object(rng, kind, int(size)) for kind, size in enumerate(sizes)]
        speed = rng.uniform(0.8, 2.6, self._OBJECTS)
        angle = rng.uniform(0, 2 * np.pi, self._OBJECTS)
        self._velocity = np.stack([speed * np.sin(angle), speed * np.cos(angle)], axis=1)
        self._start = rng.uniform(0, 1, (self._OBJECTS, 2)) * self.shape

    def window(self, index: int) -> NDArray[np.uint8]:
        """Return slots ``index * T`` to ``index * T + T - 1``: ``(T, H, W) uint8``."""
        first = index * self.slots
        return np.stack([self._frame(slot) for slot in range(first, first + self.slots)])

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _frame(self, slot: int) -> NDArray[np.uint8]:
        height, width = self.shape
        pan = (0.5 * slot + 12 * np.sin(slot / 31), 0.7 * slot + 9 * np.sin(slot / 23))
        frame = _periodic_view(self._ground, pan, self.shape)
        for (picture, opacity), start, velocity in zip(
            self._objects, self._start, self._velocity, strict=True
        ):
            size = picture.shape[0] - 1  # one spare row and column to interpolate into
            # Objects leave on one side and return on the other, and are out of view in between.
            y, x = (start + velocity * slot) % (height + size, width + size) - size
            top, left = int(np.floor(y)), int(np.floor(x))
            shifted = [_subpixel(image, y - top, x - left) for image in (picture, opacity)]
            rows = slice(max(0, top), min(height, top + size))
            columns = slice(max(0, left), min(width, left + size))
            inside = (
                slice(rows.start - top, rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            behind = frame[rows, columns]
            behind += shifted[1][inside] * (shifted[0][inside] - behind)
        return (frame * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _textured_ground(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Draw a periodic picture in [0.05, 0.95]: patches with hard edges and natural texture."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf

    def field(exponent: float) -> NDArray[np.float64]:
        noise = np.fft.rfft2(rng.standard_normal((height, width)))
        values = np.fft.irfft2(noise / frequency**exponent, s=(height, width))
        return np.asarray(values / values.std())

    patches = np.digitize(field(2.0), [-1.0, -0.3, 0.3, 1.0]) / 4  # hard edges everywhere
    ground = 0.5 + 0.6 * (patches - 0.5) + 0.05 * field(1.3)
    return np.clip(ground, 0.05, 0.95).astype(np.float32)


def _object(
    rng: np.random.Generator, kind: int, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw picture and opacity, ``(size + 1, size + 1)``, of a star, checkers, rings or bars."""
    y, x = np.mgrid[: size + 1, : size + 1] - (size - 1) / 2
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    period = max(4.0, size / 7)
    waves = (
        np.sin(12 * angle + rng.uniform(0, 6)),
        np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period),
        np.sin(2 * np.pi * radius / period),
        np.sin(2 * np.pi * (x + 0.4 * y) / period),
    )
    picture = 0.5 + 0.4 * np.tanh(4 * waves[kind % len(waves)])
    edge = radius if kind % 2 == 0 else np.maximum(np.abs(y), np.abs(x))
    opacity = np.clip(size / 2 - 0.5 - edge, 0, 1)  # soft over one pixel, zero on the border
    return picture.astype(np.float32), opacity.astype(np.float32)


def _subpixel(image: NDArray[np.float32], dy: float, dx: float) -> NDArray[np.float32]:
    """Move `image` ``(h + 1, w + 1)`` down and right by ``0 <= dy, dx < 1``: ``(h, w)``."""
    wy, wx = np.float32(dy), np.float32(dx)
    moved = np.empty((image.shape[0] - 1, image.shape[1] - 1), np.float32)
    columns = image[:, :-1].copy()
    columns[:, 1:] += wx * (image[:, :-2] - image[:, 1:-1])
    moved[:] = columns[:-1]
    moved[1:] += wy * (columns[:-2] - columns[1:-1])
    return moved


def _periodic_view(
    picture: NDArray[np.float32], origin: tuple[float, float], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Cut `shape` pixels from a periodic picture at a fractional `origin`, bilinear."""
    top, left = (int(np.floor(value)) for value in origin)
    wy, wx = (np.float32(value - np.floor(value)) for value in origin)
    rows = np.arange(top, top + shape[0] + 1) % picture.shape[0]
    columns = np.arange(left, left + shape[1] + 1) % picture.shape[1]
    view = picture[rows[:, None], columns]
    view = view[:-1] + wy * (view[1:] - view[:-1])
    result: NDArray[np.float32] = view[:, :-1] + wx * (view[:, 1:] - view[:, :-1])
    return result
