"""Images of codes from files: gray, of 8 or 16 bits, with the digest that goes into provenance."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from focalloop.calibration.errors import CalibrationError

MAX_IN_MEMORY_BYTES = 512 << 20
"""Codes kept in memory; a larger set of images, as a full one by EMVA 1288 of a 4 megapixel camera
is, goes on in a temporary file that is mapped."""

_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")

_UNREADABLE = (
    OSError,  # truncated, or damaged
    SyntaxError,  # what Pillow raises for a broken PNG
    ValueError,
    EOFError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)


class ImageReader:
    """Reads images that have to belong together, and sums up which files they were.

    Parameters
    ----------
    bits : int or None
        Resolution of the converter that every image has to fit; None: 8, if all are of 8 bits.
    shape : tuple of int or None
        Height and width that every image has to have; None: those of the first.
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
        """Read every page of every file, one after the other: codes (R, H, W) in DN.

        Levels beyond `MAX_IN_MEMORY_BYTES` in all are mapped from a temporary file.

        Raises
        ------
        CalibrationError
            A file is missing, unreadable, in colour, or of another size or depth than the rest.
        """
        planes: list[NDArray[Any]] = [page for path in paths for page in self._pages(path)]
        self._held += sum(plane.nbytes for plane in planes)
        if self._held <= MAX_IN_MEMORY_BYTES:
            return np.stack(planes)
        # The file has no name any more and is gone when the array is.
        with tempfile.TemporaryFile() as file:
            shape = (len(planes), *planes[0].shape)
            mapped = np.memmap(file, planes[0].dtype, "w+", shape=shape)
        return np.stack(planes, out=mapped)

    def summary(self) -> dict[str, Any]:
        """Count and digest of the files read; the digest is that of what ``sha256sum`` prints."""
        return {"count": self._files, "sha256": self._listing.hexdigest()}

    def _pages(self, path: Path) -> Iterator[NDArray[np.uint8] | NDArray[np.uint16]]:
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: no file can have this name
            reason = getattr(error, "strerror", None) or "no such name"
            raise CalibrationError(
                f"the image {path} cannot be read ({reason}): put it there, or take it off the list"
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        self._listing.update(f"{digest}  {path.name}\n".encode())
        self._files += 1
        try:
            with Image.open(io.BytesIO(data)) as image:
                for page in ImageSequence.Iterator(image):
                    yield self._codes(path, page)
        except CalibrationError:
            raise
        except _UNREADABLE as error:
            unknown = isinstance(error, UnidentifiedImageError)
            reason = "unknown format" if unknown else " ".join(str(error).split())
            raise CalibrationError(
                f"{path} is no readable image ({reason}): write or copy it again"
            ) from None

    def _codes(self, path: Path, page: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
        pixels = np.asarray(page)
        if page.mode == "F":
            kind = "has NaN in it" if np.isnan(pixels).any() else "holds floating-point numbers"
            raise CalibrationError(
                f"{path} {kind}: calibration needs the converter's codes as they are, integers "
                "of 8 or 16 bits"
            )
        if page.mode not in ("L", *_WIDE_MODES):
            raise CalibrationError(
                f"{path} is of kind {page.mode!r}: calibration needs raw gray images of 8 or 16 "
                "bits, neither colour nor palette"
            )
        if page.mode == "L" and (self._bits or 8) > 8:
            raise CalibrationError(
                f"{path} has 8 bits a pixel where {self._bits} are declared: correct the number "
                "of bits, or write the images with 16 bits a pixel"
            )
        self._check_alike(path, pixels.shape[:2], 8 if page.mode == "L" else 16)
        if page.mode == "L":
            codes8: NDArray[np.uint8] = pixels
            return self._within(path, codes8)
        if self._bits is None:
            raise CalibrationError(
                f"{path} has 16 bits a pixel, of which the converter may fill fewer: say how many "
                "bits it has (--bits)"
            )
        if pixels.min() < 0 or pixels.max() > 65535:
            raise CalibrationError(
                f"{path} has values from {pixels.min()} to {pixels.max()}: codes of a converter "
                "are 0 to 65535"
            )
        codes16: NDArray[np.uint16] = pixels.astype(np.uint16, copy=False)
        return self._within(path, codes16)

    def _check_alike(self, path: Path, shape: tuple[int, ...], depth: int) -> None:
        if self._shape is None:
            self._shape, self._like = (shape[0], shape[1]), f"of {path.name}"
        if shape != self._shape:
            (height, width), (first_height, first_width) = shape, self._shape
            raise CalibrationError(
                f"{path} is {width}x{height} pixels and the size {self._like} is "
                f"{first_width}x{first_height}: all images of a calibration show the same pixels"
            )
        if self._depth not in (None, depth):
            raise CalibrationError(
                f"{path} has {depth} bits a pixel and the images before it have {self._depth}: "
                "all images of a calibration come from one converter"
            )
        self._depth = depth

    def _within(self, path: Path, codes: NDArray[Any]) -> NDArray[Any]:
        top = (1 << (self._bits or 8)) - 1
        if codes.max() > top:
            raise CalibrationError(
                f"{path} has the code {codes.max()} where {self._bits} bits end at {top}: correct "
                "the number of bits, or shift the codes down if they fill the high bits"
            )
        return codes
