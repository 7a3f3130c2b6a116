"""The compiled inner loops of the array in integer mode.

`run_block` interprets rows of small integers (`Code`) on a block of elements. Every operation is
one plain loop over int8, which the compiler turns into vector instructions. Flags and masks are
int8, 0 or -1, so that ``&`` selects with them. All jitted code is in this one file, because Numba's
cache notices changes only in the file of a kernel itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.kernel_cache import kernel
from focalloop.firmware_sim.scamp5.instructions import Areg, Dreg
from focalloop.firmware_sim.scamp5.reference import GAIN_BITS, MAX_LSB, MIN_LSB, RESET_LEVEL

i8, i16, i32 = np.int8, np.int16, np.int32
u8, u16, u32, u64 = np.uint8, np.uint16, np.uint32, np.uint64

BLOCK = 16384
"""Elements that go through a program together: their dozen registers stay in the L2 cache."""

ANALOG_PLANES, DIGITAL_PLANES = 15, 16
"""Registers and neighbours by `Areg` and `Dreg`, then `OUTGOING` and scratch."""
OUTGOING = 13
"""Analog plane of the values that are sent to a neighbour."""

_HELD_ANALOG, _HELD_DIGITAL = u64(14), u64(15)
_R0, _R12, _FLAG = u64(Dreg.R0.value), u64(Dreg.R12.value), u64(Dreg.FLAG.value)
_PIX = u64(Areg.PIX.value)


class Code(IntEnum):
    """Operations of the kernels; the comments name the other numbers of a row."""

    BUS = 0  # target, masked, share of the bus, number of sources, sources
    WHERE = 1  # -, -, -, number of sources, sources
    LOGIC = 2  # target, -, inverted, number of sources, sources
    FLAG = 3
    RESET = 4
    FILL = 5  # target, -, value
    EXPOSE = 6  # -, -, slot
    SAMPLE = 7
    SCAN = 8  # source, -, number
    SHIFT = 9  # target, masked, source, rows down, columns right
    DNEWS = 10  # target, -, boundary, source
    PROP = 11  # -, -, boundary
    SELECT = 12  # -, -, pattern
    BLUR = 13  # target, masked, directions, source


Planes = NDArray[np.int8]
Row = NDArray[np.int64]
Wide = NDArray[np.int16]
Charge = NDArray[np.uint16]
Light = NDArray[np.uint8]

_inner = numba.njit(nogil=True)

# Planes and elements are indexed directly by unsigned integers: slices would be counted references,
# and signed indices have to be checked for counting from the end. Either prevents vectorisation.


@_inner
def _saturated(value: Any) -> Any:  # noqa: ANN401
    """Clip an int16 to int8."""
    value = value if value < i16(MAX_LSB) else i16(MAX_LSB)
    return i8(value if value > i16(MIN_LSB) else i16(MIN_LSB))


@_inner
def _chosen(value: Any, other: Any, mask: Any) -> Any:  # noqa: ANN401
    """Take `value` where `mask` is -1 and `other` where it is 0."""
    return i8((value & mask) | (other & i8(~mask)))


@_inner
def _minus1(planes: Planes, t: np.uint64, s: np.uint64, a: np.uint64, b: np.uint64) -> None:
    for i in range(a, b):
        planes[t, i] = _saturated(i16(-i16(planes[s, i])))


@_inner
def _minus2(
    planes: Planes, t: np.uint64, s0: np.uint64, s1: np.uint64, a: np.uint64, b: np.uint64
) -> None:
    for i in range(a, b):
        planes[t, i] = _saturated(i16(i16(-i16(planes[s0, i])) - i16(planes[s1, i])))


@_inner
def _minus1_masked(
    planes: Planes, masks: Planes, t: np.uint64, s: np.uint64, a: np.uint64, b: np.uint64
) -> None:
    for i in range(a, b):
        value = _saturated(i16(-i16(planes[s, i])))
        planes[t, i] = _chosen(value, planes[t, i], masks[_FLAG, i])


@_inner
def _minus2_masked(
    planes: Planes,
    masks: Planes,
    t: np.uint64,
    s0: np.uint64,
    s1: np.uint64,
    a: np.uint64,
    b: np.uint64,
) -> None:
    for i in range(a, b):
        value = _saturated(i16(i16(-i16(planes[s0, i])) - i16(planes[s1, i])))
        planes[t, i] = _chosen(value, planes[t, i], masks[_FLAG, i])


@_inner
def _sum(planes: Planes, rows: Row, j: int, wide: Wide, a: np.uint64, b: np.uint64) -> None:
    """Add the row's sources into `wide` (block,), from its start."""
    for i in range(a, b):
        wide[i - a] = i16(0)
    for k in range(rows[j, 4]):
        s = u64(rows[j, 5 + k])
        for i in range(a, b):
            wide[i - a] = i16(wide[i - a] + i16(planes[s, i]))


