"""What the controller reads out of the array, in the chip's order, and how long it takes.

Rows count from the top. Columns count from the right, as on the chip: column 0 is the rightmost
column of the picture, and an analog scan runs down the columns from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.scamp5.instructions import Scamp5Error

MAX_EVENTS = 4000
"""Largest number of address events per scan."""
BLOCKS = 8
"""Blocks per side of the block means."""


@dataclass(frozen=True)
class Timing:
    """Clock and readout times of the chip and its controller.

    Parameters
    ----------
    clock_hz : float
        Instruction words per second.
    slot_s : float
        Time of one slot.
    analog_read_s : float
        Time of one conversion of the 8-bit scan: the kit's documentation states 28 us for the 64 of
        ``scamp5_global_sum_64``.
    digital_byte_s : float
        Time of eight elements of the 1-bit scan; assumed to be one instruction word.
    event_s : float
        Time of one address event; assumed to be ten instruction words.
    """

    clock_hz: float = 10e6
    slot_s: float = 1 / 240
    analog_read_s: float = 28e-6 / 64
    digital_byte_s: float = 0.1e-6
    event_s: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise Scamp5Error(f"{name} of the timing must be above 0, not {value}")


@dataclass(frozen=True)
class Grid:
    """Elements of a windowed scan: rows and columns from, to (inclusive), and by steps."""

    row: int = 0
    column: int = 0
    last_row: int = 255
    last_column: int = 255
    row_step: int = 1
    column_step: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.row <= self.last_row and 0 <= self.column <= self.last_column):
            raise Scamp5Error(f"a scan must end at or after its first row and column, not {self}")
        if self.row_step < 1 or self.column_step < 1:
            raise Scamp5Error(f"the steps of a scan must be 1 or more, not {self}")

    @property
    def count(self) -> int:
        """Number of elements that the scan reads."""
        rows = (self.last_row - self.row) // self.row_step + 1
        return rows * ((self.last_column - self.column) // self.column_step + 1)


def scan_analog(plane: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Read a window of a scanned register (H, W) as ``scamp5_scan_areg`` does.

    Returns
    -------
    ndarray, shape (count,)
        Column by column from the right, each from the top.
    """
    height, width = plane.shape
    if grid.last_row >= height or grid.last_column >= width:
        raise Scamp5Error(f"{grid} exceeds an array of {height} rows and {width} columns")
    chip = plane[:, ::-1]
    rows = slice(grid.row, grid.last_row + 1, grid.row_step)
    columns = slice(grid.column, grid.last_column + 1, grid.column_step)
    return chip[rows, columns].T.reshape(-1)


def scan_digital(plane: NDArray[np.bool_], first_row: int = 0, last_row: int = 255) -> bytes:
    """Read rows of a digital register (H, W) as ``scamp5_scan_dreg`` does: W/8 bytes per row.

    Bit ``i`` of byte ``j`` of a row, from the least significant, is column ``8 j + i``.
    """
    height, width = plane.shape
    if width % 8 or not 0 <= first_row <= last_row < height:
        raise Scamp5Error(
            f"a 1-bit scan reads rows 0 to {height - 1} of whole bytes, not {first_row} to "
            f"{last_row} of {width} columns"
        )
    return np.packbits(plane[first_row : last_row + 1, ::-1], bitorder="little").tobytes()


def scan_events(
    plane: NDArray[np.bool_], most: int = 1, from_left: bool = False, from_below: bool = False
) -> NDArray[np.uint8]:
    """Read the addresses of the ones of a digital register as ``scamp5_scan_events`` does.

    Parameters
    ----------
    plane : ndarray of bool, shape (H, W)
        The register.
    most : int
        Events to read, 1..4000; the chip takes the time of all of them, found or not.
    from_left, from_below : bool
        Start from the last column, from the last row.

    Returns
    -------
    ndarray of uint8, shape (most, 2)
        Column and row of each event, column by column, followed by zeros; so an event at (0, 0)
        cannot be distinguished from the end.
    """
    if not 1 <= most <= MAX_EVENTS:
        raise Scamp5Error(f"a scan reads 1 to {MAX_EVENTS} events, not {most}")
    height, width = plane.shape
    if max(height, width) > 256:
        raise Scamp5Error(f"events have addresses of a byte, too short for {height}x{width}")
    by_column = plane[:, ::-1].T
    by_column = by_column[:: -1 if from_left else 1, :: -1 if from_below else 1]
    column, row = np.nonzero(by_column)
    column = width - 1 - column if from_left else column
    row = height - 1 - row if from_below else row
    events = np.zeros((most, 2), np.uint8)
    found = np.stack([column, row], axis=-1)[:most]
    events[: len(found)] = found
    return events


def block_means(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Mean of each of 8x8 blocks of a scanned register, as ``scamp5_scan_areg_mean_8x8`` does.

    Returns
    -------
    ndarray of uint8, shape (64,)
        Column by column of blocks from the right, each from the top.
    """
    height, width = plane.shape
    if height % BLOCKS or width % BLOCKS:
        raise Scamp5Error(f"{height}x{width} elements do not divide into {BLOCKS}x{BLOCKS} blocks")
    parts = plane.reshape(BLOCKS, height // BLOCKS, BLOCKS, width // BLOCKS)
    means = np.rint(parts.mean(axis=(1, 3), dtype=np.float64)).astype(np.uint8)
    flat: NDArray[np.uint8] = means[:, ::-1].T.reshape(-1)
    return flat


def global_sum(plane: NDArray[Any], grid: int = 4) -> int:
    """Sum level of a scanned register, as ``scamp5_global_sum_16`` (grid 4) and ``_64`` (8) do.

    Elements whose addresses agree modulo `grid` share one conversion of their mean. The result is
    the sum over the grid, which is proportional to the sum over all elements.
    """
    height, width = plane.shape
    if grid not in (4, 8) or height % grid or width % grid:
        raise Scamp5Error(f"a global sum has a grid of 4 or 8 that divides the sides, not {grid}")
    parts = plane.reshape(height // grid, grid, width // grid, grid)
    return int(np.rint(parts.mean(axis=(0, 2), dtype=np.float64)).sum())
