"""The codec of sensor data in ONNX Runtime: reads to a compressed window, and back.

The networks that turn reads into latents and back run in floating point, at one end each. What
both ends must agree on, how latents are coded, is in integers
(`focalloop.firmware_sim.radio.latents`).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.maps.checks import size_text
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.bitstream import MAX_PIXELS, CodedWindow, Source
from focalloop.firmware_sim.radio.entropy import EntropyError
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.latents import LatentModel
from focalloop.host.radio.graph import Graph
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.tiles import whole_locations
from focalloop.host.reconstruction.reconstruct import Float32

DEFAULT_CODEC = "radio-codec-edge"
"""Shipped bundle for the map of `focalloop.host.radio.methods.SENSING_BUNDLE`."""

LOCATION = 16
"""Height and width of a location, pixels: a position of the latents."""

MAX_TABLES_BYTES = 64 << 20
"""Limit of the entropy model, unpacked."""


class Codec:
    """Both ends of the codec, for windows of any size under one tile.

    Parameters
    ----------
    bundle : RadioBundle
        Of kind ``codec``.
    threads : int, optional
        Threads within one run of a network.

    Raises
    ------
    RadioError, ReconstructError
        A file of the bundle is missing, damaged, or not what it should be.
    """

    def __init__(self, bundle: RadioBundle, *, threads: int = 2) -> None:
        self.bundle = bundle
        reads, quality = {"reads": "tensor(float)"}, {"quality": "tensor(float)"}
        self._encoder = Graph(
            bundle.network("codec_encoder.onnx"),
            "encoder of the codec",
            reads | quality,
            ("latent", "side"),
            threads=threads,
        )
        self._decoder = Graph(
            bundle.network("codec_decoder.onnx"),
            "decoder of the codec",
            {"latent": "tensor(float)"} | quality,
            ("reads",),
            threads=threads,
        )
        self._latents = _latent_model(bundle.network("codec_latents.npz"))

    @classmethod
    def load(cls, name_or_path: str | Path | None = None, *, threads: int = 2) -> Codec:
        """Load a codec: a shipped one by name, any by the path of its bundle, or `DEFAULT_CODEC`.

        Raises
        ------
        RadioError, ReconstructError
            There is no such codec, or it is damaged.
        """
        bundle = RadioBundle.load(name_or_path or DEFAULT_CODEC, kinds=("codec",))
        return cls(bundle, threads=threads)

    def source(self, ratio_map: RatioMap) -> Source:
        """Return what packets state of windows under a map that are compressed with this codec.

        Raises
        ------
        RadioError
            The codec is for another map.
        """
        self.bundle.check_fits(ratio_map)
        return Source(ratio_map.hash(), self.bundle.digest)

    @property
    def qualities(self) -> int:
        """Number of quality settings."""
        return self._latents.qualities

    def check_quality(self, quality: int) -> None:
        """Refuse a quality that the codec does not have.

        Raises
        ------
        RadioError
            It is not from 0 to ``qualities - 1``.
        """
        if not 0 <= quality < self.qualities:
            raise RadioError(
                f"there is no quality {quality}: choose one from 0 to {self.qualities - 1}"
            )

    def encode(self, reads: Float32, quality: int) -> CodedWindow:
        """Compress a window.

        Parameters
        ----------
        reads : ndarray of float32, shape (8, H, W)
            Its measurements, in signal units, zero where a pixel takes fewer.
        quality : int
            0 for the fewest bits, to ``qualities - 1``.

        Raises
        ------
        RadioError
            There is no such quality, or the window is smaller than a cell, too large, or holds
            values that are not finite.
        """
        (height, width), cell = reads.shape[1:], len(self.bundle.tile)
        self.check_quality(quality)
        if min(height, width) < cell or height * width > MAX_PIXELS:
            raise RadioError(
                f"a window of {size_text((height, width))} pixels cannot be compressed: the least "
                f"is a cell of {size_text((cell, cell))}, the most {MAX_PIXELS} pixels"
            )
        if not np.isfinite(reads).all():
            raise RadioError("a window with measurements that are not numbers cannot be compressed")
        padded = whole_locations(reads.astype(np.float32, copy=False), cell)
        rows, columns = _locations(height, width)
        latent, side = self._encoder(
            (1, self._latents.channels, rows, columns),
            (1, len(self._latents.side_tables), -(-rows // 2), -(-columns // 2)),
            reads=padded[None],
            quality=self._asked(quality),
        )
        return CodedWindow(
            height, width, quality, self._latents.encode(latent[0], side[0], quality)
        )

    def encode_within(self, reads: Float32, bits: int) -> CodedWindow:
        """Compress a window at the highest quality that takes at most `bits`.

        Raises
        ------
        RadioError
            Even the lowest quality takes more, or see `encode`.
        """
        best = self.encode(reads, 0)
        if best.bits > bits:
            raise RadioError(f"a window takes at least {best.bits:,} bits, more than {bits:,}")
        low, high = 1, self.qualities
        while low < high:
            quality = (low + high) // 2
            window = self.encode(reads, quality)
            if window.bits <= bits:
                best, low = window, quality + 1
            else:
                high = quality
        return best

    def decode(self, window: CodedWindow) -> Float32:
        """Restore the measurements of a window.

        Parameters
        ----------
        window : CodedWindow
            What `encode` returned, with this codec.

        Returns
        -------
        ndarray of float32, shape (8, H, W)
            In signal units. Latents are the same on every machine; what the decoder's network
            makes of them, up to rounding.

        Raises
        ------
        RadioError
            The window is not one of this codec.
        """
        latent = self.latents(window)
        rows, columns = latent.shape[1:]
        (reads,) = self._decoder(
            (1, 8, LOCATION * rows, LOCATION * columns),
            latent=latent[None],
            quality=self._asked(window.quality),
        )
        restored: Float32 = reads[0, :, : window.height, : window.width]
        return restored

    def latents(self, window: CodedWindow) -> Float32:
        """Decode the latents of a window, shape (C, h, w): the same on every machine.

        Raises
        ------
        RadioError
            The window is not one of this codec.
        """
        if window.quality >= self.qualities:
            raise RadioError(f"the codec has no quality {window.quality}: the window is another's")
        rows, columns = _locations(window.height, window.width)
        try:
            return self._latents.decode(window.data, rows, columns, window.quality)
        except EntropyError as error:
            raise RadioError(f"a compressed window {error}: it is damaged, or another's") from None

    def _asked(self, quality: int) -> Float32:
        return np.array([quality / (self.qualities - 1)], np.float32)


def _locations(height: int, width: int) -> tuple[int, int]:
    return math.ceil(height / LOCATION), math.ceil(width / LOCATION)


def _latent_model(archive: bytes) -> LatentModel:
    try:
        with opened(archive) as file:
            left, named = MAX_TABLES_BYTES, {}
            for name in file.names:
                named[name.removesuffix(".npy")] = file.array(name, left)
                left -= named[name.removesuffix(".npy")].nbytes
    except ArchiveError as error:
        raise RadioError(f"the file of the codec's entropy model {error}") from None
    return LatentModel.from_arrays(named)
