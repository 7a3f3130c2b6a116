"""A first video from the measurements under any ratio map, by interpolation.

A pixel of level n knows the mean of its window, and how each of its n spans differs from that. The
differences are split into *details*, one octave of time each: two halves against the window, four
quarters against the halves, and so on. Each detail is interpolated over the array from the pixels
that have it (normalised convolution, Knutsson and Westin 1993), and their sum is corrected so that
measuring it again gives back what was measured. This needs no training and is the same for every
arrangement of levels, which lets one network serve many maps.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from focalloop.models.networks.sensing import spread

REACH = 3
"""How far a detail is carried in x and y, pixels."""
SIGMA = 1.2
"""Standard deviation of the Gaussian that weights a detail by its distance, pixels."""
WEIGHT_FLOOR = 1e-4
"""Added to the sum of weights, so that a detail that no nearby pixel measures becomes zero."""


def interpolated(planes: Tensor, masks: Tensor, slots: int = 16) -> Tensor:
    """Interpolate the details of all octaves over the array.

    Parameters
    ----------
    planes : Tensor of float32, shape (N, C, H, W)
        Reads as `focalloop.models.networks.sensing.brightness` sorts them by level, with
        C = 1 + 2 + 4 + 8.
    masks : Tensor of float32, shape (N, levels, H, W)
        For each level from 1 up, 1 where a pixel has it.
    slots : int, optional
        Frames per window, T.

    Returns
    -------
    Tensor of float32, shape (N, C, H, W)
        The mean of the window, then the details of each octave, span by span.
    """
    levels = _levels(masks)
    count = sum(levels)
    kernel = _split_into_octaves(levels).to(planes)[:, :, None, None]
    both = functional.conv2d(torch.cat([planes, masks], dim=1), kernel)
    axis = torch.arange(-REACH, REACH + 1, dtype=planes.dtype, device=planes.device)
    weight = torch.exp(-0.5 * (axis / SIGMA) ** 2)
    # Rows, then columns: the Gaussian is separable.
    channels = both.shape[1]
    for shape, padding in (((-1, 1), (REACH, 0)), ((1, -1), (0, REACH))):
        kernel = weight.view(1, 1, *shape).repeat(channels, 1, 1, 1)
        both = functional.conv2d(both, kernel, padding=padding, groups=channels)
    near, share = both[:, :count], both[:, count : count + len(levels)]
    return near * by_span(1 / (share + WEIGHT_FLOOR))


def consistent(
    video: Tensor,
    planes: Tensor,
    masks: Tensor,
    aperture: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """Move `video` towards what was measured, by one brightness per span.

    Parameters
    ----------
    video : Tensor of float32, shape (N, T, H, W)
        A guess.
    planes, masks : Tensor
        As in `interpolated`.
    aperture : Tensor or None, shape (N, T, H, W), optional
        1 where a pixel is open.
    share : Tensor or None, shape (levels,), optional
        How much of the difference is made up for each level, 0 to 1; all of it by default. Reads of
        short spans are too noisy to be matched exactly.
    """
    # Planes are zero where a level is not taken; gating them again would bend the gradient of a
    # relaxed choice of levels.
    missing = planes - brightness_again(video, masks.shape[1], aperture) * by_span(masks)
    if share is not None:
        missing = missing * by_plane(share)
    return video + spread(missing, video.shape[1], _levels(masks)[-1])


def brightness_again(video: Tensor, levels: int, aperture: Tensor | None = None) -> Tensor:
    """Measure `video` (N, T, H, W) again at every level: the mean brightness (N, C, H, W)."""
    slots = video.shape[1]
    mean = span_means(slots, levels).to(video)[:, :, None, None]
    if aperture is None:
        return functional.conv2d(video, mean)
    opened = aperture.to(video.dtype)
    share = functional.conv2d(opened, mean).clamp_min(1 / slots)
    return functional.conv2d(video * opened, mean) / share


def details_again(details: Tensor, levels: int, slots: int) -> Tensor:
    """Return `brightness_again` of ``spread(details)``, without an aperture, in one step."""
    means = span_means(slots, levels)
    spans = (means > 0).to(means.dtype).T  # what `spread` repeats
    return functional.conv2d(details, (means @ spans).to(details)[:, :, None, None])


def by_span(masks: Tensor) -> Tensor:
    """Repeat the mask of each level over its planes: (N, levels, H, W) to (N, C, H, W)."""
    return masks.repeat_interleave(torch.tensor(_levels(masks), device=masks.device), dim=1)


def by_plane(values: Tensor) -> Tensor:
    """Repeat one value per level over its planes: (levels,) or (N, levels) to (1 or N, C, 1, 1)."""
    levels = values.shape[-1]
    parts = [values[..., k : k + 1].expand(*values.shape[:-1], 2**k) for k in range(levels)]
    return torch.cat(parts, dim=-1).view(-1, 2**levels - 1, 1, 1)


def exactly(device: str) -> AbstractContextManager[object]:
    """Compute in float32 inside autocast; outside it, and in exported graphs, change nothing."""
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _levels(masks: Tensor) -> list[int]:
    """Return the levels above 0: powers of two, as many as there are masks."""
    return [2**k for k in range(masks.shape[1])]


def span_means(slots: int, levels: int) -> Tensor:
    """(C, T): each row averages the slots of one span, level by level."""
    counts = [2**k for k in range(levels)]
    rows = [torch.eye(n).repeat_interleave(slots // n, dim=1) * n / slots for n in counts]
    return torch.cat(rows)


def _split_into_octaves(levels: list[int]) -> Tensor:
    """Return the matrix (24, C + levels) that turns reads by level into details by octave.

    Its input is the planes followed by the masks. Its output is the details of each octave, then a
    mask of where each octave is known, then zeros up to a multiple of eight channels, on which
    convolutions are fastest.
    """
    finest, count = levels[-1], sum(levels)
    means = {n: torch.eye(n).repeat_interleave(finest // n, dim=1) * n / finest for n in levels}
    kernel = torch.zeros(-(-(count + len(levels)) // 8) * 8, count + len(levels))
    for octave, (coarse, fine) in enumerate(zip([0, *levels], levels, strict=False)):
        detail = means[fine].clone()
        if coarse:
            detail -= means[coarse].repeat_interleave(fine // coarse, dim=0)
        # Pixels of this level and of all higher ones know it.
        for finer, level in enumerate(levels[octave:], start=octave):
            planes = detail @ torch.eye(level).repeat_interleave(finest // level, dim=0)
            kernel[fine - 1 : 2 * fine - 1, level - 1 : 2 * level - 1] = planes
            kernel[count + octave, count + finer] = 1
    return kernel
