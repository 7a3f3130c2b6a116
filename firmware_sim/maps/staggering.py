"""Staggered phases: pixels begin their spans in different slots, which spreads the reads.

A pixel of *phase* ``s`` has the spans ``s .. s + L - 1``, ``s + L .. s + 2L - 1`` and so on, each
of its level's ``L = T/n`` slots, and is read after each. Only phases ``s < L`` differ. Exposures
are back to back and windows follow one another, so the schedule stays periodic: there are as many
reads per window as without phases, every slot lies in one span of the pixel, and, if ``s > 0``,
one span crosses the end of every window.

This is for planning: the wire protocol and the emulator know only phase 0. See
``docs/schedule.md``.
"""

from __future__ import annotations

from heapq import heapify, heapreplace
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import read_slots
from focalloop.firmware_sim.maps.tiles import repeat


def stagger(ratio_map: RatioMap) -> NDArray[np.uint8]:
    """Choose the phase of every pixel so that the busiest slot has as few reads as possible.

    Phases repeat with a tile: that of the levels, repeated until no side is shorter than
    ``sqrt(T)`` pixels, so that even a single level can spread over all slots. In that tile the
    pixels choose one by one, from the shortest span to the longest: each takes the phase with the
    fewest reads so far in the busiest of its slots, then the fewest in all of them. If each span
    divides the next longer one, as for levels that are powers of two, no choice of phases has a
    lower peak on whole tiles: the reads of any two slots differ by at most one read of the tile.

    Parameters
    ----------
    ratio_map : RatioMap
        Map whose reads are spread.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Phase of each pixel, 0 to ``T/level - 1``; 0 where the level is 0.
    """
    slots = ratio_map.slots
    tile = _phase_tile(ratio_map)
    levels = tile.reshape(-1)
    phases = np.zeros(levels.size, np.uint8)
    load = np.zeros(slots, np.int64)
    for level in sorted(set(ratio_map.level_set) - {0}, reverse=True):
        span = slots // level
        by_phase = [read_slots(slots, level, phase) for phase in range(span)]
        # Phases of one level share no slots: a choice changes only its own entry of the heap.
        heap = [
            (int(load[after].max()), int(load[after].sum()), phase)
            for phase, after in enumerate(by_phase)
        ]
        heapify(heap)
        for cell in np.flatnonzero(levels == level):
            peak, total, phase = heap[0]
            phases[cell] = phase
            heapreplace(heap, (peak + 1, total + level, phase))
            load += by_phase[phase]
    return repeat(phases.reshape(tile.shape), *ratio_map.shape)


def _phase_tile(ratio_map: RatioMap) -> NDArray[np.uint8]:
    """Return the levels (h, w) of the tile with which the phases repeat."""
    tile = ratio_map.tile
    min_side = isqrt(ratio_map.slots - 1) + 1  # sqrt(T), rounded up
    sides = (
        min(size, side * ceil(min_side / side))
        for side, size in zip(tile.shape, ratio_map.shape, strict=True)
    )
    return repeat(tile, *sides)
