"""The sensing layer in PyTorch: what the emulator does, differentiable and in batches.

Clean reads and the initial reconstruction equal those of `firmware_sim`; noise has the same
distribution (``docs/concepts.md``, "The forward model") but other random numbers. Gradients flow to
the scene and the reads, except through a converter; levels are integers and have none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.noise import NoiseProfile

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


def read_out(
    reads: Tensor,
    levels: Tensor,
    profile: NoiseProfile,
    *,
    slots: int = 16,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Turn clean reads into what a sensor of this profile gives and the host then linearises.

    Every window is of another sensor, with a fixed pattern of its own.

    Parameters
    ----------
    reads : Tensor of float32, shape (N, K, H, W)
        Clean signal e in units of full scale, on the CPU.
    levels : Tensor of int, shape (N, H, W)
        Measurements of each pixel per window.
    profile : NoiseProfile
        All terms of the forward model.
    slots : int, optional
        Frames per window, T.
    generator : Generator or None, optional
        Draws the noise.

    Returns
    -------
    Tensor of float32, shape (N, K, H, W)
        Signal as reconstruction gets it; planes that a pixel does not measure are zero.
    """
    if not profile.adc:
        return reads
    count, planes, height, width = reads.shape

    def normal(scale: float, *shape: int) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=reads.dtype)

    taken = levels.unsqueeze(1)
    signal = reads
    if profile.prnu:
        signal = signal * (1 + normal(profile.prnu, count, 1, height, width))
    if profile.dark_signal:
        signal = signal + profile.dark_signal / taken.clamp(min=1)
    lit = signal.clamp(min=0)
    read_noise: float | Tensor = profile.s_r
    if profile.shot == "poisson":
        electron = profile.s_ss**2
        signal = torch.poisson(lit / electron, generator) * electron
    elif profile.shot == "gaussian" and profile.full_well is None and profile.response.straight:
        read_noise = (lit * profile.s_ss**2 + profile.s_r**2).sqrt()  # one draw for both
    elif profile.shot == "gaussian":
        signal = signal + lit.sqrt() * normal(profile.s_ss, *reads.shape)
    if profile.full_well is not None:
        signal = signal.clamp(max=profile.full_well)
    signal = profile.respond(signal) + read_noise * normal(1.0, *reads.shape)
    if profile.row_noise or profile.frame_offset:
        lines = normal(profile.row_noise, count, slots, height)
        lines = (lines + normal(profile.frame_offset, count, slots, 1)).unsqueeze(-1)
        for level in divisors(slots, planes):
            last = slots // level * torch.arange(1, level + 1) - 1  # slot in which a span ends
            signal[:, :level] += lines[:, last] * (taken == level)
    if profile.pixel_offset or profile.column_offset:
        signal = signal + normal(profile.pixel_offset, count, 1, height, width)
        signal = signal + normal(profile.column_offset, count, 1, 1, width)
    codes = (profile.black_level_dn + signal * profile.full_scale_dn).round()
    codes = codes.clamp(0, 2**profile.bits - 1)
    signal = (codes - profile.black_level_dn) / profile.full_scale_dn
    if not profile.response.straight:
        signal = torch.from_numpy(profile.linearise(signal.detach().numpy()))
    return signal * (torch.arange(planes).view(1, -1, 1, 1) < taken)


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
