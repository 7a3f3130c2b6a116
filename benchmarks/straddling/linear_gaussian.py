"""How well a linear estimate knows a scene from given reads, if the scene were Gaussian.

The scene is a picture that moves at constant velocity: brightness has the covariance

    C(d) = VARIANCE exp(-d / CORRELATION_PX) + BRIGHTNESS_VARIANCE

between points d pixels apart, and pixel and slot (x, t) and (y, u) see points |x - y - v (t - u)|
apart. Directions of v are uniform and unknown; its speed is unknown too (one of `SPEEDS`, equally
likely) or known. For jointly Gaussian variables the estimate of least squares is linear,

    G = K_sy K_yy^-1,

with the covariances of scene s and reads y averaged over what is unknown. It needs neither
training nor footage, and takes milliseconds, which is why tiles can be searched with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.noise import NoiseProfile, preset

SLOTS = 16
SPEEDS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Pixels per slot."""
DIRECTIONS = 16
VARIANCE = 0.03
CORRELATION_PX = 12.0
BRIGHTNESS_VARIANCE = 0.04
MEAN = 0.4
"""Mean brightness, for the shot noise."""
MAX_PX = 12
MAX_SLOTS = 80
"""Largest differences in place and time between two reads."""

Float64 = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reads:
    """Reads, one a place of each array: pixel (y, x) collects light in slots begin to end - 1."""

    y: Ints
    x: Ints
    begin: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.y)

    @property
    def length(self) -> Ints:
        """Slots of each span."""
        return self.end - self.begin

    def and_also(self, others: Reads) -> Reads:
        """Return both."""
        pairs = ((getattr(self, k), getattr(others, k)) for k in ("y", "x", "begin", "end"))
        return Reads(*(np.concatenate(pair) for pair in pairs))


def window_reads(
    levels: NDArray[np.integer],
    phases: NDArray[np.integer] | None = None,
    *,
    reach: int = 4,
    late: bool = False,
    window: int = 0,
) -> Reads:
    """List the reads of a tile (h, w) and of the tiles around it.

    Parameters
    ----------
    levels, phases : ndarray of int, shape (h, w)
        As in `focalloop.models.networks.straddling.span_ends`; phases 0 by default.
    reach : int, optional
        Pixels around the tile whose reads count too.
    late : bool, optional
        Whether the reads that end in the next window count.
    window : int, optional
        Number of the window: 0 is the one to estimate, -1 the one before.
    """
    height, width = levels.shape
    phases = np.zeros_like(levels) if phases is None else phases
    found = []
    for y in range(-reach, height + reach):
        for x in range(-reach, width + reach):
            level, phase = int(levels[y % height, x % width]), int(phases[y % height, x % width])
            length = SLOTS // level if level else 0
            for k in range(level + (late and phase > 0)):
                end = SLOTS * window + (phase or length) + k * length
                found.append((y, x, end - length, end))
    return Reads(*np.array(found, np.int64).reshape(-1, 4).T)


def frames(height: int, width: int) -> Reads:
    """Return what is to be estimated: each pixel of a tile in each slot, slot by slot."""
    slot, y, x = np.indices((SLOTS, height, width)).reshape(3, -1)
    return Reads(y, x, slot, slot + 1)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A linear estimate, and its mean squared errors.

    Attributes
    ----------
    matrix : ndarray of float64, shape (T h w, R)
        From the reads, as mean brightness of their spans, to the frames, for brightness around 0.
    errors : ndarray of float64, shape (S,)
        Mean squared error at each speed.
    """

    matrix: Float64
    errors: Float64

    @property
    def psnr(self) -> Float64:
        """PSNR at each speed, dB."""
        return -10 * np.log10(self.errors)


def estimated(
    reads: Reads,
    targets: Reads,
    known: float | None = None,
    profile: NoiseProfile | None = None,
) -> Estimate:
    """Estimate `targets` from `reads`, where the speed is `known` (one of `SPEEDS`) or not."""
    if not len(reads):
        raise ValueError("nothing is read: a tile needs a level above 0")
    profile = profile or preset("paper")
    by_speed = covariances(reads, reads)
    noise = MEAN * reads.length / SLOTS * profile.s_ss**2 + profile.s_r**2
    by_speed += np.diag(noise * (SLOTS / reads.length) ** 2)
    across = covariances(targets, reads)
    prior = slice(None) if known is None else [SPEEDS.index(known)]
    both = (by_speed[prior].mean(0), across[prior].mean(0))
    matrix = np.linalg.solve(both[0], both[1].T).T
    variance = VARIANCE + BRIGHTNESS_VARIANCE
    missed = variance - 2 * (matrix * across).sum(2).mean(1)
    spread = ((matrix @ by_speed) * matrix).sum(2).mean(1)
    return Estimate(matrix, missed + spread)


def covariances(one: Reads, other: Reads) -> Float64:
    """Return the covariance of the mean brightness of spans at each speed, (S, R, Q)."""
    table = _summed_twice()
    place = np.abs(one.y[:, None] - other.y) * table.shape[1] + np.abs(one.x[:, None] - other.x)

    def at(first: Ints, second: Ints) -> Float64:
        later = np.abs(first[:, None] - second)
        found: Float64 = table.reshape(-1, len(SPEEDS))[place * table.shape[2] + later]
        return found

    total = at(one.end, other.begin) - at(one.begin, other.begin)
    total -= at(one.end, other.end) - at(one.begin, other.end)
    total /= (one.length[:, None] * other.length)[..., None]
    return np.ascontiguousarray(total.transpose(2, 0, 1))


@lru_cache(maxsize=1)
def _summed_twice() -> Float64:
    """Return F (y, x, u, S) whose second difference in u is the covariance of points in the scene.

    The sum of a covariance k(t - u) over t from a to b - 1 and u from c to d - 1 is
    F(b - c) - F(a - c) - F(b - d) + F(a - d).
    """
    angle = 2 * np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    place, time = np.arange(MAX_PX + 1), np.arange(MAX_SLOTS + 1)
    table = np.empty((len(SPEEDS), MAX_PX + 1, MAX_PX + 1, MAX_SLOTS + 1))
    for speed, filled in zip(SPEEDS, table, strict=True):
        covariance = np.zeros(table.shape[1:])
        for direction in angle if speed else angle[:1]:
            down = place[:, None, None] - speed * np.sin(direction) * time
            across = place[:, None] - speed * np.cos(direction) * time
            covariance += np.exp(-np.hypot(down, across) / CORRELATION_PX)
        covariance *= VARIANCE / (DIRECTIONS if speed else 1)
        covariance += BRIGHTNESS_VARIANCE
        # F(0) = 0 and F(-u) = F(u), so F(1) is half of k(0).
        filled[..., 0] = 0.0
        steps = covariance[..., :-1].cumsum(-1) - covariance[..., :1] / 2
        filled[..., 1:] = steps.cumsum(-1)
    return np.ascontiguousarray(np.moveaxis(table, 0, 3))
