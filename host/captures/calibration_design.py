"""The design of a calibration: which spans are read under which light.

``docs/calibration.md`` compares the designs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from focalloop.firmware_sim.default_calibration import SIGNAL_COUNT, Step, span_steps, top_light
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.errors import CaptureError

WHITE = 255
"""Code of radiance 1.0 in the scene of an emulated board, which has that many steps of light."""


class Design(StrEnum):
    """Which spans are read under which light."""

    SPANS = "spans"
    """Every span of the level set, dark and lit: one light gives the whole curve."""
    LIGHTS = "lights"
    """The longest span, dark and under several lights, as for a camera by EMVA 1288."""
    TILED = "tiled"
    """Every span in every window, side by side in a small tile: nothing can drift between them."""


def plan(
    board: HelloAnswer, design: Design, reads: int, lights: Sequence[float] | None = None
) -> tuple[Step, ...]:
    """Lay out the steps of a calibration: dark first, then one light after the other.

    Parameters
    ----------
    board : HelloAnswer
        The board, for its level set and scale.
    design : Design
        What to vary.
    reads : int
        Reads of every pixel at every level of the curve, at least 2. A pixel of level n makes n
        reads per window, and all are used.
    lights : sequence of float, optional
        Radiances in (0, 1]. By default those that give the curve `SIGNAL_COUNT` signals, the
        brightest at `TOP_SIGNAL`.

    Raises
    ------
    CaptureError
        If there are fewer than two reads, or a light is out of range.
    """
    if reads < 2:
        raise CaptureError(
            f"{reads} read per level shows no temporal noise: take 2 or more (--reads)"
        )
    for light in lights or ():
        if not 0 < light <= 1:
            raise CaptureError(f"a light must be above 0 and at most 1 (full scale), not {light:g}")
    levels = [level for level in board.level_set if level > 0]
    longest = levels[0]
    top = top_light(board)
    if design is Design.TILED:
        chosen = lights or (top,)
        if Feature.EMULATOR in board.features:
            chosen = [math.floor(light * WHITE) / WHITE for light in chosen]
        return tuple(Step(light, None, reads) for light in (0.0, *chosen))
    if design is Design.LIGHTS:
        chosen = lights or [top * (k + 1) / SIGNAL_COUNT for k in range(SIGNAL_COUNT)]
        return tuple(Step(light, longest, -(-reads // longest)) for light in (0.0, *chosen))
    return span_steps(levels, top, reads, lights)


def calibration_map(board: HelloAnswer) -> RatioMap:
    """Return a map with every level of the board's set in every row and every column.

    The lowest level above 0 gets all remaining pixels, which are at least half: its pixels are read
    least often per window, and their signal is the brightest.

    Raises
    ------
    RatioMapError
        If the array is smaller than a tile.
    """
    lowest, *others = (level for level in board.level_set if level > 0)
    side = 8 if len(others) <= 4 else 16
    if min(board.shape) < side:
        raise RatioMapError(
            f"a map of all spans needs at least {side}x{side} pixels: use another --design"
        )
    row = np.array([*others, *[lowest] * (side - len(others))], np.uint8)
    y, x = np.mgrid[:side, :side]
    # 3 has no divisor in common with 8 or 16, so each column has every level too.
    tile = row[(x + 3 * y) % side]
    return RatioMap.from_tile(tile, board.shape, board.slots, board.level_set)
