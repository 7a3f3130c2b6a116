"""The rate map: how many values of each location are sent, and the bytes in which it travels.

A *location* is a block of pixels with C values, of which a network made the first the most useful.
A *rate table* ``(k_0, k_1, ..., C)`` lists how many of them may be sent, and the rate map F (h, w)
holds an index into it per location, its *level*. Neighbours have similar levels, so F is
arithmetic-coded with the levels to the left and above as context, by counts that both ends keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import constriction
import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.kernel_cache import kernel
from focalloop.firmware_sim.radio.errors import RadioError

EDGE_RATE_TABLE = (8, 16, 32, 48, 72, 104, 144, 192)
"""Reals per location of 16x16 pixels."""

MAX_LEVELS = 16

_STEPS = 1 << 12
"""Steps of a probability: few, so that all arithmetic on it is exact and the same everywhere."""


def counts(rate_map: NDArray[np.uint8], table: Sequence[int]) -> NDArray[np.int64]:
    """Return how many values each location sends.

    Parameters
    ----------
    rate_map : (h, w) uint8
        Level of every location.
    table : sequence of int
        Values per location at each level, rising; the last is C.

    Returns
    -------
    (h, w) int64

    Raises
    ------
    RadioError
        The table does not rise, or the map is not of its levels.
    """
    if not 1 <= len(table) <= MAX_LEVELS or list(table) != sorted(set(table)) or table[0] < 1:
        raise RadioError(
            f"a rate table is 1 to {MAX_LEVELS} rising counts of 1 and more, not {tuple(table)}"
        )
    return np.asarray(table, np.int64)[_checked(rate_map, len(table))]


def kept(rate_map: NDArray[np.uint8], table: Sequence[int]) -> NDArray[np.bool_]:
    """Return which values are sent: the first of each location, as many as `counts` says.

    Returns
    -------
    (C, h, w) bool
        ``x[kept]`` has the values in the order in which they are sent, by number of the value, then
        by row and column; ``x[kept] = values`` puts them back.
    """
    sent = counts(rate_map, table)
    return np.arange(table[-1])[:, None, None] < sent


def raw_bytes(shape: tuple[int, int], levels: int) -> int:
    """Return the most bytes of a coded map: each level in as few whole bits as possible."""
    return -(-shape[0] * shape[1] * (levels - 1).bit_length() // 8)


def encoded(rate_map: NDArray[np.uint8], levels: int) -> bytes:
    """Return a rate map (h, w) uint8 of so many levels as bytes, never more than `raw_bytes`."""
    rate_map = _checked(rate_map, levels)
    symbols = rate_map.reshape(-1).astype(np.int32)
    limit = raw_bytes(rate_map.shape, levels)
    if limit == 0:
        return b""
    model = _Model(rate_map.shape, levels)
    odds = model.learned(symbols)
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(symbols, _categorical(), odds)
    code: bytes = coder.get_compressed().astype(">u4").tobytes()
    # The coder ends on whole words; the decoder reads zeros after the end, so most can go.
    for size in range(max(len(code) - 8, 1), min(len(code) + 1, limit)):
        with suppress(AssertionError):  # constriction: no symbol has this code
            if np.array_equal(_decoder(code[:size]).decode(_categorical(), odds), symbols):
                return code[:size]
    # As long as this is only the raw form, which the decoder knows by its length.
    width = (levels - 1).bit_length()
    bits = (symbols[:, None] >> np.arange(width)[::-1]) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def decoded(data: bytes, shape: tuple[int, int], levels: int) -> NDArray[np.uint8]:
    """Return the rate map (h, w) uint8 that `encoded` made into `data`.

    Raises
    ------
    RadioError
        There are no such bytes. Damaged bytes may also give another map of valid levels, so they
        travel with a checksum.
    """
    limit = raw_bytes(shape, levels)
    if len(data) > limit or (not data and limit):
        raise RadioError(
            f"a rate map of {shape[0]}x{shape[1]} locations has at most {limit} bytes and not "
            f"none, not {len(data)}"
        )
    symbols = np.zeros(shape[0] * shape[1], np.int64)
    if len(data) == limit:
        width = (levels - 1).bit_length()
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=symbols.size * width)
        symbols = bits.reshape(symbols.size, width) @ (1 << np.arange(width)[::-1])
        if symbols.max(initial=0) >= levels:
            raise RadioError(f"a coded rate map holds a level above {levels - 1}: it is damaged")
    else:
        model, decoder = _Model(shape, levels), _decoder(data)
        try:
            for place in range(symbols.size):
                odds = model.odds(place)
                symbols[place] = decoder.decode(_categorical(odds))
                model.learn(place, int(symbols[place]))
        except AssertionError:  # constriction: no symbol has this code
            raise RadioError("a coded rate map is damaged") from None
    return symbols.astype(np.uint8).reshape(shape)


class _Model:
    """Adaptive counts of the levels in three contexts: the left level, the upper, and their sum."""

    def __init__(self, shape: tuple[int, int], levels: int) -> None:
        self._width = shape[1]
        self._symbols = np.zeros(shape[0] * shape[1], np.int64)
        level = np.arange(levels)
        # Every context begins with a few counts around its own level, in tenths.
        left = 30 // (1 + (level[:, None] - level) ** 2)
        both = 80 // (4 + (np.arange(2 * levels - 1)[:, None] - 2 * level) ** 2)
        self._counts = left, left.copy(), both

    def odds(self, place: int) -> NDArray[np.float64]:
        """Return the probability of each level, (levels,), in whole steps of 2^-12."""
        return _odds(place, self._symbols, self._width, *self._counts)

    def learn(self, place: int, level: int) -> None:
        """Count the level that came at this place."""
        _learn(place, level, self._symbols, self._width, *self._counts)

    def learned(self, levels: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the odds at all places (places, levels), each level counted after its own."""
        return _learned(levels, self._symbols, self._width, *self._counts)


