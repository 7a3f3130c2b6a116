"""The compiled inner loops of the array in integer mode.

`run_block` interprets rows of small integers (`Code`) on a block of elements. Every operation is
one plain loop over int8, which the compiler turns into vector instructions. Flags and masks are
int8, 0 or -1, so that they select with ``&``. All jitted code is in this one file, because
Numba's cache notices changes of the file of a kernel alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from firmware_sim.scamp5.instructions import Areg, Dreg
from firmware_sim.scamp5.reference import GAIN_BITS, HIGHEST, LOWEST, RESET_LEVEL

i8, i16, i32 = np.int8, np.int16, np.int32
u8, u16, u32 = np.uint8, np.uint16, np.uint32

BLOCK = 8192
"""Elements that run through a program together: their dozen registers stay in the L2 cache."""

_R0, _R12, _FLAG = Dreg.R0.value, Dreg.R12.value, Dreg.FLAG.value
_PIX = Areg.PIX.value


class Code(IntEnum):
    """Operations of the kernels; the rest of a row is read as the comment beside says."""

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


_inner = numba.njit(nogil=True)
_kernel = numba.njit(nogil=True, cache=True)


@_inner
def _saturated(value: Any) -> Any:  # noqa: ANN401
    """Clip an int16 to int8."""
    value = value if value < i16(HIGHEST) else i16(HIGHEST)
    return i8(value if value > i16(LOWEST) else i16(LOWEST))


@_inner
def _bus1(out: Any, a: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = _saturated(i16(-i16(a[i])))


@_inner
def _bus2(out: Any, a: Any, b: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = _saturated(i16(i16(-i16(a[i])) - i16(b[i])))


@_inner
def _bus3(out: Any, a: Any, b: Any, c: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = _saturated(i16(i16(i16(-i16(a[i])) - i16(b[i])) - i16(c[i])))


@_inner
def _bus4(out: Any, a: Any, b: Any, c: Any, d: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        total = i16(i16(i16(-i16(a[i])) - i16(b[i])) - i16(c[i]))
        out[i] = _saturated(i16(total - i16(d[i])))


@_inner
def _add(wide: Any, a: Any) -> None:  # noqa: ANN401
    for i in range(wide.size):
        wide[i] = i16(wide[i] + i16(a[i]))


@_inner
def _share(out: Any, wide: Any, share: int) -> None:  # noqa: ANN401
    """Minus the sum over `share`, to nearest, halves away from 0."""
    for i in range(out.size):
        total = i32(wide[i])
        size = i32(2) * (total if total > 0 else i32(-total)) + i32(share)
        part = i32(size // i32(4)) if share == 2 else i32(size // i32(6))
        out[i] = _saturated(i16(-part if total > 0 else part))


@_inner
def _blend(out: Any, value: Any, mask: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = i8((value[i] & mask[i]) | (out[i] & i8(~mask[i])))


@_inner
def _copy(out: Any, value: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = value[i]


@_inner
def _or2(out: Any, a: Any, b: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = a[i] | b[i]


@_inner
def _or3(out: Any, a: Any, b: Any, c: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = a[i] | b[i] | c[i]


@_inner
def _invert(out: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = i8(~out[i])


@_inner
def _positive(flag: Any, wide: Any) -> None:  # noqa: ANN401
    for i in range(flag.size):
        flag[i] = i8(-1) if wide[i] > i16(0) else i8(0)


@_inner
def _expose(charge: Any, light: Any) -> None:  # noqa: ANN401
    for i in range(charge.size):
        total = u32(charge[i]) + u32(light[i])
        charge[i] = u16(total if total < u32(65535) else u32(65535))


@_inner
def _sample(pix: Any, charge: Any, gain: Any, top: Any) -> None:  # noqa: ANN401
    half = u32(1 << (GAIN_BITS - 1))
    for i in range(pix.size):
        lit = charge[i] if charge[i] < top else top
        value = i16(i16(u32(u32(u32(lit) * gain + half) >> u32(GAIN_BITS))) + i16(RESET_LEVEL))
        pix[i] = i8(value if value < i16(HIGHEST) else i16(HIGHEST))


@_inner
def _scan(out: Any, value: Any) -> None:  # noqa: ANN401
    for i in range(out.size):
        out[i] = u8(i16(value[i]) - i16(LOWEST))


@_inner
def _bus(row: Any, analog: Any, wide: Any, out: Any, a: int, b: int) -> None:  # noqa: ANN401
    """Leave in `out` what the bus holds of the row's sources in ``a:b``."""
    count = row[4]
    if row[3] > 1:
        wide[:] = 0
        for k in range(count):
            _add(wide, analog[row[5 + k], a:b])
        _share(out, wide, row[3])
    elif count == 0:
        out[:] = 0
    elif count == 1:
        _bus1(out, analog[row[5], a:b])
    elif count == 2:
        _bus2(out, analog[row[5], a:b], analog[row[6], a:b])
    elif count == 3:
        _bus3(out, analog[row[5], a:b], analog[row[6], a:b], analog[row[7], a:b])
    else:
        _bus4(
            out,
            analog[row[5], a:b],
            analog[row[6], a:b],
            analog[row[7], a:b],
            analog[row[8], a:b],
        )


