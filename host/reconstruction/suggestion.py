"""Which shipped map suits somebody's scenes: windows of them, measured under each map.

Maps differ by what they bet on: long reads where little moves, short ones where much does. So each
is tried, through the emulated sensor and with its network, on the same windows and seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.zoo import BUNDLES, UNIVERSAL_BUNDLE

CONFIDENCE = 0.95
MIN_WINDOWS = 2
"""Fewer have no interval."""

_FAST = "edge-"
"""What the names of bundles begin with whose network keeps up with a sensor."""


@dataclass(frozen=True)
class Candidate:
    """A shipped map, and the network for it.

    Attributes
    ----------
    bundle : str
        Bundle whose network reconstructs.
    tile : str or None
        Named tile that the network, one for any map, is used under; None for the bundle's own map.
    r_avg : float
        Average ratio of the map.
    measurements : float
        Average measurements per pixel and window.
    """

    bundle: str
    tile: str | None
    r_avg: float
    measurements: float

    @property
    def name(self) -> str:
        """What `focalloop live --map` takes."""
        return self.tile or self.bundle


def candidates(budget: float, noise: NoiseProfile | None = None) -> list[Candidate]:
    """Return the shipped maps without a coded aperture of at most `budget`, each once.

    Of several bundles with one map, the last is taken: the one in 8 bits, which is the faster. A
    tile that has no bundle of its own is used with the network for any map: the one that is told
    the noise, where that of the reads is given and costs the other one something against it.
    """
    found: dict[bytes, Candidate] = {}
    tiles = {name: RatioMap.load(name) for name in NAMED_TILES}
    for name in BUNDLES:
        bundle = Bundle.load(name)
        own = bundle.ratio_map
        if name.startswith(_FAST) and own.aperture is None and bundle.reach is None:
            found[own.levels.tobytes()] = Candidate(name, None, own.ratio, own.mean_level)
    universal = Bundle.load(UNIVERSAL_BUNDLE)
    if noise is not None and (told := universal.told_instead(noise)):
        universal = Bundle.load(told)
    for name, tile in tiles.items():
        if universal.suits(tile):
            candidate = Candidate(universal.name, name, tile.ratio, tile.mean_level)
            found.setdefault(tile.levels.tobytes(), candidate)
    chosen = [each for each in found.values() if each.r_avg <= budget + 1e-9]
    return sorted(chosen, key=lambda each: (each.r_avg, each.name))


def sample(clips: Clips, count: int) -> Clips:
    """Return `count` windows, evenly spread; all if there are no more."""
    if count >= len(clips):
        return clips
    kept = np.linspace(0, len(clips) - 1, count).round().astype(int)
    return Clips(clips.clips[kept], tuple(clips.names[k] for k in kept), clips.notes)


@dataclass(frozen=True)
class Margin:
    """A mean difference over windows, and its confidence interval, dB."""

    mean: float
    low: float
    high: float

    @classmethod
    def between(cls, better: NDArray[np.float64], other: NDArray[np.float64]) -> Margin:
        """Compare the PSNRs of the same windows, ``(N,)``, by Student's t of their differences."""
        from scipy.stats import t  # takes long to import

        difference = better - other
        mean, count = float(difference.mean()), len(difference)
        spread = float(difference.std(ddof=1)) / np.sqrt(count)
        half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread
        return cls(mean, mean - half, mean + half)

    @property
    def equal(self) -> bool:
        """Whether the windows do not tell the two apart."""
        return self.low <= 0
