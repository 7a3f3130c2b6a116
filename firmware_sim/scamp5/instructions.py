"""Registers and instructions of a SCAMP-5 processing element, as the chip executes them.

One `Instruction` is one or two instruction words that all elements execute at once. The names
and the bus semantics are those of the public headers of the SCAMP-5d developer kit; see
``docs/scamp5.md`` for the sources, and for the decisions where they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError


class Scamp5Error(FocalloopError, ValueError):
    """A SCAMP-5 program, setting or scene is invalid; the message says where and why."""


class Areg(Enum):
    """Analog registers and sources; the number is the plane in the machine's memory."""

    A = 0
    B = 1
    C = 2
    D = 3
    E = 4
    F = 5
    NEWS = 6
    """Scratch register of the macros, and the register that the four neighbours see."""
    PIX = 7
    """The photodiode: a source, never a destination."""
    IN = 8
    """The analog value that the controller drives into all elements: a source."""
    XN = 9
    """NEWS of the northern neighbour as a source; see `Instruction` for it as a destination."""
    XE = 10
    XS = 11
    XW = 12


class Dreg(Enum):
    """Digital registers and sources; the number is the plane in the machine's memory."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    R10 = 10
    R11 = 11
    R12 = 12
    FLAG = 13
    """Gates every write of an analog register; set by WHERE and ALL, a source elsewhere."""
    SELECT = 14
    """What the address decoders select; a source."""


Register = Areg | Dreg

NEIGHBOURS = (Areg.XN, Areg.XE, Areg.XS, Areg.XW)
SOURCES_ONLY = (Areg.PIX, Areg.IN)
FREE_MASKS = (Dreg.R5, Dreg.R6, Dreg.R7, Dreg.R8, Dreg.R9, Dreg.R10, Dreg.R11)
"""Digital registers that no macro uses."""


class Direction(Flag):
    """Neighbours, by the kit's numbers. North is up and east is right in the picture."""

    EAST = 1
    WEST = 2
    NORTH = 4
    SOUTH = 8


ALL_DIRECTIONS = Direction.EAST | Direction.WEST | Direction.NORTH | Direction.SOUTH

STEPS: dict[Direction, tuple[int, int]] = {
    Direction.NORTH: (-1, 0),
    Direction.EAST: (0, 1),
    Direction.SOUTH: (1, 0),
    Direction.WEST: (0, -1),
}
"""Rows down and columns right from an element to its neighbour in each direction."""

NEIGHBOUR_DIRECTION = dict(zip(NEIGHBOURS, STEPS, strict=True))
DNEWS_SELECT: dict[Dreg, Direction] = {
    Dreg.R1: Direction.SOUTH,
    Dreg.R2: Direction.WEST,
    Dreg.R3: Direction.NORTH,
    Dreg.R4: Direction.EAST,
}
"""The direction that each of R1 to R4 enables in DNEWS and PROP."""


class Op(IntEnum):
    """What an instruction does."""

    NOP = 0
    RPIX = 1
    """Reset PIX of every element."""
    BUS = 2
    """Every destination gets minus the sum of the sources over the number of destinations."""
    WHERE = 3
    """FLAG := 1 where the sum of the analog sources is above 0, else 0."""
    WHERE_DIGITAL = 4
    """FLAG := OR of the digital sources."""
    ALL = 5
    """FLAG := 1."""
    OR = 6
    """Every destination gets the OR of the sources; 0 without any."""
    NOR = 7
    """Every destination gets the NOR of the sources; 1 without any."""
    DNEWS = 8
    """OR of the source in the neighbours that R1 to R4 select; `value` beyond the edge."""
    PROP = 9
    """Flood R12 through the elements whose R0 is 1, from the neighbours that R1 to R4 select."""
    REFRESH = 10
    """Restore the charge of a digital register."""
    IN = 11
    """The controller drives the analog `value` to all elements."""
    SELECT = 12
    """The controller sets the address decoders; `value` is a `pattern`."""
    EXPOSE = 13
    """The controller waits for slot `value` of the scene to end; light integrates on PIX."""
    SCAN = 14
    """The controller reads the analog source of all elements as scan number `value`."""
    BLUR = 15
    """The destination gets minus the source after one step of diffusion; see `blurred`.

    `value` is EAST, SOUTH or both: connections to the east and west, or to the south and north.
    """


_CONTROLLER = (Op.IN, Op.SELECT, Op.EXPOSE, Op.SCAN)
_ANALOG = (Op.BUS, Op.WHERE, Op.SCAN, Op.BLUR)
_WITH_TARGET = (Op.BUS, Op.BLUR, Op.OR, Op.NOR, Op.DNEWS, Op.REFRESH)
_WITH_SOURCE = (Op.BLUR, Op.WHERE, Op.WHERE_DIGITAL, Op.DNEWS, Op.SCAN)
_TWO_WORDS = (Op.PROP, Op.REFRESH)
_MAX_SOURCES = {Op.BUS: 4, Op.WHERE: 3, Op.WHERE_DIGITAL: 3, Op.OR: 4, Op.NOR: 4}
_MAX_TARGETS = {Op.BUS: 3, Op.OR: 4, Op.NOR: 4}


