"""Captures on disk: a folder of packed readouts with the ratio maps they were taken under.

``docs/file-formats.md`` ("Capture") is the specification. A folder holds one or more *series*:
windows taken one after the other under one ratio map and one light; `writer` writes it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import ArchiveError, read_array_header
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.errors import CaptureError

if TYPE_CHECKING:
    from focalloop.host.board.client import Board

FORMAT = "focalloop capture"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Series:
    """Windows of a capture, all taken under one map and one light.

    Attributes
    ----------
    ratio_map : RatioMap
        Map of the windows.
    plan : ReadPlan
        Order of the reads in a readout.
    readouts : ndarray of uint8 or uint16, shape (N, count)
        ADC codes in plan order, DN; mapped from the file, not loaded.
    bits : int
        Resolution of the ADC.
    black_level_dn, full_scale_dn : float
        Code without light, and codes from there to signal 1.0.
    kind : WindowKind
        Whether exposed to the scene, to no light, or to even light.
    light : float or None
        Radiance of an even light in [0, 1], if known.
    gain, temperature_c : float or None
        DN per electron, and degrees Celsius, if known.
    numbers : ndarray of int64, shape (N,)
        Window numbers of the board; a gap is a window that was dropped or lost.
    times_unix_s : ndarray of float64, shape (N,)
        End of the last slot of each window, seconds since 1970 UTC.
    """

    ratio_map: RatioMap
    plan: ReadPlan
    readouts: NDArray[np.uint8] | NDArray[np.uint16]
    bits: int
    black_level_dn: float
    full_scale_dn: float
    kind: WindowKind
    light: float | None
    gain: float | None
    temperature_c: float | None
    numbers: NDArray[np.int64]
    times_unix_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.readouts)

    def __repr__(self) -> str:
        kind = self.kind.name.lower()
        light = "" if self.light is None else f", light {self.light:.3g}"
        return f"<Series of {len(self)} windows, {kind}{light}; {self.ratio_map.summary}>"

    def window(self, index: int) -> Window:
        """Return one window, as from a board; its codes stay in the file until they are used."""
        return Window(
            number=int(self.numbers[index]),
            ratio_map=self.ratio_map,
            plan=self.plan,
            codes=np.asarray(self.readouts[index]),
            black_level_dn=self.black_level_dn,
            full_scale_dn=self.full_scale_dn,
            bits=self.bits,
            time_s=float(self.times_unix_s[index]) - monotonic_epoch_s(),
            kind=self.kind,
        )


@dataclass(frozen=True, eq=False)
class Capture:
    """A capture folder.

    Attributes
    ----------
    path : Path
        The folder.
    board : dict
        Identity of the board: name, firmware, serial, simulated, height, width, slots, level set.
    series : tuple of Series
        In the order in which they were taken.
    """

    path: Path
    board: dict[str, Any]
    series: tuple[Series, ...]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a capture folder; every file is checked against its hash, and none is loaded.

        Raises
        ------
        CaptureError
            If it is not a capture, or is incomplete, damaged or of a newer format; the text names
            the file.
        """
        folder = Path(path)
        manifest = _manifest(folder)
        try:
            series = tuple(_load_series(folder, entry) for entry in manifest["series"])
            return cls(folder, dict(manifest["board"]), series)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FocalloopError):
                raise CaptureError(f"{folder}: {error}") from error
            raise CaptureError(
                f"{folder / MANIFEST} does not describe a capture ({error!r}): take it again"
            ) from error

    @classmethod
    def take(cls, path: str | Path, board: Board, count: int = 1) -> Self:
        """Take windows of the scene from a board into a new folder, and open it.

        Parameters
        ----------
        path : str or Path
            Folder to make; it must not exist yet.
        board : Board
            An open board with a ratio map.
        count : int
            Number of windows.

        Raises
        ------
        WriteError
            If the folder exists, or cannot be written.
        BoardError, BoardLostError
            If the board refuses a request, or its connection is lost; no folder is left.
        """
        from focalloop.host.captures.writer import CaptureWriter

        with CaptureWriter(path, board.info) as writer:
            for window in board.stream(count=count):
                writer.add(window)
        return cls.load(path)

    def __len__(self) -> int:
        return sum(map(len, self.series))

    def __repr__(self) -> str:
        maps = {series.ratio_map for series in self.series}
        under = maps.pop().summary if len(maps) == 1 else f"{len(maps)} ratio maps"
        name = self.board.get("name", "a board")
        return f"<Capture {str(self.path)!r}: {len(self)} windows of {name!r}; {under}>"

    def windows(self) -> Iterator[Window]:
        """Yield the windows in the order in which they were taken."""
        for series in self.series:
            yield from map(series.window, range(len(series)))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = parse_json(path.read_bytes())
    except NotADirectoryError:
        raise CaptureError(
            f"{folder} is not a capture but a file: if it is a recording, open it by "
            "focalloop.Recording(...).capture()"
        ) from None
    except FileNotFoundError:
        raise CaptureError(f"{folder} is not a capture: give a folder with a {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path} cannot be read ({error}): take the capture again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CaptureError(f'{folder} is not a capture: its {MANIFEST} has no "format": "{FORMAT}"')
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        raise CaptureError(
            f"{folder} has schema version {found}, but this program reads {SCHEMA_VERSION}: "
            "update focalloop"
        )
    return manifest


def _load_series(folder: Path, entry: dict[str, Any]) -> Series:
    map_file = _checked_file(folder, entry["ratio_map"], entry["ratio_map_sha256"])
    readouts_file = _checked_file(folder, entry["readouts"], entry["readouts_sha256"])
    ratio_map = RatioMap.load(map_file)
    if ratio_map.hash_hex != entry["map_hash"]:
        raise CaptureError(f"{map_file} is not the map of its series: take the capture again")
    plan = ReadPlan.of(ratio_map)
    readouts = _mapped(readouts_file)
    numbers = np.array(entry["numbers"], np.int64)
    times = np.array(entry["times_unix_s"], np.float64)
    expected = (len(numbers), plan.count)
    dtype = np.uint8 if int(entry["bits"]) <= 8 else np.uint16
    if readouts.shape != expected or readouts.dtype != dtype or times.shape != numbers.shape:
        raise CaptureError(
            f"{readouts_file} holds {readouts.dtype} of shape {readouts.shape}, but map and "
            f"manifest say {np.dtype(dtype)} of shape {expected}: take the capture again"
        )
    return Series(
        ratio_map=ratio_map,
        plan=plan,
        readouts=readouts,
        bits=int(entry["bits"]),
        black_level_dn=float(entry["black_level_dn"]),
        full_scale_dn=float(entry["full_scale_dn"]),
        kind=WindowKind[str(entry["kind"]).upper()],
        light=_optional(entry["light"]),
        gain=_optional(entry["gain"]),
        temperature_c=_optional(entry["temperature_c"]),
        numbers=numbers,
        times_unix_s=times,
    )


def _mapped(path: Path) -> NDArray[Any]:
    """Map the array in a ``.npy`` file into memory."""
    try:
        with path.open("rb") as file:
            header = read_array_header(file)
            if header.fortran_order or path.stat().st_size - file.tell() != header.nbytes:
                raise ArchiveError("is truncated or damaged")
            return np.memmap(file, header.dtype, "r", file.tell(), header.shape)
    except (ArchiveError, OSError) as error:
        raise CaptureError(f"{path} {error}: take the capture again") from error


def _optional(value: Any) -> float | None:  # noqa: ANN401 - whatever the JSON holds
    return None if value is None else float(value)


def _checked_file(folder: Path, name: str, sha256: str) -> Path:
    if name != Path(name).name:
        raise CaptureError(
            f"{folder / MANIFEST} names {name!r}, which is not a file beside it: take it again"
        )
    path = folder / name
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CaptureError(
            f"{path} cannot be read ({error.strerror}): take the capture again"
        ) from error
    if found != sha256:
        raise CaptureError(f"{path} is damaged, its SHA-256 differs: take the capture again")
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_CLOSE_S = 1e-4


def monotonic_epoch_s() -> float:
    """Return the Unix time at 0 of ``time.monotonic``, the clock of a window's time."""
    # The processor may go to another program between the two clocks: the closest pair is right.
    pairs = []
    for _ in range(5):
        before_s, unix_s, after_s = time.monotonic(), time.time(), time.monotonic()
        pairs.append((after_s - before_s, unix_s - (before_s + after_s) / 2))
        if after_s - before_s < _CLOSE_S:
            break
    return min(pairs)[1]
