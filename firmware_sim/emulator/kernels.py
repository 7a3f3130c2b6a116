"""The compiled inner loops of the emulator.

Pure functions over arrays, compiled by Numba on first use and cached;
`focalloop.firmware_sim.emulator.emulator` calls them. Light is integrated row by row, slot after
slot; where spans end, the sums of the pixels that are due are stored in the readout. The reads of
one row after one slot are a *run*, contiguous in the readout. The other stages of the forward model
then process the sums in readout order, with one plain loop per stage, which the compiler turns into
vector instructions.

All arithmetic on signals is float32, one rounded operation after another in the order written here
and in ``docs/concepts.md`` (Numba neither reorders nor fuses them), so a NumPy transcription gives
the same bits. All jitted code is in this one file, because Numba's cache notices changes only in
the file of a kernel itself.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.kernel_cache import kernel

i32, u32, u64 = np.int32, np.uint32, np.uint64
f32, f64 = np.float32, np.float64


class Stages(NamedTuple):
    """Scalars of the forward model; see `NoiseProfile` for the terms."""

    light_scale: np.float32
    """Signal of one unit of integrated light: 1/(255 T) for uint8 scenes, 1/T for float32."""
    joint: bool
    """Shot and read noise in one Gaussian draw: no full well, no response, no Poisson."""
    poisson: bool
    s_ss: np.float32
    s_ss_squared: np.float32
    s_r: np.float32
    s_r_squared: np.float32
    full_well: np.float32
    """Infinite if off."""
    bend: np.float32
    bend_cubic: np.float32
    max_bent: np.float32
    row_noise: np.float32
    frame_offset: np.float32
    black_level_dn: np.float32
    full_scale_dn: np.float32
    top_dn: np.float32
    """Largest code."""


class Order(NamedTuple):
    """The read plan in the form that the kernels use."""

    column: NDArray[np.uint16]
    """(count,) x of each read."""
    row: NDArray[np.uint16]
    """(count,) y of each read."""
    runs: NDArray[np.int64]
    """(T, H + 1) the reads of row y after slot t are ``runs[t, y]:runs[t, y + 1]``."""


class FixedPattern(NamedTuple):
    """Differences between pixels, (count,) float32 in plan order; empty if off."""

    gain: NDArray[np.float32]
    """Photo-response, 1 on average."""
    dark: NDArray[np.float32]
    """Dark signal of the read's span."""
    offset: NDArray[np.float32]
    """Fixed-pattern offset."""


class Keys(NamedTuple):
    """(N, 3) uint32 keys of each window's draws, by purpose (`random_keys`)."""

    read: NDArray[np.uint32]
    shot: NDArray[np.uint32]
    row: NDArray[np.uint32]
    frame: NDArray[np.uint32]


_BLOCK = 1024
"""Reads that go through the stages together: long loops whose scratch memory fits the L1 cache."""

Key = tuple[np.uint32, np.uint32, np.uint32]

_inner = numba.njit(nogil=True)


@_inner
def _mix32(x: np.uint32) -> np.uint32:
    """Scramble 32 bits, one to one: xorshift-multiply with Wellons' low-bias constants."""
    x = u32(u32(x ^ (x >> u32(16))) * u32(0x21F0AAAD))
    x = u32(u32(x ^ (x >> u32(15))) * u32(0x735A2D97))
    return u32(x ^ (x >> u32(15)))


@_inner
def _words(counter: np.uint32, key: Key) -> tuple[np.uint32, np.uint32]:
    """Two random 32-bit words for `counter` under `key`."""
    first = _mix32(u32(_mix32(u32(counter + key[0])) + key[1]))
    return first, _mix32(u32(first + key[2]))


# ln(1 + x) for x in [0, 1], to 1.5e-6; sin(pi/2 x) for x in [-1, 1], to 6e-7: minimax fits.
_LN = (
    f32(0.99990165),
    f32(-0.4978751),
    f32(0.31764913),
    f32(-0.19376107),
    f32(0.08557005),
    f32(-0.018338908),
)
_SIN = (f32(1.570791), f32(-0.64589286), f32(0.07943434), f32(-0.004333095))
_LN_2 = f32(0.6931472)


@_inner
def _normal(counter: np.uint32, key: Key) -> Any:  # noqa: ANN401
    """Draw a standard normal by Box and Muller (1958), out to 6.6 standard deviations.

    Logarithm and sine are polynomials, so that the calling loops have no call, table or branch.
    """
    first, second = _words(counter, key)
    # u = (first // 2 + 1/2) / 2**31, as m * 2**exponent: the radius is sqrt(-2 ln u).
    u = f32(f32(i32(first >> u32(1))) + f32(0.5))
    bits = u.view(i32)
    exponent = f32(i32(bits >> i32(23)) - i32(127 + 31))
    x = f32(i32((bits & i32(0x007FFFFF)) | i32(0x3F800000)).view(f32) - f32(1.0))
    ln = x * (_LN[0] + x * (_LN[1] + x * (_LN[2] + x * (_LN[3] + x * (_LN[4] + x * _LN[5])))))
    squared = f32(-2.0) * (exponent * _LN_2 + ln)
    radius = np.sqrt(squared if squared > f32(0.0) else f32(0.0))
    # The sine of an angle in [-pi/2, pi/2) is distributed as that of one on the whole circle.
    y = f32(i32(second)) * f32(2.0**-31)
    z = y * y
    return radius * (y * (_SIN[0] + z * (_SIN[1] + z * (_SIN[2] + z * _SIN[3]))))


