"""The sensing layer in PyTorch: what the emulator does, differentiable and in batches.

Clean reads and the initial reconstruction equal `firmware_sim`'s; noise has the same distribution
(Gaussian, variance ``e * s_ss^2 + s_r^2`` a read, CRL section II-A) but its own random numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor


def clean_reads(scene: Tensor, levels: Tensor, max_reads: int = 8) -> Tensor:
    """Expose `scene` under `levels` without noise (CRL Eq. 1, normalised by T).

    Parameters
    ----------
    scene
        (N, T, H, W) float in [0, 1].
    levels
        (N or 1, H, W) integer; each value 0 or a divisor of T up to `max_reads`.
    max_reads
        Planes of the result.

    Returns
    -------
    Tensor
        (N, max_reads, H, W) signal e in units of full scale: plane k holds each pixel's k-th
        measurement, zero where the pixel takes fewer.
    """
    slots = scene.shape[1]
    reads = scene.new_zeros(scene.shape[0], max_reads, *scene.shape[2:])
    for level in _divisors(slots, max_reads):
        taken = (levels == level).unsqueeze(1)
        spans = scene.reshape(len(scene), level, slots // level, *scene.shape[2:]).sum(2) / slots
        reads[:, :level] += spans * taken
    return reads


def add_noise(
    reads: Tensor,
    levels: Tensor,
    *,
    s_ss: float,
    s_r: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Add shot and read noise to clean `reads` (N, K, H, W): ``U(e)`` of CRL section II-A.

    `s_ss` and `s_r` are the shot-noise and read-noise coefficients of a noise profile. Planes that
    a pixel does not measure stay zero.
    """
    order = torch.arange(reads.shape[1], device=reads.device).view(1, -1, 1, 1)
    measured = order < levels.unsqueeze(1)
    sigma = (reads * s_ss**2 + s_r**2).sqrt()
    draw = torch.randn(reads.shape, generator=generator, device=reads.device, dtype=reads.dtype)
    return reads + sigma * draw * measured


def initial_reconstruction(reads: Tensor, levels: Tensor, slots: int = 16) -> Tensor:
    """Spread each measurement evenly over the slots it covers (CRL Eq. 3).

    Parameters
    ----------
    reads
        (N, K, H, W) signal e.
    levels
        (N, H, W) integer.
    slots
        T.

    Returns
    -------
    Tensor
        (N, T, H, W); a pixel at level n has n times its k-th read during its k-th span of T/n
        slots, and zeros at level 0.
    """
    gated, spread = [], []
    for level in _divisors(slots, reads.shape[1]):
        share = (levels == level).unsqueeze(1).to(reads.dtype) * level
        gated.append(reads[:, :level] * share)
        spread.append(torch.eye(level).repeat_interleave(slots // level, dim=0))
    # One fixed 1x1 convolution spreads all levels at once: the cheapest form in ONNX Runtime.
    kernel = torch.cat(spread, dim=1).to(reads)[:, :, None, None]
    return torch.nn.functional.conv2d(torch.cat(gated, dim=1), kernel)


def _divisors(slots: int, max_reads: int) -> list[int]:
    return [level for level in range(1, max_reads + 1) if slots % level == 0]