@_inner
def _share(
    planes: Planes, t: np.uint64, wide: Wide, share: int, a: np.uint64, b: np.uint64
) -> None:
    """Minus the sum over 1 to 3, to nearest, halves away from 0."""
    for i in range(a, b):
        total = i32(wide[i - a])
        size = total if total > i32(0) else i32(-total)
        if share == 2:
            size = i32(size + i32(1)) // i32(2)
        elif share == 3:
            size = i32(i32(2) * size + i32(3)) // i32(6)
        planes[t, i] = _saturated(i16(-size if total > i32(0) else size))


@_inner
def _blend(
    planes: Planes,
    t: np.uint64,
    s: np.uint64,
    masks: Planes,
    m: np.uint64,
    a: np.uint64,
    b: np.uint64,
) -> None:
    for i in range(a, b):
        planes[t, i] = _chosen(planes[s, i], planes[t, i], masks[m, i])


@_inner
def _fill(planes: Planes, t: np.uint64, value: Any, a: np.uint64, b: np.uint64) -> None:  # noqa: ANN401
    for i in range(a, b):
        planes[t, i] = value


@_inner
def _or(masks: Planes, t: np.uint64, rows: Row, j: int, a: np.uint64, b: np.uint64) -> None:
    """Write the OR of the row's sources, inverted if it says so."""
    count, inverted = rows[j, 4], i8(-rows[j, 3])
    s0, s1, s2, s3 = u64(rows[j, 5]), u64(rows[j, 6]), u64(rows[j, 7]), u64(rows[j, 8])
    if count == 0:
        _fill(masks, t, inverted, a, b)
    elif count == 1:
        for i in range(a, b):
            masks[t, i] = masks[s0, i] ^ inverted
    elif count == 2:
        for i in range(a, b):
            masks[t, i] = (masks[s0, i] | masks[s1, i]) ^ inverted
    elif count == 3:
        for i in range(a, b):
            masks[t, i] = (masks[s0, i] | masks[s1, i] | masks[s2, i]) ^ inverted
    else:
        for i in range(a, b):
            both = masks[s0, i] | masks[s1, i]
            masks[t, i] = (both | masks[s2, i] | masks[s3, i]) ^ inverted


@_inner
def _positive(masks: Planes, wide: Wide, a: np.uint64, b: np.uint64) -> None:
    for i in range(a, b):
        masks[_FLAG, i] = i8(-1) if wide[i - a] > i16(0) else i8(0)


@_inner
def _expose(
    charge: Charge, light: Light, window: np.uint64, slot: np.uint64, a: np.uint64, b: np.uint64
) -> None:
    for i in range(a, b):
        total = u16(charge[i] + u16(light[window, slot, i]))
        charge[i] = total if total >= charge[i] else u16(65535)


@_inner
def _sample(
    planes: Planes, charge: Charge, gain: np.uint32, top: np.uint16, a: np.uint64, b: np.uint64
) -> None:
    half = u32(1 << (GAIN_BITS - 1))
    for i in range(a, b):
        lit = charge[i] if charge[i] < top else top
        value = i16(i16(u32(u32(u32(lit) * gain + half) >> u32(GAIN_BITS))) + i16(RESET_LEVEL))
        planes[_PIX, i] = i8(value if value < i16(MAX_LSB) else i16(MAX_LSB))


@_inner
def _scan(
    scans: Light,
    window: np.uint64,
    number: np.uint64,
    planes: Planes,
    s: np.uint64,
    a: np.uint64,
    b: np.uint64,
) -> None:
    for i in range(a, b):
        scans[window, number, i] = u8(i16(planes[s, i]) - i16(MIN_LSB))


