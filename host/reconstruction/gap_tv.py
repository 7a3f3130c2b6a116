"""GAP-TV: reconstruction by total variation, without training, under any map and aperture.

Of all videos that measure what was measured, the one of small total variation in time and space is
sought by generalised alternating projection (Yuan, "Generalized alternating projection based total
variation minimization for compressive sensing", ICIP 2016, in its accelerated form). No slot of a
pixel counts in two measurements, so ``A A^T`` is diagonal and the projection is closed-form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.reconstruction.reconstruct import Float32, check_reads

GAP_TV = "gap-tv"
"""Name of `GapTv` where a bundle is chosen by name."""


@dataclass(frozen=True)
class GapTv:
    """Reconstructs by GAP-TV; a window of 16x256x256 takes seconds.

    Attributes
    ----------
    iterations : int
        Projections onto the measurements, each followed by denoising.
    weight : float
        Of the total variation in the denoising; larger is smoother.
    steps : int
        Steps of Chambolle's algorithm in each denoising, which need not converge.
    """

    iterations: int = 40
    weight: float = 0.1
    steps: int = 5

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> Float32:
        """Reconstruct ``reads (R, H, W)`` to float32 ``(T, H, W)``, not clipped.

        Raises
        ------
        ReconstructError
            If measurements and map do not fit each other.
        """
        from skimage.restoration import denoise_tv_chambolle  # slow to import

        check_reads(reads, ratio_map.shape, int(ratio_map.levels.max()))
        sensing = _Sensing(ratio_map)
        measured = reads[: sensing.reads].astype(np.float32)
        video = np.zeros((ratio_map.slots, *ratio_map.shape), np.float32)
        wanted = np.zeros_like(measured)  # what is left over grows until it is met on average
        for _ in range(self.iterations):
            again = sensing.measure(video)
            wanted += measured - again
            video += sensing.spread(wanted - again)
            video = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
                video, self.weight, eps=0, max_num_iter=self.steps
            )
        return video


class _Sensing:
    """The sensor without noise, ``A``, and its pseudo-inverse."""

    def __init__(self, ratio_map: RatioMap) -> None:
        levels, slots = ratio_map.levels, ratio_map.slots
        self._span_masks = {int(n): levels == n for n in np.unique(levels) if n}
        self.reads = max(self._span_masks, default=0)
        light = (
            np.ones((slots, *levels.shape)) if ratio_map.aperture is None else ratio_map.aperture
        )
        self._light = light.astype(np.float32) / np.float32(slots)
        # The diagonal of A A^T; what a span without an open slot reads tells nothing.
        norm = self.measure(self._light)
        self._inverse = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)

    def measure(self, video: Float32) -> Float32:
        """Return ``A video``."""
        light = video * self._light
        reads = np.zeros((self.reads, *video.shape[1:]), np.float32)
        for level, here in self._span_masks.items():
            reads[:level] += light.reshape(level, -1, *here.shape).sum(axis=1) * here
        return reads

    def spread(self, reads: Float32) -> Float32:
        """Return ``A^T (A A^T)^-1 reads``."""
        weighted, slots = reads * self._inverse, len(self._light)
        video = np.zeros_like(self._light)
        for level, here in self._span_masks.items():
            video += (weighted[:level] * here).repeat(slots // level, axis=0)
        video *= self._light
        return video
