"""Score a ratio map and its reconstruction on clips, through the emulated sensor.

Window ``k`` of the emulator is clip ``k``, so a seed fixes every noisy bit: the same clips, map,
profile and seed give the same scores on any machine, up to the rounding of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction import quality as metrics
from focalloop.host.reconstruction.reconstruct import Float32, Reconstructor, initial_reconstruction


@dataclass(frozen=True)
class ClipScore:
    """Quality of one clip: PSNR in dB over its T frames, mean SSIM of its frames."""

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
        What reconstructed: a bundle's name, ``network-free`` or ``initial``.
    r_avg : float
        Average ratio of the map, measurements against full readout.
    seed, profile : int or str
        The emulator's seed and noise profile.
    clips : tuple of ClipScore
        Scores in the order of the clips.
    """

    bundle: str
    r_avg: float
    seed: int
    profile: str
    clips: tuple[ClipScore, ...]

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
        return metrics.psnr_of_mean([clip.mse for clip in self.clips])

    def as_dict(self) -> dict[str, Any]:
        """Return one entry of ``evaluate --json``; a PSNR of equal videos, infinite, is null."""
        return {
            "bundle": self.bundle,
            "r_avg": self.r_avg,
            "seed": self.seed,
            "profile": self.profile,
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
    """Reconstruct by CRL Eq. 3 or 5 alone: the baseline of every network."""
    return initial_reconstruction(reads, ratio_map.levels, ratio_map.slots, ratio_map.aperture)


def capture_clips(
    clips: NDArray[np.uint8], ratio_map: RatioMap, profile: NoiseProfile, *, seed: int = 0
) -> Iterator[Float32]:
    """Capture ``clips (N, T, H, W)`` with the emulator, clip ``k`` as window ``k``.

    Yields
    ------
    The measurements of each clip, ``(8, H, W)`` in signal units.

    Raises
    ------
    RatioMapError
        If the map cannot be fitted to the clips' size.
    """
    from focalloop.firmware_sim.emulator.emulator import (
        Emulator,  # loads Numba: only those who emulate wait for it
    )

    emulator = Emulator(ratio_map.tiled_to(*clips.shape[2:]), profile, seed=seed)
    for number, clip in enumerate(clips):
        signal = profile.signal(emulator.read_out(clip, number))
        yield emulator.plan.planes(signal)  # after the black level is off: padding is zero signal


def evaluate(
    clips: Clips,
    ratio_map: RatioMap,
    reconstructor: Reconstructor,
    profile: NoiseProfile,
    *,
    name: str,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Capture each clip, reconstruct it and score it against the clip itself.

    Parameters
    ----------
    clips : Clips
        The truth, ``(N, T, H, W) uint8``.
    ratio_map : RatioMap
        Fitted to the clips' size by repeating its tile where that differs.
    profile : NoiseProfile
        Noise of the emulated sensor.
    name : str
        What to call the reconstruction in the result.
    progress : callable, optional
        Called after each clip.

    Raises
    ------
    FocalloopError
        If map, clips and reconstruction do not fit each other.
    """
    fitted = ratio_map.tiled_to(*clips.clips.shape[2:])
    scores = []
    captured = capture_clips(clips.clips, fitted, profile, seed=seed)
    for clip_name, truth, reads in zip(clips.names, clips.clips, captured, strict=True):
        video = reconstructor(reads, fitted)
        error = metrics.mse(video, truth)
        quality = metrics.ssim(video, truth)
        scores.append(ClipScore(clip_name, metrics.psnr_of_mse(error), quality, error))
        progress()
    return Evaluation(name, fitted.ratio, seed, profile.name, tuple(scores))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
