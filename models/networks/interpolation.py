"""A first video from any ratio map: what near pixels know of time, and what each pixel measured.

A pixel of level n knows the mean of its window, and how each of its n spans differs from that. The
differences are split into *details*, one octave of time each: two halves against the window, four
quarters against the halves, and so on. Every detail is interpolated over the array from the pixels
that have it (normalised convolution, Knutsson and Westin 1993), and the sum of all is corrected so
that measuring it again gives back what was measured. It needs no training, and it is the same for
every arrangement of levels, which is what lets one network serve many maps.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from focalloop.models.networks.sensing import spread

REACH = 3
"""Pixels that a detail is carried at most, in x and y."""
SIGMA = 1.2
"""Of the Gaussian that weighs a detail by its distance, pixels."""
WEIGHT_FLOOR = 1e-4
"""Added to the sum of weights: a detail that nobody near has becomes zero."""


def interpolated(planes: Tensor, masks: Tensor, slots: int = 16) -> Tensor:
    """Interpolate the details of all octaves over the array.

    Parameters
    ----------
    planes : Tensor
        (N, C, H, W), as `focalloop.models.networks.sensing.brightness` sorts reads by level; C = 1
        + 2 + 4 + 8.
    masks : Tensor
        (N, levels, H, W): for each level from 1 up, 1 where a pixel has it.
    slots : int, optional
        T.

    Returns
    -------
    Tensor
        (N, C, H, W): the mean of the window, then the details of each octave, span by span.
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
    gain = 1 / (share + WEIGHT_FLOOR)
    return near * gain.repeat_interleave(torch.tensor(levels, device=gain.device), dim=1)


def consistent(
    video: Tensor,
    planes: Tensor,
    masks: Tensor,
    aperture: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """Move `video` (N, T, H, W) towards what was measured, by one brightness a span.

    Parameters
    ----------
    video : Tensor
        (N, T, H, W).
    planes, masks : Tensor
        As in `interpolated`.
    aperture : Tensor or None, optional
        (N, T, H, W), 1 where a pixel is open, or None.
    share : Tensor or None, optional
        (levels,) of the way, for each level; all of it where not given. Reads of short spans are
        noisy, and are not to be believed to the last digit.
    """
    slots, levels = video.shape[1], _levels(masks)
    counts = torch.tensor(levels, device=video.device)
    gate = masks.repeat_interleave(counts, dim=1)
    mean = _span_means(slots, levels).to(video)[:, :, None, None]
    seen = video if aperture is None else video * aperture.to(video.dtype)
    again = functional.conv2d(seen, mean)
    if aperture is not None:
        again = again / functional.conv2d(aperture.to(video.dtype), mean).clamp_min(1 / slots)
    # Planes are zero where a level is not taken; gating them again would bend the gradient of a
    # relaxed choice of levels.
    missing = planes - again * gate
    if share is not None:
        missing = missing * by_plane(share)
    return video + spread(missing, slots, levels[-1])


def by_plane(values: Tensor) -> Tensor:
    """Repeat one value a level, 1, 2, 4, …, over the planes of each: (levels,) to (1, C, 1, 1)."""
    parts = [values[k : k + 1].expand(2**k) for k in range(len(values))]
    return torch.cat(parts).view(1, -1, 1, 1)


def exactly(device: str) -> AbstractContextManager[object]:
    """Compute in float32 within a region of autocast; nothing elsewhere, and in exported graphs."""
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _levels(masks: Tensor) -> list[int]:
    """Levels above 0: powers of two, as many as there are masks."""
    return [2**k for k in range(masks.shape[1])]


def _span_means(slots: int, levels: list[int]) -> Tensor:
    """(C, T): each row averages the slots of one span, level by level."""
    rows = [torch.eye(n).repeat_interleave(slots // n, dim=1) * n / slots for n in levels]
    return torch.cat(rows)


def _split_into_octaves(levels: list[int]) -> Tensor:
    """(24, C + levels) for four levels: from what is sorted by level to what is known by octave.

    Takes the planes and, behind them, the masks; gives the details of each octave, then where each
    octave is known, then zeros: convolutions are fastest on channels in eights.
    """
    finest, count = levels[-1], sum(levels)
    means = {n: torch.eye(n).repeat_interleave(finest // n, dim=1) * n / finest for n in levels}
    kernel = torch.zeros(-(-(count + len(levels)) // 8) * 8, count + len(levels))
    for octave, (coarse, fine) in enumerate(zip([0, *levels], levels, strict=False)):
        detail = means[fine].clone()
        if coarse:
            detail -= means[coarse].repeat_interleave(fine // coarse, dim=0)
        # Pixels of this level and of all finer ones know it.
        for finer, level in enumerate(levels[octave:], start=octave):
            planes = detail @ torch.eye(level).repeat_interleave(finest // level, dim=0)
            kernel[fine - 1 : 2 * fine - 1, level - 1 : 2 * level - 1] = planes
            kernel[count + octave, count + finer] = 1
    return kernel