@_inner
def _poisson(mean: float, counter: np.uint32, key: Key) -> Any:  # noqa: ANN401
    """Draw from a Poisson distribution: by inversion below a mean of 10, else by PTRS.

    PTRS is Hoermann's transformed rejection (1993); its attempt j takes two words with the key
    ``(k0, k1 + j*0x9E3779B9, k2)``. All arithmetic is float64.
    """
    first, second = _words(counter, key)
    if mean < 10.0:
        u = (f64(first) + 0.5) * 2.0**-32
        count = 0.0
        probability = math.exp(-mean)
        cumulated = probability
        while u > cumulated:
            count += 1.0
            probability *= mean / count
            cumulated += probability
        return count
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
    accept_below = 0.9277 - 3.6224 / (b - 2.0)
    attempt = u32(0)
    while True:
        u = (f64(first) + 0.5) * 2.0**-32 - 0.5
        v = (f64(second) + 0.5) * 2.0**-32
        edge = 0.5 - abs(u)
        count = np.floor((2.0 * a / edge + b) * u + mean + 0.43)
        if edge >= 0.07 and v <= accept_below:
            return count
        if count >= 0.0 and (edge >= 0.013 or v <= edge):
            hat = math.log(v) + log_inverse_alpha - math.log(a / (edge * edge) + b)
            if hat <= count * math.log(mean) - mean - math.lgamma(count + 1.0):
                return count
        attempt = u32(attempt + u32(1))
        again = u32(key[1] + u32(attempt * u32(0x9E3779B9)))
        first, second = _words(counter, (key[0], again, key[2]))


@_inner
def _key(keys: NDArray[np.uint32], window: int) -> Key:
    return keys[window, 0], keys[window, 1], keys[window, 2]


@_inner
def _integrate(
    scene: NDArray[Any],
    aperture: NDArray[np.uint8],
    order: Order,
    rows: tuple[int, int],
    light: NDArray[Any],
    window: int,
    sums: NDArray[Any],
) -> None:
    """Integrate one window; see `integrate`. `sums` has shape (count,).

    Arrays are indexed directly, without slices or helpers, because each of those counts references
    (atomically) once per row and slot, which costs more than the work itself.
    """
    width = u64(light.size)  # unsigned indices need no check for counting from the end
    for y in range(rows[0], rows[1]):
        light[:] = 0
        for slot in range(scene.shape[1]):
            if aperture.size == 0:
                for x in range(width):
                    light[x] += scene[window, slot, y, x]
            else:
                for x in range(width):
                    light[x] += scene[window, slot, y, x] * aperture[slot, y, x]
            start, stop = u64(order.runs[slot, y]), u64(order.runs[slot, y + 1])
            if stop - start == width:  # the whole row, as after the last slot
                for x in range(width):
                    sums[start + x] = light[x]
                    light[x] = 0
            else:
                for k in range(start, stop):
                    x = order.column[k]
                    sums[k] = light[x]
                    light[x] = 0


