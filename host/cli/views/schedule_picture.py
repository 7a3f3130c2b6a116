"""The picture of a read schedule: reads of every slot as bars, above the spans that they end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.feasibility import Feasibility
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap
from focalloop.firmware_sim.maps.read_plan import read_slots
from focalloop.firmware_sim.maps.tiles import tile_of
from focalloop.host.cli.views.canvas import Surface, surface_for

_WIDTH = 960.0
_LEFT, _RIGHT = 96.0, 716.0
"""Ends of the slot axis, which bars and spans share; the tile and the legend are beside it."""
_TOP, _BARS = 84.0, 250.0
"""Top and height of the bars."""
_SIDE = 748.0
"""Left end of the column beside them."""
_TILE = 176.0
"""Longest side of the tile's drawing."""
_MAX_CELLS = 16
"""Rows and columns of the tile that are drawn."""

_INK, _FAINT, _GRID = "#1f2328", "#6e7781", "#d8dee4"
_GHOST = "#e6e9ed"
_ADC, _LINK, _MEAN = "#c2255c", "#d9730d", "#6e7781"


def draw_schedule(
    path: Path,
    ratio_map: RatioMap,
    planned: Feasibility,
    phases: NDArray[np.uint8] | None = None,
    unstaggered: Feasibility | None = None,
) -> None:
    """Write the picture of a schedule to `path`, a ``.png`` or ``.svg``.

    Parameters
    ----------
    ratio_map : RatioMap
        The map, for its tile.
    planned : Feasibility
        Its reads and the hardware's limits.
    phases : ndarray of uint8 or None, optional
        Phase of each pixel (H, W), if staggered.
    unstaggered : Feasibility or None, optional
        The same without phases, whose bars are drawn behind.

    Raises
    ------
    PictureError
        `path` has another suffix.
    WriteError
        The folder does not take the file.
    """
    rows = _groups(ratio_map, phases)
    pitch = min(26.0, max(9.0, 380.0 / len(rows)))
    spans_top = _TOP + _BARS + 72
    levels_tile = ratio_map.tile.shape
    tile = levels_tile if phases is None else tuple(map(max, levels_tile, tile_of(phases).shape))
    tile_rows, _, cell = _cells(tile)
    height = spans_top + max(pitch * len(rows), cell * tile_rows) + 24
    surface = surface_for(path, _WIDTH, height)
    _bars(surface, planned, unstaggered)
    _spans(surface, rows, planned.slots, spans_top, pitch)
    _legend(surface, ratio_map, planned, unstaggered is not None)
    _tile(surface, ratio_map, phases, tile, spans_top)
    with written_whole(path) as partial:
        partial.write_bytes(surface.encoded())


