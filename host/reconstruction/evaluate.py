"""Scores of a ratio map and its reconstruction on clips, through the emulated sensor.

Window ``k`` of the emulator is clip ``k``, and the seed fixes the noise: the same clips, map,
profile and seed give the same scores on every machine, up to the rounding of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.memory import LastFrame, Place, remembers
from focalloop.host.reconstruction.quality import mse, psnr_of_mean, psnr_of_mse, ssim
from focalloop.host.reconstruction.reconstruct import Float32, Reconstructor, initial_reconstruction

if TYPE_CHECKING:
    from focalloop.firmware_sim.emulator.emulator import Emulator

Clip = tuple[int, str, NDArray[np.uint8]]
"""Number, name and frames (T, H, W) of a clip."""


@dataclass(frozen=True)
class ClipScore:
    """Quality of one clip: PSNR in dB and mean squared error over its T frames, and mean SSIM."""

    name: str
    psnr: float
    ssim: float
    mse: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of one map and reconstruction on a set of clips.

    Attributes
    ----------
    bundle : str
        Name of the reconstruction: a bundle's, ``network-free`` or ``initial``.
    r_avg : float
        Average ratio of the map: measurements over those of full readout.
    seed : int
        Seed of the emulator.
    profile : str
        Name of its noise profile.
    clips : tuple of ClipScore
        Scores in the order of the clips.
    corrected : bool
        Whether the reads were corrected by a fixed pattern.
    """

    bundle: str
    r_avg: float
    seed: int
    profile: str
    clips: tuple[ClipScore, ...]
    corrected: bool = False

    @property
    def psnr(self) -> float:
        """Mean of the clips' PSNRs, dB: the usual figure for a set."""
        return float(np.mean([clip.psnr for clip in self.clips]))

    @property
    def ssim(self) -> float:
        """Mean of the clips' SSIMs."""
        return float(np.mean([clip.ssim for clip in self.clips]))

    @property
    def psnr_of_mean(self) -> float:
        """PSNR of the mean squared error over all clips, dB."""
        return psnr_of_mean([clip.mse for clip in self.clips])

    def as_dict(self) -> dict[str, Any]:
        """Return one entry of ``evaluate --json``; the infinite PSNR of equal videos is None."""
        return {
            "bundle": self.bundle,
            "r_avg": self.r_avg,
            "seed": self.seed,
            "profile": self.profile,
            "corrected": self.corrected,
            "clips": [
                {"name": clip.name, "psnr": _finite(clip.psnr), "ssim": clip.ssim}
                for clip in self.clips
            ],
            "mean": {
                "psnr": _finite(self.psnr),
                "ssim": self.ssim,
                "psnr_of_mean": _finite(self.psnr_of_mean),
            },
        }


def initial(reads: Float32, ratio_map: RatioMap) -> Float32:
    """Reconstruct by CRL Eq. 3 or Eq. 5 alone: the baseline of every network."""
    return initial_reconstruction(reads, ratio_map.levels, ratio_map.slots, ratio_map.aperture)


def capture_clips(
    clips: NDArray[np.uint8],
    ratio_map: RatioMap,
    profile: NoiseProfile,
    *,
    seed: int = 0,
    pattern: FixedPattern | None = None,
) -> Iterator[Float32]:
    """Capture clips with the emulator, clip ``k`` as window ``k``.

    Parameters
    ----------
    clips : ndarray of uint8, shape (N, T, H, W)
        255 is white.
    ratio_map : RatioMap
        Its tile is repeated if the clips have another size.
    profile : NoiseProfile
        Noise of the emulated sensor.
    seed : int, optional
        Seed of the noise.
    pattern : FixedPattern, optional
        Fixed pattern of the sensor; by default one drawn by the seed.

    Yields
    ------
    ndarray of float32, shape (8, H, W)
        The measurements of each clip, in signal units.

    Raises
    ------
    RatioMapError
        If the map cannot be fitted to the size of the clips.
    FixedPatternError
        If the pattern is of another size.
    """
    sensor = _Sensor(ratio_map.tiled_to(*clips.shape[2:]), profile, seed, pattern)
    for number, clip in enumerate(clips):
        yield sensor.reads(number, clip)


