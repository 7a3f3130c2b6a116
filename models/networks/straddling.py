"""Sensing with phases, in PyTorch: spans that begin some slots after the window does.

A pixel of level n has spans of L = T/n slots, back to back. With phase p (below L) they begin p
slots later, as in ``docs/schedule.md``. Counted within a window, read k of a pixel ends after

    (p or L) + k L   slots,   and its span began L slots before.

Where p > 0 read 0 began in the window before, and n reads end in the window. The last L - p slots
are seen by read n alone, which ends in the *next* window: it overlaps this one, too, and is there
one window later. Without phases nothing changes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from focalloop.models.networks.sensing import MAX_READS


def span_ends(
    levels: Tensor, phases: Tensor, slots: int = 16, *, late: bool, max_reads: int = MAX_READS
) -> tuple[Tensor, Tensor]:
    """Return the slots between which each read of a window collects light.

    Parameters
    ----------
    levels, phases : Tensor of int, shape (N, H, W)
        Each level 0 or a divisor of `slots` up to `max_reads`; each phase 0 to ``slots / level``
        - 1, and 0 at level 0.
    slots : int, optional
        Frames per window, T.
    late : bool
        Whether a window includes the reads that end in the next one.
    max_reads : int, optional
        Highest level.

    Returns
    -------
    tuple of Tensor of int64, shape (N, max_reads + 1, H, W)
        First slot, and the slot after the last, counted from the beginning of the window. The first
        is negative if the span began before. Equal where a pixel has no such read.

    Raises
    ------
    ValueError
        If a phase is not shorter than its span.
    """
    levels, phases = levels.long(), phases.long()
    length = torch.where(levels > 0, slots // levels.clamp(min=1), 1)
    if bool(((phases < 0) | (phases >= length)).any()):
        raise ValueError("a phase is at least 0 and shorter than the span of its pixel's level")
    order = torch.arange(max_reads + 1, device=levels.device).view(1, -1, 1, 1)
    end = (torch.where(phases > 0, phases, length)).unsqueeze(1) + order * length.unsqueeze(1)
    taken = order < reads_taken(levels, phases, late=late).unsqueeze(1)
    return (end - length.unsqueeze(1)) * taken, end * taken


def reads_taken(levels: Tensor, phases: Tensor, *, late: bool) -> Tensor:
    """Return how many reads each pixel has in a window, as `span_ends` counts them."""
    return levels.long() + (late & (phases > 0))


def straddling_reads(
    scene: Tensor,
    levels: Tensor,
    phases: Tensor,
    begin: int,
    slots: int = 16,
    *,
    late: bool,
    max_reads: int = MAX_READS,
) -> Tensor:
    """Expose one window of a longer `scene` under levels and phases, without noise.

    Parameters
    ----------
    scene : Tensor of float32, shape (N, S, H, W)
        Radiance in [0, 1], with what the reads see before and after the window.
    levels, phases, slots, late, max_reads
        As in `span_ends`; levels and phases may have N = 1.
    begin : int
        Slot of `scene` with which the window begins.

    Returns
    -------
    Tensor of float32, shape (N, max_reads + 1, H, W)
        Signal e in units of full scale; plane k holds each pixel's read k, zero where it has none.

    Raises
    ------
    ValueError
        If a read reaches beyond `scene`.
    """
    first, end = (
        begin + edge.expand(len(scene), -1, -1, -1)
        for edge in span_ends(levels, phases, slots, late=late, max_reads=max_reads)
    )
    if int(first.min()) < 0 or int(end.max()) > scene.shape[1]:
        raise ValueError(
            f"the reads need slots {int(first.min())} to {int(end.max())} of a scene of "
            f"{scene.shape[1]}: give more frames before and after the window"
        )
    # cumsum() over frames is ten times as slow.
    summed = [torch.zeros_like(scene[:, 0])]
    for frame in scene.unbind(1):
        summed.append(summed[-1] + frame)
    light = torch.stack(summed, dim=1)
    return (light.gather(1, end) - light.gather(1, first)) / slots
