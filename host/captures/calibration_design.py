"""What to take for a calibration: which spans are read under which light.

``docs/calibration.md`` compares the designs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.errors import CaptureError

TOP = 0.9
"""Brightest flat field, as a share of full scale: noise and PRNU stay clear of saturation."""

SIGNALS = 5
"""Signal levels of a photon transfer curve, where nobody says which lights to use."""

WHITE = 255
"""Radiance 1.0 in the scene of an emulated board, whose lights are this many steps."""


class Design(StrEnum):
    """Which spans are read under which light."""

    SPANS = "spans"
    """Every span of the level set, dark and lit: one light gives the whole curve."""
    LIGHTS = "lights"
    """The longest span, dark and under several lights: as for a camera, by EMVA 1288."""
    TILED = "tiled"
    """Every span in each window, side by side in a small tile: nothing can drift between them."""


@dataclass(frozen=True)
class Step:
    """Windows to take under the same conditions.

    Parameters
    ----------
    light : float
        Radiance of the even light in [0, 1]; 0 is none at all.
    level : int or None
        Reads a window of every pixel; None: the pixels of `calibration_map`.
    windows : int
        How many.
    """

    light: float
    level: int | None
    windows: int


def plan(
    board: HelloAnswer, design: Design, reads: int, lights: Sequence[float] | None = None
) -> tuple[Step, ...]:
    """Lay out the steps of a calibration, dark ones first, then light by light.

    Parameters
    ----------
    board : HelloAnswer
        Its level set and scale.
    design : Design
        What to vary.
    reads : int
        Reads wanted of every pixel at every level of the curve, 2 or more. A pixel of level n
        makes n in a window, and all are used.
    lights : sequence of float, optional
        Radiances in (0, 1]. By default those that bring the curve to `SIGNALS` signals, the
        brightest at `TOP`.

    Raises
    ------
    CaptureError
        Fewer than two reads, or a light out of range.
    """
    if reads < 2:
        raise CaptureError(
            f"{reads} read a level tells nothing of temporal noise: take 2 or more (--reads)"
        )
    for light in lights or ():
        if not 0 < light <= 1:
            raise CaptureError(f"a light is above 0 and at most 1 (full scale), not {light:g}")
    levels = [level for level in board.level_set if level > 0]
    longest = levels[0]
    top = top_light(board)
    if design is Design.TILED:
        chosen = lights or (top,)
        if Feature.EMULATOR in board.features:
            chosen = [math.floor(light * WHITE) / WHITE for light in chosen]
        return tuple(Step(light, None, reads) for light in (0.0, *chosen))
    if design is Design.LIGHTS:
        chosen = lights or [top * (k + 1) / SIGNALS for k in range(SIGNALS)]
        return tuple(Step(light, longest, -(-reads // longest)) for light in (0.0, *chosen))
    steps = [
        Step(light, level, -(-reads // level))
        for light in (0.0, *(lights or (top,)))
        for level in levels
    ]
    if not lights:
        # The level set has fewer spans than the curve should have signals: darker lights between
        # the two longest spans, where a point says most of the slope.
        missing = SIGNALS - len(levels)
        steps += [
            Step(top * (1 - 0.5 * (k + 1) / (missing + 1)), longest, -(-reads // longest))
            for k in range(missing)
        ]
    return tuple(steps)


def top_light(board: HelloAnswer) -> float:
    """Radiance of the brightest flat field: `TOP` of full scale, or of the codes if those end."""
    reach = ((1 << board.bits) - 1 - board.black_level_dn) / board.full_scale_dn
    return min(TOP, TOP * reach)


def calibration_map(board: HelloAnswer) -> RatioMap:
    """Lay every level of the board's set side by side, each in every row and every column.

    The lowest level, whose pixels make one read of the brightest signal a window, has all pixels
    that are left over: half of them or more.

    Raises
    ------
    RatioMapError
        The array is smaller than a tile.
    """
    lowest, *others = (level for level in board.level_set if level > 0)
    side = 8 if len(others) <= 4 else 16
    if min(board.shape) < side:
        raise RatioMapError(
            f"a map of all spans takes {side}x{side} pixels and more: take another --design"
        )
    row = np.array([*others, *[lowest] * (side - len(others))], np.uint8)
    y, x = np.mgrid[:side, :side]
    # 3 has no divisor in common with 8 or 16, so that each column has every level too.
    tile = row[(x + 3 * y) % side]
    return RatioMap.from_tile(tile, board.shape, board.slots, board.level_set)