@_inner
def _bus(
    planes: Planes, masks: Planes, rows: Row, j: int, wide: Wide, a: np.uint64, b: np.uint64
) -> None:
    t, s0, s1 = u64(rows[j, 1]), u64(rows[j, 5]), u64(rows[j, 6])
    if rows[j, 3] == 1 and rows[j, 4] == 1 and rows[j, 2]:
        _minus1_masked(planes, masks, t, s0, a, b)
    elif rows[j, 3] == 1 and rows[j, 4] == 1:
        _minus1(planes, t, s0, a, b)
    elif rows[j, 3] == 1 and rows[j, 4] == 2 and rows[j, 2]:
        _minus2_masked(planes, masks, t, s0, s1, a, b)
    elif rows[j, 3] == 1 and rows[j, 4] == 2:
        _minus2(planes, t, s0, s1, a, b)
    else:
        _sum(planes, rows, j, wide, a, b)
        _share(planes, _HELD_ANALOG if rows[j, 2] else t, wide, rows[j, 3], a, b)
        if rows[j, 2]:
            _blend(planes, t, _HELD_ANALOG, masks, _FLAG, a, b)


@kernel
def run_block(
    rows: Row,
    analog: Planes,
    digital: Planes,
    charge: Charge,
    light: Light,
    scans: Light,
    gain: np.uint32,
    top: np.uint16,
    first: int,
    stop: int,
) -> None:
    """Interpret rows without barriers on the elements ``first:stop``, window after window.

    Parameters
    ----------
    rows : ndarray of int64, shape (n, 9)
        See `Code`.
    analog, digital, charge : ndarray, shape (planes, H * W) and (H * W,)
        The registers; see `focalloop.firmware_sim.scamp5.compiled.CompiledArray`.
    light : ndarray of uint8, shape (N, T, H * W)
        The scene.
    scans : ndarray of uint8, shape (N, S, H * W)
        Receives what SCAN reads.
    gain, top : uint32, uint16
        From `focalloop.firmware_sim.scamp5.reference.integer_gain`.
    """
    wide = np.empty(BLOCK, i16)
    for begin in range(first, stop, BLOCK):
        a, b = u64(begin), u64(min(begin + BLOCK, stop))
        for number in range(light.shape[0]):
            window = u64(number)
            for j in range(rows.shape[0]):
                code = rows[j, 0]
                target, value = u64(rows[j, 1]), u64(rows[j, 3])
                if code == Code.BUS:
                    _bus(analog, digital, rows, j, wide, a, b)
                elif code == Code.LOGIC and target == _R12:
                    _or(digital, _HELD_DIGITAL, rows, j, a, b)
                    _blend(digital, _R12, _HELD_DIGITAL, digital, _R0, a, b)
                elif code == Code.LOGIC:
                    _or(digital, target, rows, j, a, b)
                elif code == Code.WHERE:
                    _sum(analog, rows, j, wide, a, b)
                    _positive(digital, wide, a, b)
                elif code == Code.FLAG:
                    _fill(digital, _FLAG, i8(-1), a, b)
                elif code == Code.EXPOSE:
                    _expose(charge, light, window, value, a, b)
                elif code == Code.SAMPLE:
                    _sample(analog, charge, gain, top, a, b)
                elif code == Code.SCAN:
                    _scan(scans, window, value, analog, target, a, b)
                elif code == Code.RESET:
                    _fill(analog, _PIX, i8(RESET_LEVEL), a, b)
                    for i in range(a, b):
                        charge[i] = u16(0)
                elif code == Code.FILL:
                    _fill(analog, target, i8(rows[j, 3]), a, b)


@_inner
def _seen(digital: Planes, source: np.uint64, boundary: int, y: int, x: int) -> Any:  # noqa: ANN401
    """Whether 1 lies in a direction that R1 (south), R2 (west), R3, R4 of the element select."""
    height, width = digital.shape[1:]
    south = digital[source, y + 1, x] if y + 1 < height else boundary
    west = digital[source, y, x - 1] if x > 0 else boundary
    north = digital[source, y - 1, x] if y > 0 else boundary
    east = digital[source, y, x + 1] if x + 1 < width else boundary
    return (
        (digital[1, y, x] & south)
        | (digital[2, y, x] & west)
        | (digital[3, y, x] & north)
        | (digital[4, y, x] & east)
    )


@kernel
def propagate(digital: Planes, boundary: int) -> None:
    """Flood R12 where R0 is 1, until nothing changes: sweeps down, then up."""
    height, width = digital.shape[1:]
    count = height * width
    changed = True
    while changed:
        changed = False
        for k in range(2 * count):
            y, x = divmod(k if k < count else 2 * count - 1 - k, width)
            dry = digital[_R0, y, x] and not digital[_R12, y, x]
            if dry and _seen(digital, _R12, boundary, y, x):
                digital[_R12, y, x] = -1
                changed = True
