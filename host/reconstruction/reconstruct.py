"""Reconstructors: from the measurements of a window to its video.

All take ``reads (8, H, W)`` in signal units, where 1.0 is a full-window exposure of white, and
return ``video (T, H, W) float32``, where 1.0 is white and nothing is clipped. Those without a
network are here, that of a bundle in `focalloop.host.reconstruction.onnx_network`. "CRL" is the
paper cited in ``docs/concepts.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float32 = NDArray[np.float32]

NETWORK_FREE = "network-free"
"""Name of `NetworkFree` where a bundle is chosen by name."""


class ReconstructError(FocalloopError):
    """The network or the measurements do not fit; the text says what was expected."""


class Reconstructor(Protocol):
    """Turns the measurements of one window into its video."""

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> Float32:
        """Reconstruct ``reads (8, H, W)``, taken under `ratio_map`, to ``(T, H, W)``."""
        ...


def initial_reconstruction(
    reads: Float32,
    levels: NDArray[np.uint8],
    slots: int,
    aperture: NDArray[np.bool_] | None = None,
) -> Float32:
    """Spread each measurement evenly over its slots: least norm, CRL Eq. 3 and Eq. 5.

    A pixel of level ``n`` gets ``n * I_i`` in the ``L = T/n`` slots of its measurement ``i``; a
    pixel of level 0 gets 0. With a coded aperture, a measurement of ``k > 0`` open slots gives
    ``T/k * I_i`` in those and 0 in the closed ones.

    Parameters
    ----------
    reads : ndarray of float32, shape (..., R, H, W)
        Measurements in signal units, a pixel's first to last, padded with zeros; R is at least
        the largest level present.
    levels : ndarray of uint8, shape (H, W)
        Level of each pixel, 0 or a divisor of `slots`.
    slots : int
        Frame slots T per window.
    aperture : ndarray of bool, shape (T, H, W), or None, optional
        Coded aperture B, if one was used.

    Returns
    -------
    ndarray of float32, shape (..., T, H, W)
        Video, not clipped.

    Raises
    ------
    ReconstructError
        If the shapes do not match.
    """
    reads = np.asarray(reads, np.float32)
    present = [int(level) for level in np.unique(levels) if level]
    check_reads(reads, levels.shape, max(present, default=0))
    # Every span ends at a multiple of `step` slots, so at most T/step frames differ.
    step = gcd(slots, *(slots // level for level in present)) if present else slots
    frames = np.zeros((*reads.shape[:-3], slots // step, *levels.shape), np.float32)
    shares = {level: (levels == level).astype(np.float32) * np.float32(level) for level in present}
    scratch = np.empty((*reads.shape[:-3], *levels.shape), np.float32)
    for level, share in shares.items():
        steps_per_span = slots // level // step
        for i in range(level):
            np.multiply(reads[..., i, :, :], share, out=scratch)
            for k in range(i * steps_per_span, (i + 1) * steps_per_span):
                frames[..., k, :, :] += scratch
    video = np.repeat(frames, step, axis=-3) if step > 1 else frames
    if aperture is not None:
        video *= _aperture_gain(levels, present, slots, aperture)
    return video


def _aperture_gain(
    levels: NDArray[np.uint8], present: list[int], slots: int, aperture: NDArray[np.bool_]
) -> Float32:
    """Return the factor (T, H, W) of CRL Eq. 5: ``L/k`` in open slots and 0 in closed ones."""
    gain = np.zeros(aperture.shape, np.float32)
    for level in present:
        span = slots // level
        here = levels == level
        blocks = aperture.reshape(level, span, *levels.shape)[:, :, here]
        open_slots = np.maximum(blocks.sum(axis=1, keepdims=True), 1)
        gain[:, here] = (blocks * (span / open_slots)).reshape(slots, -1)
    return gain


class NetworkFree:
    """Initial reconstruction in which unmeasured pixels are filled in from their neighbours.

    In every slot, an unmeasured pixel (`RatioMap.measured`) gets the mean of the nearest measured
    pixels, weighted by the inverse square of their distance; those at 1.5 times the distance of the
    nearest, or more, do not count. Measured pixels stay exactly as in CRL Eq. 3. A map that
    measures nothing gives zeros. The neighbours are found once per map.
    """

    def __init__(self) -> None:
        # Replaced as a whole, so that threads that share this object never see half of it.
        self._filling: tuple[NDArray[np.bool_], _Filling | None] | None = None

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> Float32:
        """Reconstruct ``reads (..., R, H, W)`` to float32 ``(..., T, H, W)``, not clipped."""
        levels = ratio_map.levels
        video = initial_reconstruction(reads, levels, ratio_map.slots, ratio_map.aperture)
        known = self._filling
        if known is None or known[0] is not ratio_map.measured:
            known = self._filling = (ratio_map.measured, _Filling.of(ratio_map.measured))
        filling = known[1]
        if filling is not None:
            frames = video.reshape(-1, levels.size)  # a view
            frames[:, filling.holes] = (filling.weights @ frames.T).T
        return video


@dataclass(frozen=True, eq=False)
class _Filling:
    """Sparse ``weights (holes, H * W)`` that give the unmeasured pixels from the others."""

    holes: NDArray[np.intp]
    weights: csr_array

    _NEIGHBOURS: ClassVar = 8

    @classmethod
    def of(cls, where: NDArray[np.bool_]) -> _Filling | None:
        """Find the neighbours of every hole; None if there are no holes, or only holes."""
        from scipy.sparse import csr_array
        from scipy.spatial import KDTree

        holes, measured = np.flatnonzero(~where), np.flatnonzero(where)
        count = min(cls._NEIGHBOURS, measured.size)
        if not count or not holes.size:
            return None
        places = np.stack(np.unravel_index(measured, where.shape), axis=1)
        centres = np.stack(np.unravel_index(holes, where.shape), axis=1)
        distance, index = KDTree(places).query(centres, k=list(range(1, count + 1)))
        weight = np.where(distance < 1.5 * distance[:, :1], distance**-2.0, 0)
        weight /= weight.sum(axis=1, keepdims=True)
        row_ends = np.arange(holes.size + 1) * count
        entries = (weight.astype(np.float32).reshape(-1), measured[index].reshape(-1), row_ends)
        weights = csr_array(entries, shape=(holes.size, where.size))
        weights.eliminate_zeros()
        return cls(holes, weights)


def check_reads(reads: Float32, shape: tuple[int, ...], largest_level: int) -> None:
    """Raise `ReconstructError` if measurements (..., R, H, W) do not fit a map of this shape."""
    if reads.ndim < 3 or reads.shape[-2:] != shape or reads.shape[-3] < largest_level:
        raise ReconstructError(
            f"measurements of shape {reads.shape} do not match a {shape[0]}x{shape[1]} ratio map "
            f"with up to {largest_level} measurements per pixel"
        )