@dataclass(frozen=True)
class Instruction:
    """One operation of all elements, or one step of the controller between them.

    Parameters
    ----------
    op : Op
        What to do.
    targets : tuple of Areg, or of Dreg
        Registers written. A neighbour as the one target of BUS writes *its* NEWS: ``bus(XW, A)``
        leaves in NEWS minus the A of the eastern neighbour.
    sources : tuple of Areg, or of Dreg
        Registers read.
    value : int
        A constant; see `Op`.

    Raises
    ------
    Scamp5Error
        The chip cannot execute it: an analog register may drive the bus only once, and must not be
        read and written in the same word (a digital register may be, in two words).
    """

    op: Op
    targets: tuple[Register, ...] = ()
    sources: tuple[Register, ...] = ()
    value: int = 0

    def __post_init__(self) -> None:
        kind = Areg if self.op in _ANALOG else Dreg
        if not all(isinstance(one, kind) for one in (*self.targets, *self.sources)):
            raise Scamp5Error(f"{self} takes {'analog' if kind is Areg else 'digital'} registers")
        without_target = self.op in _WITH_TARGET and not self.targets
        if without_target or (self.op in _WITH_SOURCE and not self.sources):
            raise Scamp5Error(f"{self} needs more registers")
        for registers, most in ((self.targets, _MAX_TARGETS), (self.sources, _MAX_SOURCES)):
            if len(registers) > most.get(self.op, 1):
                raise Scamp5Error(f"{self} has more registers than one instruction can name")
            twice = [one.name for one in registers if registers.count(one) > 1]
            if twice and kind is Areg:
                raise Scamp5Error(
                    f"{self} names {twice[0]} twice, but a register can drive the bus only once: "
                    "copy it to another register first"
                )
        if self.op in (Op.BUS, Op.BLUR):
            self._check_bus()
        elif self.op is Op.SCAN and self.sources[0] in (Areg.IN, *NEIGHBOURS):
            raise Scamp5Error(f"{self}: {self.sources[0].name} cannot be read out")
        elif any(target in (Dreg.FLAG, Dreg.SELECT) for target in self.targets):
            raise Scamp5Error(f"{self} writes {self.targets[0].name}, which is only a source")
        if len(self.targets) > 1 and any(one in self.sources for one in self.targets):
            raise Scamp5Error(f"{self} has several targets, and one of them is also a source")
        if self.op is Op.DNEWS and self.targets[0] in (*self.sources, *DNEWS_SELECT):
            raise Scamp5Error(f"{self} writes a register that the neighbours read")

    def _check_bus(self) -> None:
        written = [Areg.NEWS if one in NEIGHBOURS else one for one in self.targets]
        read = [Areg.NEWS if one in NEIGHBOURS else one for one in self.sources]
        both = [one.name for one in written if one in read]
        if both:
            raise Scamp5Error(
                f"{self} reads and writes {both[0]} in one instruction, which leaves it undefined: "
                "write to another register"
            )
        if self.op is Op.BLUR and any(one in NEIGHBOURS for one in (*self.targets, *self.sources)):
            raise Scamp5Error(f"{self} names a neighbour's register, but a blur takes its own")
        if any(one in SOURCES_ONLY for one in written):
            raise Scamp5Error(f"{self} writes {written[0].name}, which is only a source")
        if len(written) > 1 and any(one in NEIGHBOURS for one in self.targets):
            raise Scamp5Error(f"{self} writes a neighbour's and another register at once")

    def __str__(self) -> str:
        names = [getattr(one, "name", str(one)) for one in (*self.targets, *self.sources)]
        return f"{self.op.name.lower()}({', '.join(names)})"

    @property
    def cycles(self) -> int:
        """Instruction words that the chip executes; 0 for a step of the controller."""
        if self.op in _CONTROLLER:
            return 0
        rewrites = self.op in (Op.OR, Op.NOR) and any(one in self.sources for one in self.targets)
        return 2 if rewrites or self.op in _TWO_WORDS else 1


def blurred(plane: NDArray[Any], directions: int) -> tuple[NDArray[Any], int]:
    """Sum a plane with the weights 1, 2, 1 along one direction or both: one step of diffusion.

    This is an explicit step of the heat equation with the coefficient 1/4. No current crosses the
    edge of the array, so the sum over all elements is kept.

    Parameters
    ----------
    plane : ndarray of int16 or float32, shape (H, W)
        A register.
    directions : int
        See `Op.BLUR`.

    Returns
    -------
    ndarray, shape (H, W)
        The weighted sums.
    int
        The sum of the weights: 4, or 16 for both directions.
    """
    weight = 1
    for axis, direction in ((1, Direction.EAST), (0, Direction.SOUTH)):
        if direction.value & directions:
            around = np.moveaxis(np.pad(plane, 1, mode="edge"), axis, 0)
            summed = np.moveaxis(around[:-2] + 2 * around[1:-1] + around[2:], 0, axis)
            plane = summed[1:-1] if axis else summed[:, 1:-1]
            weight *= 4
    return plane, weight


def pattern(row: int, column: int, row_mask: int, column_mask: int) -> int:
    """Pack the addresses of `Op.SELECT`, each 0 to 255.

    Elements are selected whose row equals `row` and column equals `column` in the bits that are 0
    in the masks. Columns are the chip's: 0 is the rightmost.
    """
    packed = 0
    for address in (row, column, row_mask, column_mask):
        if not 0 <= address <= 255:
            raise Scamp5Error(f"an address of the decoders must be 0 to 255, not {address}")
        packed = packed << 8 | address
    return packed
