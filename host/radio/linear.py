"""A linear analog link, after SoftCast (Jakubczak and Katabi 2011), for reads instead of pixels.

Blocks of 16x16 pixels of reads are decorrelated by their Karhunen-Loeve transform, each coefficient
is scaled by the fourth root of its variance, which divides the power at the least total error, and
the largest are sent as they are, two to a complex symbol. The receiver estimates them by linear
least squares (Wiener), and those that were not sent by their mean. Transform and variances come
from training windows and are known at both ends, so only the power of the window is sent beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.protection import protection
from focalloop.firmware_sim.radio.transmission import SymbolCount, Transmission
from focalloop.host.radio.methods import Delivery, Sensing, SymbolBudgetError, default_symbols
from focalloop.host.radio.tiles import is_tiled, whole_locations
from focalloop.host.reconstruction.reconstruct import Float32
from focalloop.models import zoo

BASIS = zoo.FOLDER / "linear-2.5of16.npz"
"""Made by ``python -m scripts.linear_basis`` for the map of `methods.SENSING_BUNDLE`."""

MAX_BASIS_BYTES = 64 << 20
"""Largest array of a basis that is read."""

_MODEL = b"line"
"""In place of the hash of networks."""


class LinearMethod:
    """Both ends of the air.

    Parameters
    ----------
    sensing : Sensing
        Map and reconstruction.
    basis : BlockBasis
        The transform, for the tile of that map.
    max_papr_db : float, optional
        How the payload is clipped; see `Transmission`.

    Raises
    ------
    RadioError
        The map is not a repetition of the tile.
    """

    name = "linear"

    def __init__(
        self, sensing: Sensing, basis: BlockBasis, *, max_papr_db: float | None = None
    ) -> None:
        ratio_map = sensing.ratio_map
        if not is_tiled(ratio_map, basis.tile):
            raise RadioError(
                f"the linear link is for reads under the tile {basis.tile.tolist()}, and the ratio "
                f"map is another ({ratio_map.summary}): use the bundle that it was made for"
            )
        self.sensing, self.basis, self._max_papr_db = sensing, basis, max_papr_db
        self._hash = ratio_map.hash()[:4]
        self._gain = (basis.variance**-0.25)[:, None, None]

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """Send one window; as `Method.send`."""
        sent, count = self.transmit(reads, channel, symbols)
        height, width = reads.shape[1:]
        blocks = self._blocks(height, width)
        kept = 2 * count.payload // (blocks[0] * blocks[1])
        arrived = self._air(channel, kept).decode_window(channel.send(sent, rng))
        if arrived is None:
            return Delivery(None, None, count, None, 1)
        values, noise = (
            each.reshape(kept, *blocks) for each in (arrived.values, arrived.noise_variance)
        )
        # Linear least squares: what arrived, shrunk by its share of noise.
        gain, variance = self._gain[:kept], self.basis.variance[:kept, None, None]
        coefficients = np.zeros((len(self._gain), *blocks), np.float32)
        coefficients[:kept] = values * variance * gain / (variance * gain**2 + noise)
        received = self.basis.reads(coefficients)[:, :height, :width]
        return Delivery(received, None, count, None, 0)

    def transmit(
        self, reads: Float32, channel: Channel, symbols: int | None = None
    ) -> tuple[NDArray[np.complex64], SymbolCount]:
        """Return the symbols of one window, of mean power 1, and what they are.

        Raises
        ------
        SymbolBudgetError
            They do not suffice for a coefficient of each block, or are more than for all.
        """
        height, width = reads.shape[1:]
        blocks = self._blocks(height, width)
        header = protection(channel).symbols(HEADER_BYTES)
        least, most = (header + -(-n * blocks[0] * blocks[1] // 2) for n in (1, len(self._gain)))
        if symbols is None:
            wanted = min(max(default_symbols(height, width), least), most)
        elif least <= symbols <= most:
            wanted = symbols
        else:
            raise SymbolBudgetError(self.name, symbols, least, most)
        kept = 2 * (wanted - header) // (blocks[0] * blocks[1])
        whole = whole_locations(reads, len(self.basis.tile), self.basis.block)
        values = self.basis.coefficients(whole)[:kept] * self._gain[:kept]
        # The number of coefficients follows from that of symbols, which both ends know.
        return self._air(channel, kept).encode_window(values.ravel(), np.zeros(blocks, np.uint8))

    def _blocks(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.basis.block), -(-width // self.basis.block)

    def _air(self, channel: Channel, kept: int) -> Transmission:
        limit = self._max_papr_db
        return Transmission(channel, (kept,), _MODEL, self._hash, max_papr_db=limit)


def linear(
    sensing: Sensing, model: str | Path | None = None, *, max_papr_db: float | None = None
) -> LinearMethod:
    """Return the method with the shipped basis, or with that of another file.

    Raises
    ------
    RadioError
        The file is not a basis, or one for another map.
    """
    basis = BlockBasis.load(BASIS if model is None else Path(model))
    return LinearMethod(sensing, basis, max_papr_db=max_papr_db)


@dataclass(frozen=True, eq=False)
class BlockBasis:
    """The transform of blocks of reads under one tile.

    Reads are in units of brightness, and one of a short exposure, of which there are many, weighs
    less: by ``level ** -0.5``, so that errors are those of the video.

    Attributes
    ----------
    tile : ndarray of uint8, shape (s, s)
        Levels of the pixels of a *cell*.
    mean : ndarray of float32, shape (C,)
        Mean of each read of a cell, weighted: plane by plane, in each row by row.
    basis : ndarray of float32, shape (K, C, n, n)
        Orthonormal, over blocks of n x n cells; by falling variance.
    variance : ndarray of float32, shape (K,)
        Of each coefficient, above 0.

    Raises
    ------
    RadioError
        A shape or value is another; the text continues the name of what holds it.
    """

    tile: NDArray[np.uint8]
    mean: Float32
    basis: Float32
    variance: Float32

    def __post_init__(self) -> None:
        tile, arrays = self.tile, (self.mean, self.basis, self.variance)
        square = tile.ndim == 2 and tile.shape[0] == tile.shape[1]
        if not square or tile.dtype != np.uint8 or not 0 < tile.max(initial=0) <= 8:
            raise RadioError(f"has no square of levels as tile, but {tile.dtype} {tile.shape}")
        taken, kept, side = int(tile.sum()), self.variance.size, self.basis.shape[-1:]
        shapes = [array.shape for array in arrays]
        if not self.basis.size or shapes != [(taken,), (kept, taken, *side, *side), (kept,)]:
            raise RadioError(f"has mean, basis and variance of shapes {shapes}, for {taken} reads")
        if not all(np.isfinite(array).all() for array in arrays) or self.variance.min() <= 0:
            raise RadioError("holds values that are not finite, or variances that are not above 0")

    @classmethod
    def load(cls, path: Path = BASIS) -> BlockBasis:
        """Read the shipped basis, or another one.

        Raises
        ------
        RadioError
            The file is missing or damaged.
        """
        try:
            with opened(path) as stored:
                tile, *others = (
                    stored.array(f"{key}.npy", MAX_BASIS_BYTES)
                    for key in ("tile", "mean", "basis", "variance")
                )
            if not {array.dtype.kind for array in others} <= set("fiu"):
                raise RadioError("holds what is no number")
            return cls(tile, *(values.astype(np.float32) for values in others))
        except (ArchiveError, RadioError) as error:
            raise RadioError(
                f"{path} is not the basis of a linear link, as it {error}: make one with "
                "`python -m scripts.linear_basis`"
            ) from None

    @property
    def block(self) -> int:
        """Side of a block, pixels."""
        return len(self.tile) * len(self.basis[0, 0])

    def coefficients(self, reads: Float32) -> Float32:
        """Transform ``reads (8, H, W)``, sides multiples of `block`, to (K, H/block, W/block)."""
        cells = self._cells(reads) * self._weight - self.mean[:, None, None]
        blocks = cells.reshape(len(cells), *_halves(cells.shape[1:], self.basis.shape[-1]))
        found: Float32 = np.einsum("kcij,chiwj->khw", self.basis, blocks, optimize=True)
        return found

    def reads(self, coefficients: Float32) -> Float32:
        """Undo `coefficients`."""
        n = self.basis.shape[-1]
        blocks = np.einsum("kcij,khw->chiwj", self.basis, coefficients, optimize=True)
        height, width = (n * count for count in coefficients.shape[1:])
        cells = blocks.reshape(-1, height, width) + self.mean[:, None, None]
        return self._planes(cells / self._weight)

    @cached_property
    def _taken(self) -> NDArray[np.intp]:
        """Number of each read of a cell among plane, row and column."""
        return np.flatnonzero(np.arange(8)[:, None, None] < self.tile)

    @cached_property
    def _weight(self) -> Float32:
        """From signal units to weighted brightness: level times ``level ** -0.5``."""
        levels = np.broadcast_to(self.tile, (8, *self.tile.shape)).reshape(-1)[self._taken]
        return np.sqrt(levels.astype(np.float32))[:, None, None]

    def _cells(self, reads: Float32) -> Float32:
        side = len(self.tile)
        split = reads.reshape(8, *_halves(reads.shape[1:], side))
        cells: Float32 = split.transpose(0, 2, 4, 1, 3).reshape(
            8 * side**2, reads.shape[1] // side, reads.shape[2] // side
        )[self._taken]
        return cells

    def _planes(self, cells: Float32) -> Float32:
        side, (height, width) = len(self.tile), cells.shape[1:]
        every = np.zeros((8 * side**2, height, width), np.float32)
        every[self._taken] = cells
        split = every.reshape(8, side, side, height, width).transpose(0, 3, 1, 4, 2)
        return split.reshape(8, side * height, side * width)


def _halves(shape: tuple[int, ...], side: int) -> tuple[int, int, int, int]:
    """Split rows and columns into groups of `side`."""
    height, width = shape
    return height // side, side, width // side, side
