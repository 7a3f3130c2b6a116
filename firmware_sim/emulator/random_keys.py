"""Keys of the random numbers: which draw belongs to which read, in any order of computation.

Every random number of the emulator is a pure function of ``(seed, purpose, window, counter)``.
There is no generator state, so windows may be captured in any order, in any batches and with any
number of threads, and the bits stay the same. This module turns ``(seed, purpose, window)`` into
a key of three 32-bit words; `focalloop.firmware_sim.emulator.kernels` hashes the counter under that
key and shapes the result. ``docs/concepts.md``, "Random numbers", defines both to the bit.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GAMMA = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: the increment of SplitMix64 (Steele, Lea, Flood 2014)."""


class Purpose(IntEnum):
    """What a draw is for; each docstring names the counter of its draws."""

    READ = 0
    """Read noise, or shot and read noise in one draw: position of the read in the read plan."""
    SHOT = 1
    """Shot noise alone: position of the read in the read plan."""
    ROW = 2
    """Row noise: ``slot * H + y``."""
    FRAME = 3
    """Frame offset: ``slot``."""
    GAIN = 4
    """Photo-response non-uniformity: flat pixel index; window 0."""
    PIXEL = 5
    """Fixed pattern by pixel: flat pixel index; window 0."""
    COLUMN = 6
    """Fixed pattern by column: ``x``; window 0."""
    TRANSFER = 7
    """A SCAMP-5 register's error in one bus transfer: flat pixel index; the window is the number
    of the transfer."""
    TRANSFER_PATTERN = 8
    """The part of it that is the same in every transfer: flat pixel index; window 0."""
    DEFECT = 9
    """Which pixels are defective, those with the lowest draws: flat pixel index; window 0."""


def stream_keys(seed: int, purpose: Purpose, windows: ArrayLike) -> NDArray[np.uint32]:
    """Derive the keys of one purpose in the given windows.

    Parameters
    ----------
    seed : int
        0..2**64 - 1.
    purpose : Purpose
        What the draws are for.
    windows : array_like of int, shape (N,)
        Window numbers, 0..2**64 - 1.

    Returns
    -------
    ndarray of uint32, shape (N, 3)
        ``h`` low word, ``h`` high word, ``mix(h + gamma)`` low word, where
        ``h = mix(mix(mix(seed) + gamma * (purpose + 1)) + gamma * (window + 1))``.
    """
    gamma = np.uint64(_GAMMA)
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        of_seed = _mix64(np.array([seed], np.uint64))
        of_purpose = _mix64(of_seed + gamma * np.uint64(purpose + 1))
        h = _mix64(of_purpose + gamma * (np.asarray(windows, np.uint64) + np.uint64(1)))
        third = _mix64(h + gamma)
    return np.stack([h, h >> np.uint64(32), third], axis=-1).astype(np.uint32)


def _mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply SplitMix64's finaliser, a bijection of 64-bit words."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