@kernel
def _context(symbols: NDArray[np.int64], place: int, width: int, levels: int) -> tuple[int, int]:
    """Return the levels to the left and above; at an edge, the other one is both."""
    if place == 0:
        return levels // 2, levels // 2
    if place % width == 0:
        return symbols[place - width], symbols[place - width]
    if place < width:
        return symbols[place - 1], symbols[place - 1]
    return symbols[place - 1], symbols[place - width]


@kernel
def _odds(
    place: int,
    symbols: NDArray[np.int64],
    width: int,
    by_left: NDArray[np.int64],
    by_upper: NDArray[np.int64],
    by_both: NDArray[np.int64],
) -> NDArray[np.float64]:
    left, upper = _context(symbols, place, width, len(by_left))
    counts = 1 + by_left[left] + by_upper[upper] + 2 * by_both[left + upper]
    total = counts.sum()
    steps = np.empty(counts.size, np.int64)
    for level in range(counts.size):
        steps[level] = 1 + counts[level] * (_STEPS - counts.size) // total
    steps[np.argmax(steps)] += _STEPS - steps.sum()
    return steps / _STEPS


@kernel
def _learn(
    place: int,
    level: int,
    symbols: NDArray[np.int64],
    width: int,
    by_left: NDArray[np.int64],
    by_upper: NDArray[np.int64],
    by_both: NDArray[np.int64],
) -> None:
    left, upper = _context(symbols, place, width, len(by_left))
    symbols[place] = level
    by_left[left, level] += 10
    by_upper[upper, level] += 10
    by_both[left + upper, level] += 10
    by_both[max(left + upper - 1, 0), level] += 5
    by_both[min(left + upper + 1, len(by_both) - 1), level] += 5


@kernel
def _learned(
    levels: NDArray[np.int32],
    symbols: NDArray[np.int64],
    width: int,
    by_left: NDArray[np.int64],
    by_upper: NDArray[np.int64],
    by_both: NDArray[np.int64],
) -> NDArray[np.float64]:
    found = np.empty((levels.size, len(by_left)))
    for place in range(levels.size):
        found[place] = _odds(place, symbols, width, by_left, by_upper, by_both)
        _learn(place, levels[place], symbols, width, by_left, by_upper, by_both)
    return found


def _categorical(odds: NDArray[np.float64] | None = None) -> constriction.stream.model.Categorical:
    """Return a model of given probabilities, or of those that come with the symbols."""
    if odds is None:
        return constriction.stream.model.Categorical(perfect=False)
    return constriction.stream.model.Categorical(odds, perfect=False)


def _decoder(code: bytes) -> constriction.stream.queue.RangeDecoder:
    words = np.frombuffer(code + bytes(-len(code) % 4), ">u4")
    return constriction.stream.queue.RangeDecoder(words.astype(np.uint32))


def _checked(rate_map: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    rate_map = np.asarray(rate_map)
    if rate_map.ndim != 2 or rate_map.size == 0 or rate_map.dtype != np.uint8:
        raise RadioError(
            f"a rate map is (h, w) uint8 of one location or more, "
            f"not {rate_map.dtype} of shape {rate_map.shape}"
        )
    if not 1 <= levels <= MAX_LEVELS:
        raise RadioError(f"a rate map has 1 to {MAX_LEVELS} levels, not {levels}")
    if rate_map.max() >= levels:
        raise RadioError(f"a rate map of {levels} levels cannot hold level {rate_map.max()}")
    return rate_map
