"""Latents to bytes and back: which table codes each value, decided by integers alone.

A window's latents are coded in steps. First come the side latents Z, with one table for each
channel. A network in integers (h_s of CRL Fig. 5) turns them into features. Each further step codes
some channels of Y at some places: another network predicts the mean and the scale of a Gaussian for
each value, from the features and from all of Y that is known already (the channel-wise context of
Minnen and Singh, 2020, and the checkerboard of He et al., 2021). What is coded is Y less its mean,
rounded, so that only the index of the scale's table decides decoding.

In this file, latents are integers with `FRACTION` binary digits after the point, held in float64;
*steps* in the sense of a quantiser are called units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.entropy import (
    SCALES,
    SCALES_PER_OCTAVE,
    UNIT_SCALE,
    IntegerDecoder,
    IntegerEncoder,
    SymbolTable,
    gaussian_tables,
)
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.integer_network import (
    FRACTION,
    LARGEST,
    OUTPUT_FRACTION,
    IntegerNetwork,
    shifted,
)

DEAD_ZONE = 0.05
"""By how much more than half a unit is rounded towards zero, for each bit that a zero saves
against a one: ``ln(2) / 12`` were the optimum of error plus priced bits at high rates."""

MAX_DEAD_ZONE = 0.3
"""Limit of that, units."""

MAX_STEPS = 32
MAX_CHANNELS = 1024
MAX_QUALITIES = 256

_Where = tuple[slice, NDArray[np.bool_]]
_Means = NDArray[np.float64]
_Scales = NDArray[np.int64]
_Take = Callable[[_Where, _Means, _Scales], NDArray[np.int32]]
"""Codes or decodes the values at some places, given the Gaussian of each."""

_LARGEST_UNIT = (1 << 30) - 1
"""Limit of a coded value, either way."""


@dataclass(frozen=True, eq=False)
class Step:
    """Some channels of Y at some places, and the network that predicts them.

    Attributes
    ----------
    first, last : int
        The channels ``first`` to ``last - 1``.
    parity : int
        0 or 1: where row plus column is even or odd. 2: everywhere.
    network : IntegerNetwork
        Features of Z and the channels of Y before `last`, which are zero where not yet known, to
        mean and octaves of scale of each channel.
    """

    first: int
    last: int
    parity: int
    network: IntegerNetwork

    def places(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return where values are coded, shape (height, width)."""
        if self.parity == 2:
            return np.ones((height, width), np.bool_)
        rows, columns = np.indices((height, width))
        places: NDArray[np.bool_] = (rows + columns) % 2 == self.parity
        return places


