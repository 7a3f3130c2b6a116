"""Writing captures window by window, into a folder that appears when it is complete.

``docs/file-formats.md`` ("Capture") is the specification.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np

from focalloop.firmware_sim.files import folder_written_whole
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.captures.capture import (
    FORMAT,
    MANIFEST,
    SCHEMA_VERSION,
    monotonic_epoch_s,
    sha256_of,
)

_NPY_HEADER_BYTES = 128
_BOARD_FACTS = (
    "name", "firmware", "serial", "simulated", "height", "width", "slots", "level_set",
    "slot_rate_hz",
)  # fmt: skip


def board_facts(board: HelloAnswer) -> dict[str, Any]:
    """Return what a capture says of its board."""
    return {name: getattr(board, name) for name in _BOARD_FACTS}


class WindowWriter(Protocol):
    """Takes windows as they come, with what is known of their light."""

    def add(
        self,
        window: Window,
        *,
        light: float | None = None,
        gain: float | None = None,
        temperature_c: float | None = None,
    ) -> None:
        """Take a window."""
        ...


class CaptureWriter:
    """Writes windows to a capture folder as they come.

    Use it as a context: the folder appears when the block ends, and not at all if it raises.

    Parameters
    ----------
    path : str or Path
        Folder to make; it must not exist yet.
    board : HelloAnswer
        The board that the windows come from.

    Raises
    ------
    WriteError
        On entering or leaving the context, if the folder exists or cannot be written.
    """

    def __init__(self, path: str | Path, board: HelloAnswer) -> None:
        self._board = board
        self._series: list[dict[str, Any]] = []
        self._open: _OpenSeries | None = None
        self._whole = folder_written_whole(path)

    def __enter__(self) -> Self:
        self._folder = self._whole.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end_series()
            if kind is None:
                self._write_manifest()
        except OSError as problem:
            kind, error, traceback = type(problem), problem, problem.__traceback__
        self._whole.__exit__(kind, error, traceback)

    def add(
        self,
        window: Window,
        *,
        light: float | None = None,
        gain: float | None = None,
        temperature_c: float | None = None,
    ) -> None:
        """Append a window; if it was taken under other conditions than the last, start a series."""
        conditions = {
            "kind": window.kind.name.lower(),
            "map_hash": window.ratio_map.hash_hex,
            "bits": window.bits,
            "black_level_dn": window.black_level_dn,
            "full_scale_dn": window.full_scale_dn,
            "light": light,
            "gain": gain,
            "temperature_c": temperature_c,
        }
        if self._open is None or self._open.conditions != conditions:
            self._end_series()
            self._open = _OpenSeries(self._folder, len(self._series), conditions, window)
        self._open.add(window)

    def _end_series(self) -> None:
        if self._open is not None:
            self._series.append(self._open.close())
            self._open = None

    def _write_manifest(self) -> None:
        manifest = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": f"focalloop {version('focalloop')}",
            "board": board_facts(self._board),
            "series": self._series,
        }
        text = json.dumps(manifest, indent=1, allow_nan=False)
        (self._folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


class _OpenSeries:
    """A series that is being written."""

    def __init__(
        self, folder: Path, index: int, conditions: dict[str, Any], window: Window
    ) -> None:
        self.conditions = conditions
        self._folder = folder
        self._readouts = f"readouts-{index}.npy"
        self._map = f"map-{index}.npz"
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._dtype = window.codes.dtype
        self._count = window.plan.count
        # The time of a window is on the monotonic clock, which other programs cannot read.
        self._epoch_s = monotonic_epoch_s()
        window.ratio_map.save(folder / self._map)
        self._file: BinaryIO = (folder / self._readouts).open("wb")
        self._file.write(bytes(_NPY_HEADER_BYTES))

    def add(self, window: Window) -> None:
        self._file.write(window.codes.astype(self._dtype.newbyteorder("<"), copy=False).data)
        self._numbers.append(window.number)
        self._times.append(round(self._epoch_s + window.time_s, 6))

    def close(self) -> dict[str, Any]:
        self._file.seek(0)
        self._file.write(_npy_header(self._dtype, (len(self._numbers), self._count)))
        self._file.close()
        return {
            **self.conditions,
            "ratio_map": self._map,
            "ratio_map_sha256": sha256_of(self._folder / self._map),
            "readouts": self._readouts,
            "readouts_sha256": sha256_of(self._folder / self._readouts),
            "numbers": self._numbers,
            "times_unix_s": self._times,
        }


def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header of a version 1.0 ``.npy`` file, padded to a length that N never changes."""
    text = repr({"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape})
    padded = text.ljust(_NPY_HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode("latin1")
