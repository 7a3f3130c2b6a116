"""Arrays of any size through networks: whole locations, and overlapping tiles of them.

Networks take whole locations, so measurements are continued by their last cells. Large arrays go
through them in tiles. A network that looks at most `MARGIN` locations far gives the same values in
the middle of a tile as on the whole array, so tiles that overlap by that much join without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy import s_
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.checks import size_text
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.reconstruction.reconstruct import Float32

MARGIN = 16
"""Locations around the middle of a tile that its network sees as well, at least as far as it
looks."""

LARGEST = 64
"""Locations along the longest side that goes through a network at once, 1,024 pixels."""


@dataclass(frozen=True)
class Tile:
    """A part of an array, in locations: rows and columns as (start, stop).

    Attributes
    ----------
    rows, columns : tuple of int
        What the tile gives.
    seen_rows, seen_columns : tuple of int
        What goes into the network, as far as the array goes.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    seen_rows: tuple[int, int]
    seen_columns: tuple[int, int]

    def seen(self, scale: int = 1) -> tuple[slice, slice]:
        """Return what goes into the network, of an array with `scale` samples per location."""
        return _part(self.seen_rows, scale), _part(self.seen_columns, scale)

    def given(self, scale: int = 1) -> tuple[slice, slice]:
        """Return the part of the whole array that the tile gives."""
        return _part(self.rows, scale), _part(self.columns, scale)

    def middle(self, scale: int = 1) -> tuple[slice, slice]:
        """Return that part of what comes out of the network."""
        return (
            _part(self.rows, scale, -self.seen_rows[0]),
            _part(self.columns, scale, -self.seen_columns[0]),
        )


def _part(ends: tuple[int, int], scale: int, offset: int = 0) -> slice:
    return s_[(ends[0] + offset) * scale : (ends[1] + offset) * scale]


def tiles_of(
    height: int, width: int, *, largest: int = LARGEST, margin: int = MARGIN
) -> Iterator[Tile]:
    """Yield tiles that give an array of ``height x width`` locations, each location once.

    Parameters
    ----------
    height, width : int
        Size of the array in locations.
    largest : int, optional
        Locations along a side of what goes into a network, above twice the margin.
    margin : int, optional
        Locations on each side that only go in.
    """
    for rows, seen_rows in _spans(height, largest, margin):
        for columns, seen_columns in _spans(width, largest, margin):
            yield Tile(rows, columns, seen_rows, seen_columns)


def _spans(
    length: int, largest: int, margin: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    step = length if length <= largest else largest - 2 * margin
    for start in range(0, length, step):
        stop = min(start + step, length)
        yield (start, stop), (max(start - margin, 0), min(stop + margin, length))


def is_tiled(ratio_map: RatioMap, tile: NDArray[np.uint8]) -> bool:
    """Return whether a map repeats a square tile from its corner, and has no aperture."""
    height, width = ratio_map.shape
    times = -(-height // len(tile)), -(-width // len(tile))
    repeated = np.tile(tile, times)[:height, :width]
    return ratio_map.aperture is None and np.array_equal(repeated, ratio_map.levels)


def whole_locations(reads: Float32, cell: int, location: int = 16) -> Float32:
    """Continue reads to whole locations by repeating the last cells.

    Parameters
    ----------
    reads : ndarray of float32, shape (8, H, W)
        Of at least one cell in height and width.
    cell : int
        Height and width of the map's tile, pixels.
    location : int, optional
        Height and width of a location, pixels.

    Returns
    -------
    ndarray of float32, shape (8, location * h, location * w)
        `reads` themselves if they are whole. A pixel beyond the border has the reads of the nearest
        one with the same place in its cell, so the tile goes on in phase.

    Raises
    ------
    RadioError
        The window is smaller than a cell.
    """
    if min(reads.shape[1:]) < cell:
        raise RadioError(
            f"a window of {size_text(reads.shape[1:])} pixels is smaller than a cell of its map, "
            f"{size_text((cell, cell))}: it cannot be sent"
        )
    if all(length % location == 0 for length in reads.shape[1:]):
        return reads
    rows, columns = (_nearest(length, cell, location) for length in reads.shape[1:])
    continued: Float32 = reads[:, rows[:, None], columns]
    return continued


def _nearest(length: int, cell: int, location: int) -> NDArray[np.intp]:
    places = np.arange(-(-length // location) * location)
    cells_beyond = -(-np.maximum(places - length + 1, 0) // cell)
    nearest: NDArray[np.intp] = places - cells_beyond * cell
    return nearest
