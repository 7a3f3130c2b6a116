"""Entropy coding of integers: tables of probabilities, and a range coder over them.

Probabilities are counts out of 2^24, found by integer arithmetic alone, so that every machine has
the same ones. `constriction` does the range coding. Its model of a distribution takes weights in
floating point; they are given such that each of its sums is an integer below 2^53 and its only
factor is 1, so that it arrives at these counts whatever the processor.

A value outside its table is coded as an escape and 32 bits, so any 32-bit integer can be coded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError

PRECISION = 24
"""The counts of a table add up to two to this power."""

SCALES = 64
"""Number of Gaussian tables."""

SCALES_PER_OCTAVE = 6
"""Standard deviations double every this many tables."""

UNIT_SCALE = 19
"""The table with standard deviation 1: table i has ``2 ** ((i - 19) / 6)``, 0.111 to 161."""

REACH, REACH_BEYOND = 6, 4
"""The largest value in a Gaussian table is this many standard deviations, and so many more."""

ESCAPE_BITS = 32
"""Bits of a value outside its table, besides those of the escape."""

MAX_TABLE_VALUES = 1 << 16
"""Largest number of values in a table."""

_FRACTION = 96
"""Binary digits after the point in the computation of the Gaussian tables."""

_INVERSE_SQRT_2PI = 31607463825455920808620519744
"""``1 / sqrt(2 pi)`` with `_FRACTION` binary digits, rounded down."""

_FAR = 8
"""Standard deviations beyond which a Gaussian holds nothing: 1e-15 is left, far below 2^-24."""

_models = constriction.stream.model
_HALF_WORD = _models.Uniform(1 << 16)


class EntropyError(RadioError):
    """Coded data that no encoder writes; the text continues the name of what holds it."""


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """How probable each integer of a range is, and what is outside.

    Attributes
    ----------
    first : int
        The smallest value in the table; the next ones follow without gaps.
    counts : ndarray of int64, shape (values + 1,)
        Probability of each value, in units of 2^-24, and in the end that of an escape. Each is at
        least 1, and they add up to 2^24.
    """

    first: int
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = self.counts
        if not (
            counts.ndim == 1
            and 2 <= len(counts) <= MAX_TABLE_VALUES + 1
            and counts.min() >= 1
            and counts.max() < 1 << PRECISION
            and counts.sum() == 1 << PRECISION
            and abs(self.first) <= MAX_TABLE_VALUES
        ):
            raise RadioError(
                f"a table of probabilities needs 2 to {MAX_TABLE_VALUES + 1} counts of at least 1 "
                f"that add up to {1 << PRECISION}, and begins at most {MAX_TABLE_VALUES} from zero"
            )

    @classmethod
    def from_cumulative(cls, first: int, cumulative: Sequence[int], total: int) -> SymbolTable:
        """Make a table from a distribution function in integers.

        Parameters
        ----------
        first : int
            The smallest value in the table.
        cumulative : sequence of int
            Probability of what is below each value of the table, and in the end below the value
            after the last, in units of ``1 / total``; it never falls, and lies in 0 to `total`.
        total : int
            One, in these units.
        """
        values = len(cumulative) - 1
        free = (1 << PRECISION) - values - 1  # what is left once every symbol has its one
        scaled = [free * below // total for below in cumulative]
        counts = np.diff(np.array(scaled, np.int64)) + 1
        return cls(first, np.append(counts, (1 << PRECISION) - counts.sum()))

    @cached_property
    def coding_model(self) -> Any:  # noqa: ANN401 - constriction has no types
        """The distribution for `constriction`, over ``0`` to ``len(counts) - 1``."""
        return _models.Categorical((self.counts - 1).astype(np.float64), perfect=False)

    def bits(self, values: NDArray[np.integer[Any]]) -> float:
        """Return how many bits an ideal coder spends on the values, escapes included."""
        symbols, escapes = self._symbols(values)
        return float((PRECISION - np.log2(self.counts[symbols])).sum()) + ESCAPE_BITS * len(escapes)

    def _symbols(
        self, values: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the symbol of each value, and the values that are escapes."""
        outside = len(self.counts) - 1
        symbols = values.astype(np.int64) - self.first
        escaped = (symbols < 0) | (symbols >= outside)
        symbols[escaped] = outside
        return symbols.astype(np.int32), values[escaped].astype(np.int32)


