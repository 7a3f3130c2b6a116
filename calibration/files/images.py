"""Reading images of ADC codes: gray, 8 or 16 bits, with a digest for the provenance."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from focalloop.calibration.errors import CalibrationError
from focalloop.firmware_sim.pictures import PictureError, decoding
from focalloop.firmware_sim.scenes.portable_maps import is_portable_map, read_portable_map

Progress = Callable[[int, int], None]
"""Takes how much is read, and how much there is in total."""

MAX_IN_MEMORY_BYTES = 512 << 20
"""Codes kept in memory. What a larger data set holds beyond that, such as a full EMVA 1288 set of a
4-megapixel camera, is mapped from a temporary file."""

_BYTES_PER_PIXEL = {"I": 4, "F": 4, "RGBA": 4, "CMYK": 4, "RGB": 4, "I;16": 2, "I;16B": 2}
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")

MAX_DECODED_BYTES = 512 << 20
MAX_EXPANSION = 30
"""What one file may decode to: `MAX_DECODED_BYTES`, or this many times its own size if that is
more. Images of a sensor contain noise and do not compress to less."""


class ImageReader:
    """Reads images that must share size and depth, and records which files they came from.

    Parameters
    ----------
    bits : int or None
        Resolution of the ADC, which every image must fit; None accepts 8-bit images only.
    shape : tuple of int or None
        Height and width of every image; None: those of the first.
    """

    def __init__(self, bits: int | None, shape: tuple[int, int] | None = None) -> None:
        self._bits = bits
        self._shape = shape
        self._like = "declared"
        self._depth: int | None = None
        self._listing = hashlib.sha256()
        self._files = 0
        self._held = 0

    def read(self, paths: Sequence[Path]) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Read every page of every file.

        Parameters
        ----------
        paths : sequence of Path
            Image files, in the order of the reads.

        Returns
        -------
        ndarray of uint8 or uint16, shape (R, H, W)
            Codes, DN; mapped from a temporary file once this reader has read more than
            `MAX_IN_MEMORY_BYTES`.

        Raises
        ------
        CalibrationError
            If a file is missing, unreadable, in colour, or differs in size or depth.
        """
        planes: list[NDArray[Any]] = [page for path in paths for page in self._pages(path)]
        self._held += sum(plane.nbytes for plane in planes)
        if self._held <= MAX_IN_MEMORY_BYTES:
            return np.stack(planes)
        # The file has no name any more; it is freed together with the array.
        with tempfile.TemporaryFile() as file:
            shape = (len(planes), *planes[0].shape)
            mapped = np.memmap(file, planes[0].dtype, "w+", shape=shape)
        return np.stack(planes, out=mapped)

    def summary(self) -> dict[str, Any]:
        """Return count and digest of the files read: SHA-256 of what ``sha256sum`` prints."""
        return {"count": self._files, "sha256": self._listing.hexdigest()}

    def _pages(self, path: Path) -> Iterator[NDArray[np.uint8] | NDArray[np.uint16]]:
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: not a possible file name
            reason = getattr(error, "strerror", None) or "invalid name"
            raise CalibrationError(
                f"the image {path} cannot be read ({reason}): restore it, or take it off the list"
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        self._listing.update(f"{digest}  {path.name}\n".encode())
        self._files += 1
        room = max(MAX_DECODED_BYTES, MAX_EXPANSION * len(data))
        try:
            with decoding(), _image_of(data) as image:
                for page in ImageSequence.Iterator(image):
                    room -= _BYTES_PER_PIXEL.get(page.mode, 1) * page.width * page.height
                    if room < 0:
                        raise PictureError("it decodes to far more than images of a sensor do")
                    yield self._codes(path, page)
        except PictureError as error:
            raise CalibrationError(
                f"{path} is not a readable image ({error}): write or copy it again"
            ) from None

    def _codes(self, path: Path, page: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
        pixels = np.asarray(page)
        if page.mode == "F":
            kind = "contains NaN" if np.isnan(pixels).any() else "holds floating-point numbers"
            raise CalibrationError(
                f"{path} {kind}: calibration needs the ADC's own codes, integers of 8 or 16 bits"
            )
        if page.mode not in ("L", *_WIDE_MODES):
            raise CalibrationError(
                f"{path} has the mode {page.mode!r}: calibration needs raw gray images of 8 or 16 "
                "bits, neither colour nor palette"
            )
        if page.mode == "L" and (self._bits or 8) > 8:
            raise CalibrationError(
                f"{path} has 8 bits per pixel where {self._bits} are declared: correct the number "
                "of bits, or write the images with 16 bits per pixel"
            )
        self._check_alike(path, pixels.shape[:2], 8 if page.mode == "L" else 16)
        if page.mode == "L":
            codes8: NDArray[np.uint8] = pixels
            return self._within(path, codes8)
        if self._bits is None:
            raise CalibrationError(
                f"{path} has 16 bits per pixel, of which the ADC may use fewer: give the "
                "resolution of the ADC (--bits)"
            )
        if pixels.min() < 0 or pixels.max() > 65535:
            raise CalibrationError(
                f"{path} has values from {pixels.min()} to {pixels.max()}: ADC codes are 0 to 65535"
            )
        codes16: NDArray[np.uint16] = pixels.astype(np.uint16, copy=False)
        return self._within(path, codes16)

    def _check_alike(self, path: Path, shape: tuple[int, ...], depth: int) -> None:
        if self._shape is None:
            self._shape, self._like = (shape[0], shape[1]), f"of {path.name}"
        if shape != self._shape:
            (height, width), (first_height, first_width) = shape, self._shape
            raise CalibrationError(
                f"{path} has {width}x{height} pixels, but the size {self._like} is "
                f"{first_width}x{first_height}: all images of a calibration show the same pixels"
            )
        if self._depth not in (None, depth):
            raise CalibrationError(
                f"{path} has {depth} bits per pixel and the images before it have {self._depth}: "
                "all images of a calibration come from one ADC"
            )
        self._depth = depth

    def _within(self, path: Path, codes: NDArray[Any]) -> NDArray[Any]:
        top = (1 << (self._bits or 8)) - 1
        if codes.max() > top:
            raise CalibrationError(
                f"{path} has the code {codes.max()}, but {self._bits} bits end at {top}: correct "
                "the number of bits, or shift the codes down if they occupy the high bits"
            )
        return codes


def _image_of(data: bytes) -> Image.Image:
    """Open an image; a PGM with the codes that it stores, which Pillow scales up to 16 bits."""
    file = io.BytesIO(data)
    if is_portable_map(file):
        return Image.fromarray(read_portable_map(file).values)
    return Image.open(file)
