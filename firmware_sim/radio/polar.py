"""The code that protects header and rate map: CRC-aided polar, any payload length, any rate.

A payload is cut into segments of at most 125 bytes. Each gets a CRC-24 and becomes one word of a
polar code (Arikan 2009) whose reliable bits follow from their polarization weight (He et al., IEEE
GLOBECOM 2017), an integer, so all machines agree. Its length is matched to the wanted one as in 5G
(3GPP TS 38.212, section 5.4.1). The coded bits of all segments are interleaved together, so that
neither a fade nor the weaker bits of a QAM symbol meet neighbours of one word. The receiver keeps a
list of paths and takes the likeliest whose CRC is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.list_decoder import CHECKSUM_BITS, checksum, paths_of

LIST_SIZES = (8, 32)
"""Paths that the decoder keeps: few at first, and more where no path's checksum is right."""

MAX_SEGMENT_BYTES = 125

MAX_WORD_BITS = 2048
"""Longest word of the polar code; longer segments are repeated."""

_MIN_WORD_BITS = 32

_CERTAIN = np.float32(1e8)
"""Ratio of a bit that is known to be 0, far above those of received ones."""


@dataclass(frozen=True)
class PolarCode:
    """The code of payloads of one size.

    Parameters
    ----------
    payload_bytes : int
        Size of a payload, 1 or more.
    coded_bits : int
        Bits to send.

    Raises
    ------
    RadioError
        There is no payload, or too few coded bits for it and its checksums.
    """

    payload_bytes: int
    coded_bits: int

    def __post_init__(self) -> None:
        if self.payload_bytes < 1:
            raise RadioError(f"a payload has a byte or more, not {self.payload_bytes}")
        if self.coded_bits < self.information_bits:
            raise RadioError(
                f"{self.payload_bytes} bytes and their checksums need {self.information_bits} "
                f"coded bits or more, not {self.coded_bits}"
            )

    @property
    def segments(self) -> int:
        """Number of words of the polar code."""
        return -(-self.payload_bytes // MAX_SEGMENT_BYTES)

    @property
    def information_bits(self) -> int:
        """Bits of the payload and of its checksums."""
        return 8 * self.payload_bytes + CHECKSUM_BITS * self.segments

    def encode(self, payload: bytes) -> NDArray[np.uint8]:
        """Return the coded bits (coded_bits,) uint8 of a payload of the right size."""
        if len(payload) != self.payload_bytes:
            raise RadioError(
                f"a code for {self.payload_bytes} bytes cannot take {len(payload)} bytes"
            )
        bits = np.unpackbits(np.frombuffer(payload, np.uint8))
        coded = [word.encode(bits[part]) for word, part, _ in self._words()]
        return np.concatenate(coded)[_interleaved(self.coded_bits)]

    def decode(self, ratios: NDArray[np.float32]) -> bytes | None:
        """Return the payload, or None if a checksum is wrong.

        Parameters
        ----------
        ratios : (coded_bits,) float32
            Log-likelihood ratios of the coded bits, finite, positive for 0.
        """
        in_order = np.empty(self.coded_bits, np.float32)
        in_order[_interleaved(self.coded_bits)] = ratios
        bits = np.empty(8 * self.payload_bytes, np.uint8)
        for word, part, coded in self._words():
            found = word.decode(in_order[coded])
            if found is None:
                return None
            bits[part] = found
        return np.packbits(bits).tobytes()

    def _words(self) -> Iterator[tuple[_Word, slice, slice]]:
        """Yield each segment's code, and its place in the payload's bits and in the coded bits."""
        count = self.segments
        payload = [8 * (self.payload_bytes * i // count) for i in range(count + 1)]
        coded = [self.coded_bits * i // count for i in range(count + 1)]
        for (a, b), (c, d) in zip(pairwise(payload), pairwise(coded), strict=True):
            yield _word(b - a + CHECKSUM_BITS, d - c), slice(a, b), slice(c, d)


@dataclass(frozen=True, eq=False)
class _Word:
    """A rate-matched polar code of one length and one number of information bits."""

    sent: NDArray[np.intp]
    """(coded bits,) the place of each in the word of N bits."""
    known: NDArray[np.bool_]
    """(N,) the places that are 0 in every word, and are never sent."""
    frozen: NDArray[np.bool_]
    """(N,) the bits before the transform that carry no information."""

    def encode(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        check = checksum(payload)
        bits = np.zeros(self.frozen.size, np.uint8)
        bits[~self.frozen] = np.append(payload, _checksum_bits(check))
        # Arikan's transform: at every scale, the first half takes the sum of both.
        half = 1
        while half < bits.size:
            pairs = bits.reshape(-1, 2, half)
            pairs[:, 0] ^= pairs[:, 1]
            half *= 2
        return bits[self.sent]

    def decode(self, ratios: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        word = np.where(self.known, _CERTAIN, np.float32(0))
        np.add.at(word, self.sent, ratios)
        for width in LIST_SIZES:
            for path in paths_of(word, self.frozen, width):
                payload: NDArray[np.uint8] = path[:-CHECKSUM_BITS]
                if np.array_equal(path[-CHECKSUM_BITS:], _checksum_bits(checksum(payload))):
                    return payload
        return None


def _checksum_bits(check: int) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(check.to_bytes(CHECKSUM_BITS // 8, "big"), np.uint8))


@lru_cache(maxsize=64)
def _word(information: int, coded: int) -> _Word:
    """Match the rate of a polar code as in TS 38.212, sections 5.3.1 and 5.4.1."""
    size = _MIN_WORD_BITS
    while size < coded and size < MAX_WORD_BITS:
        size *= 2
    # A word that is barely longer than a power of two repeats a few bits of the shorter one.
    if coded <= 9 / 8 * (size // 2) and information < 9 / 16 * coded:
        size //= 2
    order = _sub_blocks(size)
    unusable = np.zeros(size, np.bool_)
    known = np.zeros(size, np.bool_)
    if coded >= size:
        sent = order[np.arange(coded) % size]
    elif 16 * information <= 7 * coded:  # puncture: the first bits are not sent
        sent = order[size - coded :]
        unusable[order[: size - coded]] = True
        if 4 * coded >= 3 * size:
            unusable[: -(-(3 * size - 2 * coded) // 4)] = True
        else:
            unusable[: -(-(9 * size - 4 * coded) // 16)] = True
    else:  # shorten: the last bits are 0
        sent = order[:coded]
        known[order[coded:]] = True
        unusable |= known
    weight = np.where(unusable, -1, _polarization_weights(size))
    frozen = np.ones(size, np.bool_)
    frozen[np.argsort(weight)[size - information :]] = False
    return _Word(sent, known, frozen)


def _polarization_weights(size: int) -> NDArray[np.int64]:
    """Return the reliability of each bit, ``sum of b_j 2^(j/4)``, in steps of 2^-40."""
    weights = np.zeros(size, np.int64)
    for place in range(size.bit_length() - 1):
        # The fourth root of an integer, exactly rounded down.
        step = isqrt(isqrt(1 << (place + 160)))
        weights += step * ((np.arange(size) >> place) & 1)
    return weights


def _sub_blocks(size: int) -> NDArray[np.intp]:
    """Return the order in which the bits of a word are sent (TS 38.212, table 5.4.1.1-1)."""
    return np.arange(size).reshape(32, -1)[list(_SUB_BLOCKS)].reshape(-1)


_SUB_BLOCKS = (
    *(0, 1, 2, 4, 3, 5, 6, 7, 8, 16, 9, 17, 10, 18, 11, 19),
    *(12, 20, 13, 21, 14, 22, 15, 23, 24, 25, 26, 28, 27, 29, 30, 31),
)


@lru_cache(maxsize=64)
def _interleaved(count: int) -> NDArray[np.intp]:
    """Return a fixed order of `count` bits without structure, from integers alone."""
    # SplitMix64 (Steele et al., OOPSLA 2014) is a bijection, so no two keys are equal.
    key = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(key ^ (key >> np.uint64(31)))