@_inner
def _any(row: Any, digital: Any, out: Any, a: int, b: int) -> None:  # noqa: ANN401
    """Leave in `out` the OR of the row's sources in ``a:b``."""
    count = row[4]
    if count == 0:
        out[:] = 0
    elif count == 1:
        _copy(out, digital[row[5], a:b])
    elif count == 2:
        _or2(out, digital[row[5], a:b], digital[row[6], a:b])
    else:
        _or3(out, digital[row[5], a:b], digital[row[6], a:b], digital[row[7], a:b])
        if count == 4:
            _or2(out, out, digital[row[8], a:b])
    if row[3]:
        _invert(out)


@_kernel
def run_block(
    rows: NDArray[np.int64],
    analog: NDArray[np.int8],
    digital: NDArray[np.int8],
    charge: NDArray[np.uint16],
    light: NDArray[np.uint8],
    scans: NDArray[np.uint8],
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
        The registers; see `firmware_sim.scamp5.compiled.CompiledArray`.
    light : ndarray of uint8, shape (N, T, H * W)
        The scene.
    scans : ndarray of uint8, shape (N, S, H * W)
        Receives what SCAN reads.
    gain, top : uint32, uint16
        From `firmware_sim.scamp5.reference.integer_gain`.
    """
    block = min(BLOCK, stop - first)
    all_held, all_wide = np.empty(block, i8), np.empty(block, i16)
    for a in range(first, stop, BLOCK):
        b = min(a + BLOCK, stop)
        held, wide = all_held[: b - a], all_wide[: b - a]
        for window in range(light.shape[0]):
            for j in range(rows.shape[0]):
                row = rows[j]
                code = row[0]
                if code == Code.BUS:
                    if row[2]:
                        _bus(row, analog, wide, held, a, b)
                        _blend(analog[row[1], a:b], held, digital[_FLAG, a:b])
                    else:
                        _bus(row, analog, wide, analog[row[1], a:b], a, b)
                elif code == Code.LOGIC:
                    _any(row, digital, held, a, b)
                    if row[1] == _R12:
                        _blend(digital[_R12, a:b], held, digital[_R0, a:b])
                    else:
                        _copy(digital[row[1], a:b], held)
                elif code == Code.WHERE:
                    wide[:] = 0
                    for k in range(row[4]):
                        _add(wide, analog[row[5 + k], a:b])
                    _positive(digital[_FLAG, a:b], wide)
                elif code == Code.FLAG:
                    digital[_FLAG, a:b] = i8(-1)
                elif code == Code.EXPOSE:
                    _expose(charge[a:b], light[window, row[3], a:b])
                elif code == Code.SAMPLE:
                    _sample(analog[_PIX, a:b], charge[a:b], gain, top)
                elif code == Code.SCAN:
                    _scan(scans[window, row[3], a:b], analog[row[1], a:b])
                elif code == Code.RESET:
                    charge[a:b] = 0
                    analog[_PIX, a:b] = RESET_LEVEL
                elif code == Code.FILL:
                    analog[row[1], a:b] = row[3]


@_kernel
def shift(
    source: NDArray[np.int8],
    target: NDArray[np.int8],
    flag: NDArray[np.int8],
    down: int,
    right: int,
) -> None:
    """Let every element hold what its neighbour does; 0 beyond the edge; under `flag` if any.

    `source` and `target` (H, W) are different planes; the neighbour is `down` rows and `right`
    columns away.
    """
    height, width = source.shape
    for y in range(height):
        for x in range(width):
            y0, x0 = y + down, x + right
            inside = 0 <= y0 < height and 0 <= x0 < width
            if flag.size == 0 or flag[y, x]:
                target[y, x] = source[y0, x0] if inside else 0


@_inner
def _seen(digital: Any, source: int, boundary: int, y: int, x: int) -> Any:  # noqa: ANN401
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


@_kernel
def dnews(digital: NDArray[np.int8], source: int, target: int, boundary: int) -> None:
    """Write into digital plane `target` what the neighbours hold in `source`, another plane."""
    for y in range(digital.shape[1]):
        for x in range(digital.shape[2]):
            if target != _R12 or digital[_R0, y, x]:
                digital[target, y, x] = _seen(digital, source, boundary, y, x)


@_kernel
def propagate(digital: NDArray[np.int8], boundary: int) -> None:
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
