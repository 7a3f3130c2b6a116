"""The sensing layer in PyTorch: what the emulator does, differentiable and in batches.

Clean reads and the initial reconstruction equal those of `firmware_sim`; noise has the same
distribution (Gaussian, of variance ``e * s_ss^2 + s_r^2`` per read, CRL section II-A) but other
random numbers. Gradients flow to the scene and the reads; levels are integers and have none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET

MAX_READS = DEFAULT_LEVEL_SET[-1]
"""Most measurements per pixel and window: the planes of the reads."""


def clean_reads(
    scene: Tensor, levels: Tensor, aperture: Tensor | None = None, max_reads: int = MAX_READS
) -> Tensor:
    """Expose `scene` under `levels` without noise (CRL Eq. 1 and 2, normalised by T).

    Parameters
    ----------
    scene : Tensor of float32, shape (N, T, H, W)
        Radiance in [0, 1].
    levels : Tensor of int, shape (N or 1, H, W)
        Each value 0 or a divisor of T up to `max_reads`.
    aperture : Tensor or None, shape (N or 1, T, H, W), optional
        Coded aperture B, 1 where a pixel is open; always open by default.
    max_reads : int, optional
        Number of planes of the result.

    Returns
    -------
    Tensor of float32, shape (N, max_reads, H, W)
        Signal e in units of full scale: plane k holds each pixel's k-th measurement, zero where the
        pixel takes fewer.
    """
    slots = scene.shape[1]
    if aperture is not None:
        scene = scene * aperture
    reads = scene.new_zeros(scene.shape[0], max_reads, *scene.shape[2:])
    for level in divisors(slots, max_reads):
        taken = (levels == level).unsqueeze(1)
        spans = scene.reshape(len(scene), level, slots // level, *scene.shape[2:]).sum(2) / slots
        reads[:, :level] += spans * taken
    return reads


def add_noise(
    reads: Tensor,
    levels: Tensor,
    *,
    s_ss: float | Tensor,
    s_r: float | Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Add shot and read noise to clean `reads` (N, K, H, W): ``U(e)`` of CRL section II-A.

    `s_ss` and `s_r` are the shot-noise and read-noise coefficients of a noise profile, for all
    windows or, as tensors (N, 1, 1, 1), for each. Planes that a pixel does not measure stay zero.
    """
    order = torch.arange(reads.shape[1], device=reads.device).view(1, -1, 1, 1)
    measured = order < levels.unsqueeze(1)
    sigma = (reads * s_ss**2 + s_r**2).sqrt()
    draw = torch.randn(reads.shape, generator=generator, device=reads.device, dtype=reads.dtype)
    return reads + sigma * draw * measured


def brightness(
    reads: Tensor, levels: Tensor, slots: int = 16, aperture: Tensor | None = None
) -> Tensor:
    """Sort reads by level, each as the mean brightness in its open slots.

    A read of a span of L slots, k of them open, becomes ``T/k * I`` (CRL Eq. 5; k = L without an
    aperture), and 0 where k = 0.

    Parameters
    ----------
    reads : Tensor of float32, shape (N, K, H, W)
        Signal e in units of full scale.
    levels : Tensor of int, shape (N, H, W)
        Measurements of each pixel per window.
    slots : int, optional
        Frames per window, T.
    aperture : Tensor or None, shape (N, T, H, W), optional
        As in `clean_reads`.

    Returns
    -------
    Tensor of float32, shape (N, C, H, W)
        For each level n from 1 to K in turn, n planes that are zero where a pixel has another
        level; C = 15 for levels 1, 2, 4 and 8.
    """
    planes = []
    for level in divisors(slots, reads.shape[1]):
        gain = (levels == level).unsqueeze(1).to(reads.dtype) * level
        if aperture is not None:
            open_share = _by_span(aperture.to(reads.dtype), level).mean(2)
            gain = gain * torch.where(open_share > 0, 1 / open_share.clamp_min(1 / slots), 0)
        planes.append(reads[:, :level] * gain)
    return torch.cat(planes, dim=1)


def spread(planes: Tensor, slots: int = 16, max_reads: int = MAX_READS) -> Tensor:
    """Repeat each plane of `brightness` over the slots of its span: (N, T, H, W).

    A pixel of level n shows its k-th value during its k-th span of T/n slots, 0 at level 0.
    """
    rows = [
        torch.eye(level).repeat_interleave(slots // level, dim=0)
        for level in divisors(slots, max_reads)
    ]
    # One fixed 1x1 convolution for all levels is the fastest form in ONNX Runtime.
    kernel = torch.cat(rows, dim=1).to(planes)[:, :, None, None]
    return torch.nn.functional.conv2d(planes, kernel)


def initial_reconstruction(
    reads: Tensor, levels: Tensor, slots: int = 16, aperture: Tensor | None = None
) -> Tensor:
    """Spread each measurement evenly over the open slots that it covers (CRL Eq. 3 and 5).

    The parameters are those of `brightness`.

    Returns
    -------
    Tensor of float32, shape (N, T, H, W)
        Zero at level 0, in shut slots, and where a span had no open slot.
    """
    video = spread(brightness(reads, levels, slots, aperture), slots, reads.shape[1])
    return video if aperture is None else video * aperture.to(video.dtype)


def divisors(slots: int, max_reads: int) -> list[int]:
    """Return the levels from 1 to `max_reads` that divide a window of `slots`, ascending."""
    return [level for level in range(1, max_reads + 1) if slots % level == 0]


def _by_span(aperture: Tensor, level: int) -> Tensor:
    """Split (N, T, H, W) into spans: (N, level, T / level, H, W)."""
    # len() would fix the number of windows in an exported graph.
    count, slots, height, width = aperture.shape
    return aperture.reshape(count, level, slots // level, height, width)