@_inner
def _digitise(
    sums: NDArray[Any],
    first: int,
    stop: int,
    lines: NDArray[np.float32],
    order: Order,
    fixed: FixedPattern,
    stages: Stages,
    read_key: Key,
    shot_key: Key,
    signal: NDArray[np.float32],
    codes: NDArray[Any],
) -> None:
    """Turn the sums of the reads ``first:stop`` into codes, stage by stage.

    `signal` is scratch memory of at least that length; `lines` (H,) are the offsets of the rows,
    empty if off; `codes` has the shape (count,) of the whole readout. The counter of a read's draws
    is its position in the plan.
    """
    count = stop - first
    light = sums[first:stop]
    for i in range(count):
        signal[i] = f32(light[i]) * stages.light_scale
    if fixed.gain.size:
        gain = fixed.gain[first:stop]
        for i in range(count):
            signal[i] *= gain[i]
    if fixed.dark.size:
        dark = fixed.dark[first:stop]
        for i in range(count):
            signal[i] += dark[i]

    if stages.joint:
        if stages.s_ss_squared > 0 or stages.s_r_squared > 0:
            for i in range(count):
                e = signal[i]
                lit = e if e > f32(0.0) else f32(0.0)
                deviation = np.sqrt(lit * stages.s_ss_squared + stages.s_r_squared)
                signal[i] = e + deviation * _normal(u32(first + i), read_key)
    else:
        if stages.poisson:
            for i in range(count):
                e = signal[i]
                lit = e if e > f32(0.0) else f32(0.0)
                mean = f64(lit) / f64(stages.s_ss_squared)
                electrons = _poisson(mean, u32(first + i), shot_key)
                signal[i] = f32(electrons) * stages.s_ss_squared
        elif stages.s_ss > 0:
            for i in range(count):
                e = signal[i]
                lit = e if e > f32(0.0) else f32(0.0)
                signal[i] = e + np.sqrt(lit) * stages.s_ss * _normal(u32(first + i), shot_key)
        for i in range(count):
            e = signal[i]
            signal[i] = e if e < stages.full_well else stages.full_well
        if stages.bend != 0 or stages.bend_cubic != 0:
            for i in range(count):
                e = signal[i]
                lit = e if e > f32(0.0) else f32(0.0)
                lit = lit if lit < stages.max_bent else stages.max_bent
                signal[i] = e + lit * lit * (lit * stages.bend_cubic + stages.bend)
        if stages.s_r > 0:
            for i in range(count):
                signal[i] += stages.s_r * _normal(u32(first + i), read_key)

    if lines.size:
        row = order.row[first:stop]
        for i in range(count):
            signal[i] += lines[row[i]]
    if fixed.offset.size:
        offset = fixed.offset[first:stop]
        for i in range(count):
            signal[i] += offset[i]
    out = codes[first:stop]
    for i in range(count):
        dn = np.rint(stages.black_level_dn + signal[i] * stages.full_scale_dn)
        dn = dn if dn > f32(0.0) else f32(0.0)  # in this order, NaN becomes 0
        out[i] = i32(dn if dn < stages.top_dn else stages.top_dn)


@kernel
def integrate(
    scene: NDArray[Any],
    aperture: NDArray[np.uint8],
    order: Order,
    rows: tuple[int, int],
    light: NDArray[Any],
    readouts: NDArray[Any],
) -> None:
    """Read the plain sums of light over the spans (CRL Eq. 1), with nothing else.

    Parameters
    ----------
    scene : ndarray of uint8 or float32, shape (N, T, H, W)
    aperture : ndarray of uint8, shape (T, H, W) or (0, 0, 0)
        1 is open; empty means always open.
    order : Order
        The read plan.
    rows : tuple of int
        First row to process, and the row after the last.
    light : ndarray, shape (W,)
        Scratch memory with the dtype of the sums: uint16 for uint8 scenes, else float32.
    readouts : ndarray, shape (N, count)
        Receives the sums of these rows, with the dtype of `light`. A float32 sum starts from 0 and
        adds the slots of the span from first to last.
    """
    for window in range(scene.shape[0]):
        _integrate(scene, aperture, order, rows, light, window, readouts[window])


@kernel
def capture(
    scene: NDArray[Any],
    aperture: NDArray[np.uint8],
    order: Order,
    rows: tuple[int, int],
    light: NDArray[Any],
    fixed: FixedPattern,
    stages: Stages,
    keys: Keys,
    codes: NDArray[Any],
) -> None:
    """Run the whole forward model, from light to ADC codes.

    Parameters
    ----------
    scene, aperture, order, rows, light : see `integrate`
        As for `integrate`.
    fixed : FixedPattern
        Differences between pixels.
    stages : Stages
        Scalars of the model; a stage whose scalar is zero is skipped.
    keys : Keys
        Keys of the N windows.
    codes : ndarray of uint8 or uint16, shape (N, count)
        Receives the codes of these rows.
    """
    slots, height = scene.shape[1], scene.shape[2]
    sums = np.empty(order.column.size, light.dtype)
    signal = np.empty(_BLOCK, np.float32)
    has_lines = stages.row_noise > 0 or stages.frame_offset > 0
    lines = np.empty(height if has_lines else 0, np.float32)
    for window in range(scene.shape[0]):
        _integrate(scene, aperture, order, rows, light, window, sums)
        read_key, shot_key = _key(keys.read, window), _key(keys.shot, window)
        row_key, frame_key = _key(keys.row, window), _key(keys.frame, window)
        for slot in range(slots):
            if has_lines:
                frame_offset = stages.frame_offset * _normal(u32(slot), frame_key)
                for y in range(rows[0], rows[1]):
                    row_noise = stages.row_noise * _normal(u32(slot * height + y), row_key)
                    lines[y] = row_noise + frame_offset
            stop = order.runs[slot, rows[1]]
            for first in range(order.runs[slot, rows[0]], stop, _BLOCK):
                _digitise(
                    sums,
                    first,
                    min(first + _BLOCK, stop),
                    lines,
                    order,
                    fixed,
                    stages,
                    read_key,
                    shot_key,
                    signal,
                    codes[window],
                )


@kernel
def fill_normal(out: NDArray[np.float32], keys: NDArray[np.uint32]) -> None:
    """Fill `out` (count,) with standard normals of counters 0, 1, ... with the key ``keys[0]``."""
    key = _key(keys, 0)
    for i in range(out.size):
        out[i] = _normal(u32(i), key)