@dataclass(frozen=True, eq=False)
class LatentModel:
    """How probable latents are, in integers.

    Attributes
    ----------
    side_tables : tuple of SymbolTable
        One for each channel of Z.
    hyper : IntegerNetwork
        Z to features; one position of Z has 2x2 positions of Y, whose features lie one after the
        other in its channels as in ``pixel_shuffle``.
    steps : tuple of Step
        All of Y, in order.
    gains : ndarray of int64, shape (qualities, C)
        Units per latent of unit variance, with `FRACTION` digits after the point.
    octaves : ndarray of int64, shape (qualities, C)
        Their binary logarithms, with `OUTPUT_FRACTION` digits after the point.

    Raises
    ------
    RadioError
        If the parts do not fit together.
    """

    side_tables: tuple[SymbolTable, ...]
    hyper: IntegerNetwork
    steps: tuple[Step, ...]
    gains: NDArray[np.int64]
    octaves: NDArray[np.int64]

    def __post_init__(self) -> None:
        self._check()

    @property
    def qualities(self) -> int:
        """Number of quality settings; the highest one gives the most bits."""
        return len(self.gains)

    @property
    def channels(self) -> int:
        """Channels of Y."""
        return int(self.gains.shape[1])

    def encode(self, latent: NDArray[np.float32], side: NDArray[np.float32], quality: int) -> bytes:
        """Code the latents of a window.

        Parameters
        ----------
        latent : ndarray of float32, shape (C, h, w)
            Y, of about unit variance.
        side : ndarray of float32, shape (side channels, ceil(h/2), ceil(w/2))
            Z, in units.
        quality : int
            0 to ``qualities - 1``.
        """
        coder = IntegerEncoder()
        symbols = rounded(side)
        channel = np.repeat(np.arange(len(symbols)), symbols[0].size)
        coder.encode(symbols.reshape(-1), channel, self.side_tables)
        gains = self.gains[quality][:, None, None]
        units = np.ldexp(latent.astype(np.float64) * gains, -FRACTION)

        def take(where: _Where, means: _Means, scales: _Scales) -> NDArray[np.int32]:
            values = rounded(units[where] - np.ldexp(means, -FRACTION), dead_zones()[scales])
            coder.encode(values.reshape(-1), scales.reshape(-1), gaussian_tables())
            return values

        self._run(symbols, latent.shape[1], latent.shape[2], quality, take)
        return coder.finish()

    def decode(self, data: bytes, height: int, width: int, quality: int) -> NDArray[np.float32]:
        """Decode the latents of a window.

        Parameters
        ----------
        data : bytes
            What `encode` returned.
        height, width : int
            Of Y.
        quality : int
            As it was encoded.

        Returns
        -------
        ndarray of float32, shape (C, height, width)
            Y; the same bits on every machine.

        Raises
        ------
        EntropyError
            If the data is not what `encode` returns for latents of this size.
        """
        coder = IntegerDecoder(data)
        shape = (len(self.side_tables), -(-height // 2), -(-width // 2))
        channel = np.repeat(np.arange(shape[0]), shape[1] * shape[2])
        symbols = coder.decode(channel, self.side_tables).reshape(shape)

        def take(where: _Where, means: _Means, scales: _Scales) -> NDArray[np.int32]:
            return coder.decode(scales.reshape(-1), gaussian_tables()).reshape(scales.shape)

        latents = self._run(symbols, height, width, quality, take)
        coder.finish()
        return latents

    def _run(
        self, side: NDArray[np.int32], height: int, width: int, quality: int, take: _Take
    ) -> NDArray[np.float32]:
        """Go through the steps; return Y as the receiver has it."""
        features = _shuffled(self.hyper(np.ldexp(side.astype(np.float64), FRACTION), quality))
        features = shifted(features[:, :height, :width], OUTPUT_FRACTION - FRACTION)
        features = np.clip(features, 0, LARGEST)
        count = len(features)
        gains = self.gains[quality].astype(np.float64)[:, None]
        octaves = self.octaves[quality].astype(np.float64)[:, None]
        known = np.concatenate([features, np.zeros((self.channels, height, width))])
        units = np.zeros((self.channels, height, width))
        for step in self.steps:
            channels, places = slice(step.first, step.last), step.places(height, width)
            if not places.any():
                continue
            predicted = step.network(known[: count + step.last], quality)[:, places]
            means, wider = np.split(predicted, 2)
            means = shifted(means * gains[channels], OUTPUT_FRACTION)
            scales = shifted((octaves[channels] + wider) * SCALES_PER_OCTAVE, OUTPUT_FRACTION)
            indices = np.clip(scales + UNIT_SCALE, 0, SCALES - 1).astype(np.int64)
            values = take((channels, places), means, indices)
            received = np.ldexp(values.astype(np.float64), FRACTION) + means
            units[channels, places] = received
            known[count + step.first : count + step.last, places] = np.clip(
                np.rint(np.ldexp(received, FRACTION) / gains[channels]), -LARGEST, LARGEST
            )
        latents: NDArray[np.float32] = (units / gains[:, :, None]).astype(np.float32)
        return latents

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays, from which `from_arrays` makes the same model."""
        named = self.hyper.arrays("hyper")
        for index, step in enumerate(self.steps):
            named |= step.network.arrays(f"step.{index}")
            named[f"step.{index}.channels"] = np.array([step.first, step.last], np.int64)
            named[f"step.{index}.parity"] = np.array(step.parity, np.int64)
        named["side.first"] = np.array([table.first for table in self.side_tables], np.int64)
        named["side.sizes"] = np.array([len(table.counts) for table in self.side_tables], np.int64)
        named["side.counts"] = np.concatenate([table.counts for table in self.side_tables])
        return named | {"gains": self.gains, "octaves": self.octaves}

    @classmethod
    def from_arrays(cls, named: Mapping[str, NDArray[Any]]) -> LatentModel:
        """Make a model from named arrays.

        Raises
        ------
        RadioError
            If they do not make one.
        """
        if other := [name for name, array in named.items() if array.dtype.kind != "i"]:
            raise RadioError(f"the arrays {', '.join(other)} of a model of latents are no integers")
        try:
            steps: list[Step] = []
            while f"step.{len(steps)}.channels" in named and len(steps) <= MAX_STEPS:
                name = f"step.{len(steps)}"
                first, last = named[f"{name}.channels"].tolist()
                network = IntegerNetwork.from_arrays(named, name)
                steps.append(Step(first, last, int(named[f"{name}.parity"]), network))
            ends = np.cumsum(named["side.sizes"])
            tables = tuple(
                SymbolTable(int(first), counts.astype(np.int64))
                for first, counts in zip(
                    named["side.first"], np.split(named["side.counts"], ends[:-1]), strict=True
                )
            )
            hyper = IntegerNetwork.from_arrays(named, "hyper")
            return cls(tables, hyper, tuple(steps), named["gains"], named["octaves"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            if isinstance(error, RadioError):
                raise
            raise RadioError(f"these arrays do not make a model of latents: {error}") from None

    def _check(self) -> None:
        gains, octaves = self.gains, self.octaves
        if not (
            gains.shape == octaves.shape
            and gains.ndim == 2
            and gains.dtype == octaves.dtype == np.int64
            and 1 <= len(gains) <= MAX_QUALITIES
            and 1 <= gains.shape[1] <= MAX_CHANNELS
            and gains.min() >= 1
            and gains.max() < 1 << 24
            and np.abs(octaves).max() < 1 << 24
        ):
            raise RadioError(f"gains of shape {gains.shape} do not make a model of latents")
        if self.hyper.inputs != len(self.side_tables) or self.hyper.outputs % 4:
            raise RadioError("the side latents do not fit the network that takes them")
        features = self.hyper.outputs // 4
        coded = np.zeros((2, self.channels), np.int64)
        for step in self.steps:
            channels = slice(step.first, step.last)
            if not (
                0 <= step.first < step.last <= self.channels
                and step.parity in (0, 1, 2)
                and step.network.inputs == features + step.last
                and step.network.outputs == 2 * (step.last - step.first)
            ):
                raise RadioError(f"the step of channels {step.first} to {step.last} does not fit")
            coded[[step.parity] if step.parity < 2 else [0, 1], channels] += 1
        if not (coded == 1).all() or len(self.steps) > MAX_STEPS:
            raise RadioError("the steps do not code every latent once")


def rounded(
    values: NDArray[Any], dead_zone: NDArray[np.float64] | float = 0.0
) -> NDArray[np.int32]:
    """Quantise: round to the nearest integer, or towards zero by a dead zone more.

    Raises
    ------
    RadioError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise RadioError("a latent is not finite: check the reads for values that are not numbers")
    sizes = np.floor(np.abs(np.clip(values, -_LARGEST_UNIT, _LARGEST_UNIT)) + 0.5 - dead_zone)
    symbols: NDArray[np.int32] = np.copysign(sizes, values).astype(np.int32)
    return symbols


@lru_cache(maxsize=1)
def dead_zones() -> NDArray[np.float64]:
    """Return for each Gaussian table by how much more than half a unit is rounded towards zero.

    A smaller value costs fewer bits. Only the encoder needs to know.
    """
    saved = [
        np.log2(table.counts[-table.first] / table.counts[1 - table.first])
        for table in gaussian_tables()
    ]
    return np.clip(DEAD_ZONE * np.array(saved), 0, MAX_DEAD_ZONE)


def _shuffled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread the channels (4 C, h, w) over 2x2 positions: (C, 2h, 2w)."""
    channels, height, width = values.shape
    parts = values.reshape(channels // 4, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
    return parts.reshape(channels // 4, 2 * height, 2 * width)
