"""The windows of a recording as the series of a capture."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np
from numpy.typing import NDArray

from focalloop.host.captures.capture import Series, monotonic_epoch_s
from focalloop.host.recording.window_reader import RecordedWindow

_ALIGNED = 8
"""Where a series begins in the file, in bytes, as processors like it."""


def series_of(windows: Iterable[RecordedWindow]) -> tuple[Series, ...]:
    """Return a series for each run of windows under the same conditions.

    The readouts are in a temporary file, which lasts as long as they do, and mapped into memory.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its series
    series: list[_SeriesBuilder] = []
    for recorded in windows:
        if not series or not series[-1].takes(recorded):
            series.append(_SeriesBuilder(file, recorded))
        series[-1].add(recorded)
    file.flush()
    if not series:
        return ()
    # Mapped once: a map for each series would take a file descriptor of the system's few.
    whole = np.memmap(file, np.uint8, "r")
    return tuple(each.build(whole) for each in series)


class _SeriesBuilder:
    """Readouts under the same conditions, on their way into a temporary file."""

    def __init__(self, file: IO[bytes], first: RecordedWindow) -> None:
        self._first = first
        self._conditions = _conditions(first)
        file.write(bytes(-file.tell() % _ALIGNED))
        self._file, self._begin = file, file.tell()
        self._numbers: list[int] = []
        self._times: list[float] = []

    def takes(self, recorded: RecordedWindow) -> bool:
        return _conditions(recorded) == self._conditions

    def add(self, recorded: RecordedWindow) -> None:
        window = recorded.window
        self._file.write(window.codes.tobytes())
        self._numbers.append(window.number)
        self._times.append(round(window.time_s + monotonic_epoch_s(), 6))

    def build(self, whole: NDArray[np.uint8]) -> Series:
        first = self._first.window
        shape = len(self._numbers), first.plan.count
        length = shape[0] * shape[1] * first.codes.itemsize
        codes = whole[self._begin : self._begin + length].view(first.codes.dtype)
        return Series(
            ratio_map=first.ratio_map,
            plan=first.plan,
            readouts=codes.reshape(shape),
            bits=first.bits,
            black_level_dn=first.black_level_dn,
            full_scale_dn=first.full_scale_dn,
            kind=first.kind,
            light=self._first.light,
            gain=self._first.gain,
            temperature_c=self._first.temperature_c,
            numbers=np.array(self._numbers, np.int64),
            times_unix_s=np.array(self._times, np.float64),
        )


def _conditions(recorded: RecordedWindow) -> tuple[object, ...]:
    window = recorded.window
    return (
        window.kind, window.ratio_map.hash(), window.bits, window.black_level_dn,
        window.full_scale_dn, recorded.light, recorded.gain, recorded.temperature_c,
    )  # fmt: skip