def _groups(ratio_map: RatioMap, phases: NDArray[np.uint8] | None) -> list[tuple[int, int]]:
    """Return each level above 0 with each of its phases, highest level and lowest phase first."""
    phase = np.zeros(ratio_map.shape, np.int64) if phases is None else phases
    keys = np.unique(-256 * ratio_map.levels.astype(np.int64) + phase)
    pairs = [(int(-(key // 256)), int(key % 256)) for key in keys]
    return [(level, phase) for level, phase in pairs if level]


def _colour(level: int) -> str:
    red, green, blue = LEVEL_COLOURS.get(level, (128, 128, 128))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _bars(surface: Surface, planned: Feasibility, unstaggered: Feasibility | None) -> None:
    surface.text(_LEFT, 26, "Reads that fall due after each slot", 19, _INK)
    surface.text(
        _LEFT,
        52,
        f"{planned.reads_per_window:,} reads per window of {planned.slots} slots, "
        f"{planned.hardware.slot_rate_hz:,.6g} slots per second",
        12.5,
        _FAINT,
    )
    tallest = float((unstaggered or planned).reads_per_slot.max())
    limits = [limit for limit in _limits(planned) if limit[0] <= 1.5 * tallest]
    top, step = _axis(max(tallest, *(value for value, _, _ in limits)))
    bottom, scale = _TOP + _BARS, _BARS / top
    for tick in range(round(top / step) + 1):
        y = bottom - tick * step * scale
        surface.line(_LEFT, y, _RIGHT, y, _INK if tick == 0 else _GRID)
        surface.text(_LEFT - 10, y, f"{tick * step:,.6g}", 11.5, _FAINT, "end")
    pitch = (_RIGHT - _LEFT) / planned.slots
    for slot in range(planned.slots):
        x, width = _LEFT + slot * pitch + 0.14 * pitch, 0.72 * pitch
        if unstaggered is not None:
            tall = int(unstaggered.reads_per_slot[slot]) * scale
            surface.rectangle(x, bottom - tall, width, tall, _GHOST)
        y = bottom
        for level, reads in zip(planned.levels, planned.reads[:, slot].tolist(), strict=True):
            y -= reads * scale
            surface.rectangle(x, y, width, reads * scale, _colour(level))
        if planned.slots <= 32 or slot % 8 == 0:
            surface.text(x + width / 2, bottom + 15, str(slot), 11.5, _FAINT, "middle")
    surface.text((_LEFT + _RIGHT) / 2, bottom + 34, "slot", 12.5, _FAINT, "middle")
    places = [bottom - value * scale for value, _, _ in limits]
    for y, label_y, (_, name, colour) in zip(places, _apart(places, 14), limits, strict=True):
        surface.line(_LEFT, y, _RIGHT, y, colour, dashed=name == "mean")
        surface.text(_RIGHT + 6, label_y, name, 11.5, colour)


def _limits(planned: Feasibility) -> list[tuple[float, str, str]]:
    """Return the reads per slot of ADC, link and mean, ascending, with names and colours."""
    hardware = planned.hardware
    limits = [(planned.reads_per_window / planned.slots, "mean", _MEAN)]
    if hardware.adc_rate_hz is not None:
        limits.append((hardware.adc_rate_hz / hardware.slot_rate_hz, "ADC", _ADC))
    if planned.link_reads_per_slot is not None:
        limits.append((planned.link_reads_per_slot, "link", _LINK))
    return sorted(limits)


def _axis(highest: float) -> tuple[float, float]:
    """Return the top of an axis from 0 that holds `highest`, and the step of its ticks."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if highest / (f * power) <= 6)
    return step * math.ceil(highest / step - 1e-9), step


def _spans(
    surface: Surface, rows: list[tuple[int, int]], slots: int, top: float, pitch: float
) -> None:
    surface.text(_LEFT, top - 14, "Spans; each is read at its dark end", 12.5, _FAINT)
    slot_width = (_RIGHT - _LEFT) / slots
    size = min(12.0, 0.8 * pitch)
    several = any(phase for _, phase in rows)
    for row, (level, phase) in enumerate(rows):
        y, tall = top + row * pitch, 0.74 * pitch
        name = f"{level}, phase {phase}" if several else f"level {level}"
        surface.text(_LEFT - 10, y + tall / 2, name, size, _INK, "end")
        ends = (np.flatnonzero(read_slots(slots, level, phase)) + 1).tolist()
        starts = [0, *ends]
        for start, end in zip(starts, [*ends, slots], strict=True):
            if start == end:
                continue
            inset = 1.5 if start else 0.0
            x, width = _LEFT + start * slot_width + inset, (end - start) * slot_width - inset
            surface.rectangle(x, y, width, tall, _colour(level))
            if end in ends:
                surface.rectangle(x + width - 4, y, 4, tall, _INK)


def _legend(surface: Surface, ratio_map: RatioMap, planned: Feasibility, ghost: bool) -> None:
    y = 26.0
    surface.text(_SIDE, y, f"{ratio_map.shape[0]}x{ratio_map.shape[1]} pixels", 12.5, _FAINT)
    entries = [
        (_colour(level), f"level {level}: {100 * (ratio_map.levels == level).mean():.3g}%")
        for level in reversed(ratio_map.level_set)
        if (ratio_map.levels == level).any()
    ]
    if ghost:
        entries.append((_GHOST, "without phases"))
    for colour, text in entries:
        y += 24
        surface.rectangle(_SIDE, y - 7, 14, 14, colour)
        surface.text(_SIDE + 24, y, text, 12.5, _INK)
    for text, colour in _verdicts(planned):
        y += 24
        surface.text(_SIDE, y, text, 12.5, colour)


def _verdicts(planned: Feasibility) -> list[tuple[str, str]]:
    verdicts = []
    if planned.fits_adc is not None:
        held = "with held reads" if planned.fits_adc_holding else "too slow"
        verdicts.append((f"ADC: {'keeps up' if planned.fits_adc else held}", _ADC))
    if planned.fits_link is not None:
        verdicts.append((f"link: {'keeps up' if planned.fits_link else 'too slow'}", _LINK))
    return verdicts


def _tile(
    surface: Surface,
    ratio_map: RatioMap,
    phases: NDArray[np.uint8] | None,
    shape: tuple[int, int],
    top: float,
) -> None:
    """Draw the tile that repeats, with its phases below its levels where there are some."""
    rows, columns, cell = _cells(shape)
    what = "map" if shape == ratio_map.shape else f"tile of {shape[0]}x{shape[1]} pixels"
    title = what if shape == (rows, columns) else f"{what}, its corner"
    surface.text(_SIDE, top - 14, title, 12.5, _FAINT)
    for y, x in np.ndindex(rows, columns):
        level = int(ratio_map.levels[y, x])
        left, upper = _SIDE + x * cell, top + y * cell
        surface.rectangle(left, upper, cell - 1.5, cell - 1.5, _colour(level))
        if cell < _TILE / 8:
            continue
        ink = _INK if sum(LEVEL_COLOURS.get(level, (128,) * 3)) > 330 else "#ffffff"
        centre, middle = left + cell / 2, upper + cell / 2
        if phases is not None and level:
            middle -= 0.16 * cell
            phase = f"+{phases[y, x]}"
            surface.text(centre, middle + 0.42 * cell, phase, 0.24 * cell, ink, "middle")
        surface.text(centre, middle, str(level), 0.36 * cell, ink, "middle")


def _cells(tile: tuple[int, int]) -> tuple[int, int, float]:
    """Return the rows and columns of a tile that are drawn, and the side of each cell."""
    rows, columns = (min(side, _MAX_CELLS) for side in tile)
    return rows, columns, _TILE / max(rows, columns, 4)


def _apart(places: list[float], spacing: float) -> list[float]:
    """Return places, which fall, moved so that each is at least `spacing` below the one before."""
    moved: list[float] = []
    for place in places:
        moved.append(min(place, moved[-1] - spacing) if moved else place)
    return moved
