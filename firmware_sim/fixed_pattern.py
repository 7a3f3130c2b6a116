"""Fixed patterns: the offset, gain and defects of every pixel of one sensor, and their file.

What a calibration finds, what a host corrects reads by, and what an emulator can have instead of a
pattern drawn from its noise profile. ``docs/file-formats.md`` ("Fixed pattern") is the format.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import Archive, ArchiveError, opened
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.checks import MAX_PIXELS, RatioMapError, checked_shape, size_text

SCHEMA_VERSION = 1
"""Version of the file; other versions are refused."""

MAX_FILE_BYTES = 1 << 30
"""Largest file that is read: offset, gain and defects of `MAX_PIXELS`, with room to spare."""

MAX_DEFECT_SHARE = 0.05
"""Largest share of defective pixels: a sensor with more is not repaired by its neighbours."""

MAX_OFFSET = 10.0
"""Largest offset, signal units."""

MIN_GAIN, MAX_GAIN = 0.1, 10.0
"""Range of the gain of a pixel that is not defective."""

MAX_SERIAL_BYTES = 60
"""Longest serial number, as in HELLO."""

_MAX_SMALL_BYTES = 1 << 10
_REQUIRED = {"schema_version.npy", "offset.npy", "gain.npy", "defects.npy"}
_MEMBERS = _REQUIRED | {"serial.npy"}


class FixedPatternError(FocalloopError, ValueError):
    """A fixed pattern or its file is invalid, or is of another sensor; the message says why."""


class Defect(IntEnum):
    """What is wrong with a pixel."""

    GOOD = 0
    """Nothing: its reads are corrected by its offset and its gain."""
    HOT = 1
    """It collects much signal without light. Its offset is that of a full window."""
    DEAD = 2
    """It does not respond to light."""
    STUCK = 3
    """It gives one code, whatever happens. Its offset is the signal of that code."""


@dataclass(frozen=True, eq=False)
class FixedPattern:
    """Offset, gain and defects of every pixel of one sensor.

    Parameters
    ----------
    offset : array_like of float, shape (H, W)
        Signal of each pixel without light, above the black level that the board declares, in
        signal units, -`MAX_OFFSET` to `MAX_OFFSET`; for defects as `Defect` says. Kept as a
        read-only float32 copy, as is `gain`.
    gain : array_like of float, shape (H, W)
        Response of each pixel to light, 1 on average; `MIN_GAIN` to `MAX_GAIN` where the pixel is
        not defective.
    defects : array_like of int, shape (H, W)
        A `Defect` per pixel; at most `MAX_DEFECT_SHARE` of them are not GOOD. Kept as uint8.
    serial : str or None
        Serial number of the board; None if unknown.

    Raises
    ------
    FixedPatternError
        One of these does not hold.
    """

    offset: NDArray[np.float32]
    gain: NDArray[np.float32]
    defects: NDArray[np.uint8]
    serial: str | None = None

    def __post_init__(self) -> None:
        arrays = {name: np.asarray(getattr(self, name)) for name in ("offset", "gain", "defects")}
        shape = arrays["offset"].shape
        if len(shape) != 2 or any(array.shape != shape for array in arrays.values()):
            listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise FixedPatternError(
                f"offset, gain and defects of a fixed pattern have one shape (H, W), not {listed}"
            )
        try:
            checked_shape(shape)
        except RatioMapError as error:
            raise FixedPatternError(str(error).replace("ratio map", "fixed pattern")) from None
        if arrays["defects"].dtype.kind not in "iu" or not np.isin(arrays["defects"], _KINDS).all():
            raise FixedPatternError(
                f"defects of a fixed pattern are the integers 0 to {max(_KINDS)}"
            )
        object.__setattr__(self, "defects", _kept(arrays["defects"], np.uint8))
        for name in ("offset", "gain"):
            if arrays[name].dtype.kind not in "fiu":
                raise FixedPatternError(
                    f"the {name} of a fixed pattern is a number per pixel, not {arrays[name].dtype}"
                )
            object.__setattr__(self, name, _kept(arrays[name], np.float32))
        self._check_range("offset", np.abs(self.offset) <= MAX_OFFSET, _OFFSETS)
        in_range = (self.gain >= MIN_GAIN) & (self.gain <= MAX_GAIN)
        in_range |= (self.defects != Defect.GOOD) & np.isfinite(self.gain)
        self._check_range("gain", in_range, f"{MIN_GAIN:g} to {MAX_GAIN:g} unless it is a defect")
        check_defect_count(self.defects)
        if self.serial is not None and not (
            self.serial.isprintable() and 0 < len(self.serial.encode()) <= MAX_SERIAL_BYTES
        ):
            raise FixedPatternError(
                f"the serial number of a fixed pattern has 1 to {MAX_SERIAL_BYTES} bytes of "
                f"printable text, not {self.serial!r}"
            )

    def _check_range(self, name: str, valid: NDArray[np.bool_], wanted: str) -> None:
        if not valid.all():
            y, x = np.unravel_index(int(valid.argmin()), valid.shape)
            raise FixedPatternError(
                f"pixel (x={x}, y={y}) of the fixed pattern has {name} {getattr(self, name)[y, x]}"
                f", which must be {wanted}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Array size ``(H, W)``."""
        height, width = self.offset.shape
        return height, width

    @property
    def summary(self) -> str:
        """Size, defects and board, in a few words."""
        count = int(np.count_nonzero(self.defects))
        board = "" if self.serial is None else f", board {self.serial}"
        pixels = "pixel" if count == 1 else "pixels"
        return f"{size_text(self.shape)}, {count} defective {pixels}{board}"

    def __repr__(self) -> str:
        return f"<FixedPattern {self.summary}>"

    def check_fits(self, shape: tuple[int, int], serial: str | None = None) -> None:
        """Check that this is the pattern of a sensor.

        Parameters
        ----------
        shape : tuple of int
            Array size ``(H, W)``.
        serial : str, optional
            Serial number of its board; None or "" where it is not known.

        Raises
        ------
        FixedPatternError
            The size or the serial number is another.
        """
        if shape != self.shape:
            raise FixedPatternError(
                f"the fixed pattern is of {size_text(self.shape)} pixels, but the array has "
                f"{size_text(shape)}: calibrate this one"
            )
        if self.serial and serial and serial != self.serial:
            raise FixedPatternError(
                f"the fixed pattern is of the board with the serial number {self.serial}, not "
                f"{serial}: calibrate this one"
            )

    def save(self, path: str | Path) -> None:
        """Write it to an ``.npz``, whole or not at all.

        Raises
        ------
        WriteError
            The file cannot be written.
        """
        data = self.encode()
        with written_whole(path) as partial:
            partial.write_bytes(data)

    def encode(self) -> bytes:
        """Return the bytes of the ``.npz`` that `load` reads."""
        arrays: dict[str, Any] = {
            "schema_version": np.uint16(SCHEMA_VERSION),
            "offset": self.offset,
            "gain": self.gain,
            "defects": self.defects,
        }
        if self.serial is not None:
            arrays["serial"] = np.array(self.serial)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> FixedPattern:
        """Read the ``.npz`` that `save` wrote.

        Raises
        ------
        FixedPatternError
            There is no such file, it is damaged or of another version, or holds no such pattern.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ArchiveError(f"exceeds {MAX_FILE_BYTES >> 20} MiB, too large")
            with opened(path) as archive:
                return _pattern_in(archive)
        except (OSError, ValueError) as error:  # ValueError: no possible file name, or as below
            if isinstance(error, FixedPatternError):
                raise FixedPatternError(f"{path}: {error}") from None
            if isinstance(error, ArchiveError):
                raise FixedPatternError(f"the fixed pattern {path} {error}") from None
            reason = getattr(error, "strerror", None) or error
            raise FixedPatternError(f"cannot read the fixed pattern {path}: {reason}") from None


_KINDS = tuple(int(kind) for kind in Defect)
_OFFSETS = f"{-MAX_OFFSET:g} to {MAX_OFFSET:g} full scales"


def check_defect_count(defects: NDArray[np.uint8]) -> None:
    """Raise FixedPatternError if more than `MAX_DEFECT_SHARE` of the pixels are defective."""
    count = int(np.count_nonzero(defects))
    if count > MAX_DEFECT_SHARE * defects.size:
        kinds = ", ".join(
            f"{np.count_nonzero(defects == kind)} {kind.name.lower()}" for kind in Defect if kind
        )
        raise FixedPatternError(
            f"{count} of {defects.size} pixels are defective ({kinds}), more than "
            f"{100 * MAX_DEFECT_SHARE:g} %: see whether light reached the whole sensor"
        )


def _kept(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what float32 cannot hold is out of range, and refused
        kept = np.array(array, dtype=dtype, order="C")
    kept.flags.writeable = False
    return kept


def _pattern_in(archive: Archive) -> FixedPattern:
    names = set(archive.names)
    if "schema_version.npy" not in names:
        raise FixedPatternError("it is not a fixed pattern: it has no schema_version")
    version = archive.array("schema_version.npy", _MAX_SMALL_BYTES)
    if version.size != 1 or version.dtype.kind not in "iu" or version.item() != SCHEMA_VERSION:
        raise FixedPatternError(
            f"it has schema_version {version.tolist()}, and this program reads {SCHEMA_VERSION}: "
            "update focalloop"
        )
    if different := names ^ _MEMBERS if "serial.npy" in names else names ^ _REQUIRED:
        listed = ", ".join(sorted(repr(name.removesuffix(".npy")) for name in different))
        raise FixedPatternError(f"it lacks, or should not hold, {listed[:80]}: calibrate again")
    serial = None
    if "serial.npy" in names:
        text = archive.array("serial.npy", _MAX_SMALL_BYTES)
        if text.size != 1 or text.dtype.kind != "U":
            raise FixedPatternError("its serial number is not one text")
        serial = str(text.item())
    offset, gain = (archive.array(f"{name}.npy", 4 * MAX_PIXELS) for name in ("offset", "gain"))
    return FixedPattern(offset, gain, archive.array("defects.npy", MAX_PIXELS), serial)