def _root(degree: int, value: int) -> int:
    """Return the integer part of a root of a positive integer."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low


def _between_zero_and(z: int) -> int:
    """Return the probability of a standard Gaussian between 0 and z, both with `_FRACTION` bits."""
    if z >= _FAR << _FRACTION:
        return 1 << (_FRACTION - 1)
    square = z * z >> _FRACTION
    power, total, n = z, z, 0
    while power:  # sum of (-1)^n z^(2n+1) / (2^n n! (2n+1))
        n += 1
        power = power * square // (2 * n) >> _FRACTION
        total += power // (2 * n + 1) * (-1) ** n
    return total * _INVERSE_SQRT_2PI >> _FRACTION


def _gaussian(scale: int) -> SymbolTable:
    octaves = scale - UNIT_SCALE + SCALES_PER_OCTAVE * _FRACTION
    deviation = _root(SCALES_PER_OCTAVE, 1 << octaves)
    largest = (REACH * deviation >> _FRACTION) + REACH_BEYOND
    half = 1 << (_FRACTION - 1)
    tails = [
        _between_zero_and(((2 * k + 1) << (2 * _FRACTION - 1)) // deviation)
        for k in range(largest + 1)
    ]
    cumulative = [half - tail for tail in reversed(tails)] + [half + tail for tail in tails]
    return SymbolTable.from_cumulative(-largest, cumulative, 1 << _FRACTION)


@lru_cache(maxsize=1)
def gaussian_tables() -> tuple[SymbolTable, ...]:
    """Return the tables of zero-mean Gaussians that are rounded to integers, by rising scale."""
    return tuple(_gaussian(scale) for scale in range(SCALES))


class IntegerEncoder:
    """Codes integers one batch after another; `IntegerDecoder` returns them in the same order."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(
        self,
        values: NDArray[np.integer[Any]],
        indices: NDArray[np.integer[Any]],
        tables: Sequence[SymbolTable],
    ) -> None:
        """Append a batch of values.

        Parameters
        ----------
        values : ndarray of integers, shape (n,)
            What to code, -2^31 to 2^31 - 1.
        indices : ndarray of integers, shape (n,)
            For each value the index of its table.
        tables : sequence of SymbolTable
            The tables.
        """
        for index, places in _by_table(indices, len(tables)):
            table = tables[index]
            symbols, escapes = table._symbols(values[places])
            self._coder.encode(symbols, table.coding_model)
            if len(escapes):
                halves = escapes.astype("<i4").view("<u2").astype(np.int32)
                self._coder.encode(halves, _HALF_WORD)

    def finish(self) -> bytes:
        """Return the coded batches: little-endian 32-bit words."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class IntegerDecoder:
    """Decodes what an `IntegerEncoder` has coded, given the same indices and tables.

    Parameters
    ----------
    data : bytes
        What `IntegerEncoder.finish` returned.

    Raises
    ------
    EntropyError
        If that is not a whole number of words.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise EntropyError(f"holds {len(data)} coded bytes, which is not a multiple of 4")
        self._data = data
        self._coder = constriction.stream.queue.RangeDecoder(
            np.frombuffer(data, "<u4").astype(np.uint32)
        )
        self._again = IntegerEncoder()

    def decode(
        self, indices: NDArray[np.integer[Any]], tables: Sequence[SymbolTable]
    ) -> NDArray[np.int32]:
        """Return the next batch, whose tables are `indices`, shape (n,), into `tables`.

        Raises
        ------
        EntropyError
            If the data is not what an encoder writes.
        """
        values = np.empty(len(indices), np.int32)
        for index, places in _by_table(indices, len(tables)):
            table = tables[index]
            found = self._next(table.coding_model, len(places))
            escaped = found == len(table.counts) - 1
            found += table.first
            if escaped.any():
                halves = self._next(_HALF_WORD, 2 * int(escaped.sum()))
                found[escaped] = halves.astype("<u2").view("<i4")
            values[places] = found
        self._again.encode(values, indices, tables)
        return values

    def finish(self) -> None:
        """Check that all of the data was used, and is what an encoder writes for these values.

        Raises
        ------
        EntropyError
            If it is not.
        """
        if self._again.finish() != self._data:
            raise EntropyError("holds coded data that does not end where its last value does")

    def _next(self, coding_model: object, count: int) -> NDArray[np.int32]:
        try:
            found: NDArray[np.int32] = self._coder.decode(coding_model, count)
        except (AssertionError, ValueError) as error:
            raise EntropyError(f"holds coded data that means nothing ({error})") from None
        return found


def _by_table(indices: NDArray[np.integer[Any]], tables: int) -> list[tuple[int, NDArray[np.intp]]]:
    """Return for each table that is used where it is, in order."""
    order = np.argsort(indices, kind="stable")
    bounds = np.searchsorted(indices[order], np.arange(tables + 1))
    return [
        (index, order[start:end])
        for index, (start, end) in enumerate(pairwise(bounds.tolist()))
        if end > start
    ]


def scale_of(index: int) -> float:
    """Return the standard deviation of a Gaussian table, for training and for plots."""
    return math.exp2((index - UNIT_SCALE) / SCALES_PER_OCTAVE)
