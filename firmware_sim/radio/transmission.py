"""One window on the air: header, rate map, and the kept values as amplitudes.

A window is three runs of complex symbols:

1. the header, protected;
2. the coded rate map, protected; left out where all locations have the same level;
3. the payload: the kept values, two per symbol, uncoded, and mixed with each other. An odd one has
   a zero beside it.

The mean power of the whole window is exactly 1. Constellations and payload have about that on their
own, then all symbols are scaled by one factor. It differs from 1, by a percent or less in all but
the shortest windows, because the bits do not use the points of a constellation evenly; the receiver
knows it once it has the bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import HEADER_BYTES, MAX_SCALE, Header
from focalloop.firmware_sim.radio.mixing import mixed, unmixed_from_noise
from focalloop.firmware_sim.radio.power import clipped
from focalloop.firmware_sim.radio.protection import Protection, protection
from focalloop.firmware_sim.radio.rate_map import counts, decoded, encoded

MIN_PAPR_DB = 3.0
"""Least limit of the peaks of a window: those of its header reach 2.6 dB."""


@dataclass(frozen=True)
class SymbolCount:
    """Complex symbols of one window, counted from what was really sent.

    Attributes
    ----------
    payload : int
        Symbols of the data, with padding.
    rate_map : int
        Symbols of the coded rate map.
    header : int
        Symbols of the header.
    """

    payload: int
    rate_map: int = 0
    header: int = 0

    @property
    def total(self) -> int:
        """All symbols of the window."""
        return self.payload + self.rate_map + self.header


@dataclass(frozen=True)
class DecodedWindow:
    """What came out of the air.

    Attributes
    ----------
    number : int
        Number of the window, 0 to 65535.
    values : (n,) float32
        The kept values, with noise.
    noise_variance : (n,) float32
        Variance of the noise of each value, in the values' units squared; 0 if all values are 0.
    rate_map : (h, w) uint8
        Level of every location.
    symbols : SymbolCount
        What was received.
    mixed : bool
        Whether the payload was mixed.
    gain : complex
        Least-squares ratio of header and rate map, equalised, to what they were when sent: 1 but
        for noise, unless the receiver scaled or turned its symbols.
    gain_deviation : float
        Root mean square of that noise.
    """

    number: int
    values: NDArray[np.float32]
    noise_variance: NDArray[np.float32]
    rate_map: NDArray[np.uint8]
    symbols: SymbolCount
    mixed: bool
    gain: complex
    gain_deviation: float


@dataclass(frozen=True)
class Transmission:
    """What both ends of the air agree on.

    Parameters
    ----------
    planned : Channel
        The channel that the protection is chosen for; the true one may be another.
    table : tuple of int
        Rate table: values per location at each level.
    model, ratio_map : bytes
        First 4 bytes of the hashes of the networks (or of the method's name) and of the ratio map.
    mixed : bool, optional
        Whether the sender mixes the payload; a receiver learns it from the header.
    max_papr_db : float, optional
        Peak-to-average power, dB, to which the sender clips its payload, not below `MIN_PAPR_DB`.
        The receiver does not know it, and takes what was cut off for more noise.
    """

    planned: Channel
    table: tuple[int, ...]
    model: bytes
    ratio_map: bytes
    mixed: bool = True
    max_papr_db: float | None = None

    def __post_init__(self) -> None:
        if self.max_papr_db is not None and not MIN_PAPR_DB <= self.max_papr_db < np.inf:
            raise RadioError(
                f"the peak-to-average power of a window is limited to {MIN_PAPR_DB:g} dB or more, "
                f"not to {self.max_papr_db:g}"
            )

    def uniform_count(self, locations: int, level: int) -> SymbolCount:
        """Return what a window takes of which all locations have the same level."""
        payload = -(-locations * self.table[level] // 2)
        return SymbolCount(payload, 0, protection(self.planned).symbols(HEADER_BYTES))

    def encode_window(
        self, values: NDArray[np.float32], rate_map: NDArray[np.uint8], number: int = 0
    ) -> tuple[NDArray[np.complex64], SymbolCount]:
        """Return the symbols of one window, and what they carry.

        Parameters
        ----------
        values : (n,) float32
            The kept values, as ``x[kept(rate_map, table)]``; all may be 0.
        rate_map : (h, w) uint8
            Level of every location. Without rate allocation: zeros, and a table of one count.
        number : int
            Of the window, sent modulo 65536.

        Raises
        ------
        RadioError
            The values are not as many as the map says, not finite or too large, or the map is
            larger than a header can say.
        """
        values = np.asarray(values, np.float64)
        expected = int(counts(rate_map, self.table).sum())
        if values.shape != (expected,):
            raise RadioError(
                f"the rate map keeps {expected} values, but those to send have shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise RadioError("the values of a window are finite, but these hold NaN or infinity")
        # The first real of a location is about its brightness. Their mean would take a fifth of the
        # power of a window; in the header it takes 16 bits.
        offset = float(np.clip(values[: rate_map.size].mean(), -MAX_SCALE, MAX_SCALE))
        offset = float(np.float16(offset))  # as it arrives
        padded = np.zeros(expected + expected % 2)
        padded[:expected] = values
        padded[: rate_map.size] -= offset
        scale = float(np.sqrt(np.mean(padded**2)))
        # Zeros have no power: ones are sent in their place, which the scale of 0 takes away again.
        unit = padded / scale if scale > 0 else np.ones(padded.size)

        level = int(rate_map[0, 0])
        coded = b"" if np.all(rate_map == level) else encoded(rate_map, len(self.table))
        robust = protection(self.planned)
        middle = robust.send(coded) if coded else np.zeros(0, np.complex64)
        payload = (unit / np.sqrt(2)).view(np.complex128)
        if self.mixed:
            payload = mixed(payload)
        payload, gain = self._limited(payload)
        header = Header(
            *(self.model, self.ratio_map, number % 65536, rate_map.shape, scale / gain),
            rate_map_bytes=len(coded),
            level=level,
            offset=offset,
            mixed=self.mixed,
        )
        front = robust.send(header.packed())
        count = SymbolCount(payload.size, middle.size, front.size)
        factor = _factor(np.concatenate((front, middle)), payload.size)
        return (factor * np.concatenate((front, middle, payload))).astype(np.complex64), count

    def decode_window(self, received: Received) -> DecodedWindow | None:
        """Return what a window carries, or None if it is lost: a checksum is wrong.

        Raises
        ------
        RadioError
            Nothing was received, symbols are missing or left over, or the window is of another
            version, model or ratio map.
        """
        if not received.symbols.any():
            raise RadioError("all received symbols are 0: nothing was received")
        symbols, variance = received.equalised()
        robust = protection(self.planned)
        front = robust.symbols(HEADER_BYTES)
        data = _protected(robust, symbols[:front], variance[:front], HEADER_BYTES)
        if data is None:
            return None
        header = Header.unpacked(data)
        self._check(header)
        # Before anything of its size is made: no level keeps less than the first.
        if header.shape[0] * header.shape[1] * self.table[0] > 2 * symbols.size:
            raise RadioError(
                f"{symbols.size} received symbols cannot hold a window of "
                f"{header.shape[0]}x{header.shape[1]} locations: some are missing"
            )
        end = front
        if header.rate_map_bytes:
            end += robust.symbols(header.rate_map_bytes)
            coded = _protected(
                robust, symbols[front:end], variance[front:end], header.rate_map_bytes
            )
            if coded is None:
                return None
            data_map = robust.send(coded)
            rate_map = decoded(coded, header.shape, len(self.table))
        else:
            data_map = np.zeros(0, np.complex64)
            rate_map = np.full(header.shape, header.level, np.uint8)
        values = int(counts(rate_map, self.table).sum())
        count = SymbolCount(-(-values // 2), end - front, front)
        if count.total != symbols.size:
            raise RadioError(
                f"a window of {count.total} symbols was sent, but {symbols.size} were received"
            )
        protected = np.concatenate((robust.send(data), data_map))
        factor = _factor(protected, count.payload)
        scale = header.scale / factor
        weighted = factor * protected / variance[:end]
        energy = float(np.vdot(weighted, factor * protected).real)
        payload, noise = symbols[end:], variance[end:]
        if header.mixed:
            gathered, alike = unmixed_from_noise(payload, noise, factor**2)
            payload, noise = gathered.astype(np.complex64), np.full_like(noise, alike)
        found = payload.view(np.float32)[:values] * np.float32(np.sqrt(2) * scale)
        found[: rate_map.size] += np.float32(header.offset)
        return DecodedWindow(
            number=header.number,
            values=found,
            # A real part has half the variance of its symbol, and twice the scale squared.
            noise_variance=np.repeat(noise * np.float32(scale**2), 2)[:values],
            rate_map=rate_map,
            symbols=count,
            mixed=header.mixed,
            gain=complex(np.vdot(weighted, symbols[:end])) / energy,
            gain_deviation=energy**-0.5,
        )

    def _limited(
        self, payload: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complexfloating], float]:
        """Clip a payload, and return the gain of what was not clipped."""
        if self.max_papr_db is None:
            return payload, 1.0
        return clipped(payload.astype(np.complex64), self.max_papr_db)

    def _check(self, header: Header) -> None:
        for name, there, here in (
            ("networks", header.model, self.model),
            ("ratio map", header.ratio_map, self.ratio_map),
        ):
            if there != here:
                raise RadioError(
                    f"a window arrived whose {name} have the hash {there.hex()}, but this end has "
                    f"{here.hex()}: use the same at both ends"
                )


def _protected(
    robust: Protection,
    symbols: NDArray[np.complex64],
    variance: NDArray[np.float32],
    payload_bytes: int,
) -> bytes | None:
    needed = robust.symbols(payload_bytes)
    if symbols.size < needed:
        raise RadioError(
            f"{payload_bytes} protected bytes need {needed} symbols, but {symbols.size} are left: "
            "some are missing"
        )
    return robust.receive(symbols, variance, payload_bytes)


def _factor(protected: NDArray[np.complex64], payload: int) -> float:
    """Return the factor that gives a window with a payload of mean power 1 itself mean power 1."""
    energy = float(np.sum(np.abs(protected.astype(np.complex128)) ** 2)) + payload
    return float(np.sqrt((protected.size + payload) / energy))
