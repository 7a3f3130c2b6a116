"""The array in plain NumPy, one instruction at a time; the compiled kernels must equal it.

It supports all three modes. The machine uses it in `Mode.IDEAL` and `Mode.NOISY`; in
`Mode.INTEGER` it is the reference of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.emulator import kernels
from focalloop.firmware_sim.emulator.random_keys import Purpose, stream_keys
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scamp5.instructions import (
    DNEWS_SELECT,
    NEIGHBOUR_DIRECTION,
    STEPS,
    Areg,
    Direction,
    Dreg,
    Instruction,
    Op,
    Register,
    Scamp5Error,
    blurred,
)

MIN_LSB, MAX_LSB = -128, 127
"""Range of an analog register, in LSB of the 8-bit readout."""
RESET_LEVEL = -127
"""PIX after a reset, in LSB: the lowest level whose negative fits into NEWS."""
GAIN_BITS = 20
"""Binary places of the photodiode's gain in integer mode."""

_NEWS = Areg.NEWS.value
_SCAN = preset("scamp5")


class Mode(Enum):
    """How analog values are represented."""

    IDEAL = "ideal"
    """float32, without saturation or error."""
    INTEGER = "integer"
    """Whole LSB, saturating; quotients are rounded to nearest, halves away from 0."""
    NOISY = "noisy"
    """float32, saturating, with `TransferNoise` and the readout noise of the preset ``scamp5``."""


@dataclass(frozen=True)
class TransferNoise:
    """Error that a bus instruction adds to each register it writes, and decay of storage.

    Parameters
    ----------
    offset_lsb : float
        Error common to all transfers and elements; cancels in macros that copy through NEWS.
    pattern_lsb : float
        Standard deviation of the elements' own offsets, the same in each transfer; cancels too.
    noise_lsb : float
        Standard deviation per transfer. A sample takes two transfers; together with the noise of
        the readout they have the read noise of the preset ``scamp5``.
    share_lsb : float
        Error of each register that shares a current with others (bus2, bus3).
    analog_retention_s : float
        Time constant with which analog registers leak towards 0.
    digital_retention_s : float
        Time after which a digital register that is neither written nor refreshed reads 0.
    """

    offset_lsb: float = 1.0
    pattern_lsb: float = 1.0
    noise_lsb: float = 0.4
    share_lsb: float = 2.0
    analog_retention_s: float = 2.0
    digital_retention_s: float = 1.5

    def __post_init__(self) -> None:
        for name in ("pattern_lsb", "noise_lsb", "analog_retention_s", "digital_retention_s"):
            value = getattr(self, name)
            if not value >= 0 or (value == 0 and name.endswith("_s")):
                limit = "above 0" if name.endswith("_s") else "0 or more"
                raise Scamp5Error(f"{name} of a transfer must be {limit}, not {value}")

    @property
    def scan_noise_lsb(self) -> float:
        """Read noise that the readout itself adds."""
        total = _SCAN.s_r * _SCAN.full_scale_dn
        return math.sqrt(max(total**2 - 2 * self.noise_lsb**2, 0.0))