@dataclass(frozen=True, eq=False)
class _Sensor:
    """An emulated sensor, as `capture_clips` takes it, for clips of the size of its map."""

    ratio_map: RatioMap
    profile: NoiseProfile
    seed: int
    pattern: FixedPattern | None

    @cached_property
    def _emulator(self) -> Emulator:
        # Loads Numba, which only emulation needs.
        from focalloop.firmware_sim.emulator.emulator import Emulator

        return Emulator(self.ratio_map, self.profile, seed=self.seed, pattern=self.pattern)

    def reads(self, number: int, clip: NDArray[np.uint8]) -> Float32:
        signal = self.profile.signal(self._emulator.read_out(clip, number))
        # Without black level, so that padding is zero signal.
        return self._emulator.plan.planes(signal)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Scores a clip of what a sensor and a reconstruction make of it; other processes may."""

    sensor: _Sensor
    reconstruct: Reconstructor
    correction: Correction | None
    places: tuple[Place, ...]
    last: LastFrame = field(default_factory=LastFrame)

    def __call__(self, clip: Clip) -> ClipScore:
        number, name, truth = clip
        read = self.sensor.reads(number, truth), self.sensor.ratio_map
        read = read if self.correction is None else self.correction(*read)
        video = self.last.rebuild(self.reconstruct, *read, self.places[number])
        error = mse(video, truth)
        return ClipScore(name, psnr_of_mse(error), ssim(video, truth), error)


def places(clips: Clips) -> Iterator[Place]:
    """Return where each of the clips lies in time, those of one video in a row."""
    video = 0
    for number, follows in enumerate(clips.follows or [False] * len(clips)):
        video += not follows
        yield Place(video, number)


def evaluate(
    clips: Clips,
    ratio_map: RatioMap,
    reconstructor: Reconstructor,
    profile: NoiseProfile,
    *,
    name: str,
    seed: int = 0,
    pattern: FixedPattern | None = None,
    correction: Correction | None = None,
    progress: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    each: Callable[[Callable[[Clip], ClipScore], Iterable[Clip]], Iterable[ClipScore]] = map,
) -> Evaluation:
    """Capture each clip, reconstruct it and score it against the clip itself.

    Parameters
    ----------
    clips : Clips
        The truth, uint8 of shape (N, T, H, W).
    ratio_map : RatioMap
        Its tile is repeated if the clips have another size.
    reconstructor : Reconstructor
        Turns the measurements of a clip into its video; with memory, those of one video in a row.
    profile : NoiseProfile
        Noise of the emulated sensor.
    name : str
        Name of the reconstruction in the result.
    seed : int, optional
        Seed of the noise.
    pattern : FixedPattern, optional
        Fixed pattern of the sensor; by default one drawn by the seed.
    correction : Correction, optional
        Corrects the reads before they are reconstructed.
    progress : callable, optional
        Called after each clip.
    stop : callable, optional
        Whether to leave out the clips after the present one; asked after each.
    each : callable, optional
        What stands in for `map`, such as `focalloop.host.cluster.Cluster.map`, where no clip needs
        the one before.

    Raises
    ------
    FocalloopError
        If map, clips and reconstruction do not fit each other.
    """
    fitted = ratio_map.tiled_to(*clips.clips.shape[2:])
    scores = []
    sensor = _Sensor(fitted, profile, seed, pattern)
    scored = _Scored(sensor, reconstructor, correction, tuple(places(clips)))
    if remembers(reconstructor):
        each = map  # one after the other, here
    numbered = zip(range(len(clips)), clips.names, clips.clips, strict=True)
    for score in each(scored, numbered):
        scores.append(score)
        progress()
        if stop():
            break
    corrected = correction is not None and correction.pattern is not None
    return Evaluation(name, fitted.ratio, seed, profile.name, tuple(scores), corrected)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