class ReferenceArray:
    """Registers of an array of processing elements, and what each instruction does to them.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    mode : Mode
        How analog values are represented.
    noise : TransferNoise
        Errors of transfers and storage, in `Mode.NOISY`.
    seed : int
        Identifies the device and its noise, in `Mode.NOISY`.

    Attributes
    ----------
    analog : ndarray of float32 or int16, shape (9, H, W)
        Registers A to NEWS, PIX and IN, by `Areg`.
    digital : ndarray of bool, shape (15, H, W)
        By `Dreg`.
    charge : ndarray of float32 or uint16, shape (H, W)
        Light on PIX since its reset: LSB, or units of the scene in integer mode.
    """

    def __init__(
        self, shape: tuple[int, int], mode: Mode, noise: TransferNoise, seed: int = 0
    ) -> None:
        whole = mode is Mode.INTEGER
        self.analog: NDArray[Any] = np.zeros((9, *shape), np.int16 if whole else np.float32)
        self.digital = np.zeros((15, *shape), np.bool_)
        self.digital[Dreg.FLAG.value] = True
        self.charge: NDArray[Any] = np.zeros(shape, np.uint16 if whole else np.float32)
        self.analog[Areg.PIX.value] = RESET_LEVEL
        self._mode = mode
        self._noise = noise
        self._seed = seed
        self._transfers = self._scans = 0
        self._age_s = np.zeros(15)
        if mode is Mode.NOISY:
            self._pattern = self._normals(Purpose.TRANSFER_PATTERN, 0)
            self._scan_pattern = self._normals(Purpose.PIXEL, 0) * _lsb(_SCAN.pixel_offset)
            columns = self._normals(Purpose.COLUMN, 0).reshape(-1)[: shape[1]]
            self._scan_pattern += columns * _lsb(_SCAN.column_offset)

    def load(self, dreg: Dreg, plane: NDArray[np.bool_]) -> None:
        """Set a digital register to `plane` (H, W)."""
        self.digital[dreg.value] = plane
        self._age_s[dreg.value] = 0

    def execute(self, word: Instruction, light: NDArray[Any] | None, gain: float) -> None:
        """Execute one instruction.

        Parameters
        ----------
        word : Instruction
            Any instruction except SCAN.
        light : ndarray, shape (T, H, W), optional
            The scene, for EXPOSE.
        gain : float
            LSB of PIX per unit of the scene.
        """
        match word.op:
            case Op.RPIX:
                self.charge[:] = 0
                self.analog[Areg.PIX.value] = RESET_LEVEL
            case Op.BUS:
                self._bus(word)
            case Op.BLUR:
                self._blur(word)
            case Op.WHERE:
                self.digital[Dreg.FLAG.value] = self._sum(word.sources) > 0
            case Op.WHERE_DIGITAL:
                self.digital[Dreg.FLAG.value] = self._any(word.sources)
            case Op.ALL:
                self.digital[Dreg.FLAG.value] = True
            case Op.OR:
                self._write(word.targets, self._any(word.sources))
            case Op.NOR:
                self._write(word.targets, ~self._any(word.sources))
            case Op.DNEWS:
                source = self.digital[word.sources[0].value]
                self._write(word.targets, self._seen(source, bool(word.value)))
            case Op.PROP:
                self._propagate(bool(word.value))
            case Op.REFRESH:
                self._age_s[word.targets[0].value] = 0
            case Op.IN:
                self.analog[Areg.IN.value] = word.value
            case Op.SELECT:
                self.digital[Dreg.SELECT.value] = selected(word.value, self.charge.shape)
            case Op.EXPOSE:
                assert light is not None
                self._expose(light[word.value], gain)

    def scan(self, areg: Areg) -> NDArray[Any]:
        """Read an analog register of all elements: value + 128, (H, W).

        float32 and exact in ideal mode, else uint8.
        """
        value: NDArray[Any] = self.analog[areg.value] - MIN_LSB
        if self._mode is Mode.IDEAL:
            return value
        if self._mode is Mode.NOISY:
            frame = self._normals(Purpose.FRAME, self._scans)[0, 0] * _lsb(_SCAN.frame_offset)
            read = self._normals(Purpose.READ, self._scans) * self._noise.scan_noise_lsb
            value = np.rint(value + frame + read + self._scan_pattern)
            self._scans += 1
        clipped: NDArray[np.uint8] = np.clip(value, 0, 255).astype(np.uint8)
        return clipped

    def elapse(self, seconds: float) -> None:
        """Let storage decay, in noisy mode."""
        if self._mode is not Mode.NOISY:
            return
        kept = math.exp(-seconds / self._noise.analog_retention_s)
        self.analog[: Areg.PIX.value] *= np.float32(kept)
        self._age_s += seconds
        lost = self._age_s > self._noise.digital_retention_s
        lost[[Dreg.FLAG.value, Dreg.SELECT.value]] = False
        self.digital[lost] = False

    def _sum(self, sources: tuple[Register, ...]) -> NDArray[Any]:
        total: NDArray[Any] = np.zeros_like(self.analog[0])
        for source in sources:
            if source in NEIGHBOUR_DIRECTION:
                total += _neighbour(self.analog[_NEWS], NEIGHBOUR_DIRECTION[source], 0)
            else:
                total += self.analog[source.value]
        return total

    def _any(self, sources: tuple[Register, ...]) -> NDArray[np.bool_]:
        total = np.zeros(self.charge.shape, np.bool_)
        for source in sources:
            total |= self.digital[source.value]
        return total

    def _bus(self, word: Instruction) -> None:
        total = -self._sum(word.sources)
        flag = self.digital[Dreg.FLAG.value]
        for target in word.targets:
            value = self._held(total, len(word.targets))
            plane = self.analog[target.value if target not in NEIGHBOUR_DIRECTION else _NEWS]
            if target in NEIGHBOUR_DIRECTION:
                # The value comes from the element on the opposite side.
                value = _neighbour(value, _OPPOSITE[NEIGHBOUR_DIRECTION[target]], 0)
            plane[flag] = value[flag]

    def _blur(self, word: Instruction) -> None:
        total, weight = blurred(self.analog[word.sources[0].value], word.value)
        flag = self.digital[Dreg.FLAG.value]
        self.analog[word.targets[0].value][flag] = self._held(-total, weight)[flag]

    def _held(self, total: NDArray[Any], shares: int) -> NDArray[Any]:
        """Return what a register stores of a current that `shares` equal registers divide."""
        value: NDArray[Any]
        if self._mode is Mode.INTEGER:
            value = np.sign(total) * ((2 * np.abs(total) + shares) // (2 * shares))
            return value.clip(MIN_LSB, MAX_LSB)
        value = total / np.float32(shares)
        if self._mode is Mode.IDEAL:
            return value
        noise = self._noise
        value = value + np.float32(noise.offset_lsb) + self._pattern * np.float32(noise.pattern_lsb)
        value += self._normals(Purpose.TRANSFER, self._transfers) * np.float32(noise.noise_lsb)
        value += np.float32(noise.share_lsb) if shares > 1 else np.float32(0)
        self._transfers += 1
        return value.clip(MIN_LSB, MAX_LSB)

    def _write(self, targets: tuple[Register, ...], value: NDArray[np.bool_]) -> None:
        before = self.digital[Dreg.R0.value].copy()
        for target in targets:
            plane = self.digital[target.value]
            plane[:] = np.where(before, value, plane) if target is Dreg.R12 else value
            self._age_s[target.value] = 0

    def _seen(self, source: NDArray[np.bool_], boundary: bool) -> NDArray[np.bool_]:
        """Return the OR of `source` in the directions that R1 to R4 of each element select."""
        seen = np.zeros_like(source)
        for dreg, direction in DNEWS_SELECT.items():
            seen |= self.digital[dreg.value] & _neighbour(source, direction, boundary)
        return seen

    def _propagate(self, boundary: bool) -> None:
        flood, mask = self.digital[Dreg.R12.value], self.digital[Dreg.R0.value]
        while True:
            reached = mask & self._seen(flood, boundary) & ~flood
            if not reached.any():
                break
            flood |= reached
        self._age_s[Dreg.R12.value] = 0

    def _expose(self, light: NDArray[Any], gain: float) -> None:
        pix = self.analog[Areg.PIX.value]
        if self._mode is Mode.INTEGER:
            self.charge[:] = np.minimum(self.charge.astype(np.int64) + light, 65535)
            scaled, top = integer_gain(gain)
            lit = np.minimum(self.charge, top).astype(np.int64)
            pix[:] = np.minimum(
                RESET_LEVEL + ((lit * scaled + (1 << (GAIN_BITS - 1))) >> GAIN_BITS), MAX_LSB
            )
            return
        self.charge += light.astype(np.float32) * np.float32(gain)
        pix[:] = np.float32(RESET_LEVEL) + self.charge
        if self._mode is Mode.NOISY:
            np.clip(pix, MIN_LSB, MAX_LSB, out=pix)

    def _normals(self, purpose: Purpose, number: int) -> NDArray[np.float32]:
        drawn = np.empty(self.charge.size, np.float32)
        kernels.fill_normal(drawn, stream_keys(self._seed, purpose, [number]))
        return drawn.reshape(self.charge.shape)


_OPPOSITE = {
    Direction.NORTH: Direction.SOUTH,
    Direction.SOUTH: Direction.NORTH,
    Direction.EAST: Direction.WEST,
    Direction.WEST: Direction.EAST,
}


def integer_gain(gain: float) -> tuple[int, int]:
    """Return the gain with `GAIN_BITS` binary places, and the charge at which PIX saturates."""
    return round(gain * 2**GAIN_BITS), min(65535, math.ceil((MAX_LSB - MIN_LSB) / gain))


def selected(pattern: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the elements that the decoders select (H, W); see `instructions.pattern`."""
    row, column, row_mask, column_mask = pattern.to_bytes(4, "big")
    rows = (np.arange(shape[0]) | row_mask) == row | row_mask
    columns = (np.arange(shape[1])[::-1] | column_mask) == column | column_mask
    both: NDArray[np.bool_] = rows[:, None] & columns
    return both


def _neighbour(plane: NDArray[Any], direction: Direction, boundary: int) -> NDArray[Any]:
    """Return the value of each element's neighbour in `direction`."""
    down, right = STEPS[direction]
    height, width = plane.shape
    padded = np.pad(plane, 1, constant_values=boundary)
    return padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]


def _lsb(signal: float) -> np.float32:
    """Return a term of the preset ``scamp5`` in LSB of its 8-bit readout."""
    return np.float32(signal * _SCAN.full_scale_dn)
