"""From the captures of a calibration to `calibration.Readings`, level by level."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.readings import Level, Readings
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.capture import MANIFEST, Capture, Series, sha256_of
from focalloop.host.errors import CaptureError


def readings_of(captures: Sequence[Capture]) -> Readings:
    """Return the readings in dark and flat captures of one board.

    In a map of several levels, the pixels of each level form a `Level`; the reads of a uniform map
    stay mapped from the file.

    Raises
    ------
    CaptureError
        If a series was exposed to a scene or through a coded aperture, or the captures differ in
        board, size or ADC settings.
    """
    first = captures[0]
    if not first.series:
        raise CaptureError(f"{first.path} has no windows: take the capture again")
    scale = _scale(first.series[0])
    levels: list[Level] = []
    for capture in captures:
        if _identity(capture) != _identity(first):
            raise CaptureError(
                f"{capture.path} is from another board than {first.path}: calibrate one at a time"
            )
        for index, series in enumerate(capture.series):
            name = f"{capture.path.name} series {index}"
            if series.kind is WindowKind.SCENE:
                raise CaptureError(
                    f"{name} was exposed to a scene, but a calibration needs dark and flat reads: "
                    "take them with `focalloop calibrate --port URL --keep DIR`"
                )
            if series.ratio_map.aperture is not None:
                raise CaptureError(f"{name} has a coded aperture: calibrate without one")
            if _scale(series) != scale:
                raise CaptureError(
                    f"{name} differs from the first in size, bits, black level, full scale or "
                    "gain: calibrate one setting of the ADC at a time"
                )
            levels += _levels(series, capture)
    black, full_scale, bits, slots = scale[:4]
    return Readings(
        levels=tuple(levels),
        bits=bits,
        full_scale_dn=full_scale,
        black_level_dn=black,
        slots=slots,
        exposure_unit="slots",
        origin={
            "source": "capture",
            "board": first.board,
            "captures": [_origin(c.path) for c in captures],
        },
    )


def _scale(series: Series) -> tuple[float, float, int, int, tuple[int, int], float | None]:
    ratio_map = series.ratio_map
    size = (ratio_map.slots, ratio_map.shape)
    return series.black_level_dn, series.full_scale_dn, series.bits, *size, series.gain


def _origin(path: Path) -> dict[str, str]:
    """Return what a calibration says of a capture, which may be a file of another kind."""
    if path.is_file():
        return {"file": path.name, "sha256": sha256_of(path)}
    return {"folder": path.name, "manifest_sha256": sha256_of(path / MANIFEST)}


def _identity(capture: Capture) -> str:
    return json.dumps(capture.board, sort_keys=True)


def _levels(series: Series, capture: Capture) -> Iterator[Level]:
    """Yield a `Level` for each level of the map that is read at all."""
    dark = series.kind is WindowKind.DARK
    light = "" if dark or series.light is None else f" and light {series.light:.3g}"
    ratio_map, slots, shape = series.ratio_map, series.ratio_map.slots, series.ratio_map.shape
    found = [int(level) for level in np.unique(ratio_map.levels) if level > 0]
    planes = None if len(found) == 1 and ratio_map.levels.all() else _planes(series)
    for level in found:
        # With a uniform map, a readout consists of its planes, one after the other.
        stack = series.readouts.reshape(-1, level, *shape) if planes is None else planes[:, :level]
        span = slots // level
        rate_hz = float(capture.board.get("slot_rate_hz") or 0.0)
        before_end_s = np.arange(level - 1, -1, -1) * (span / rate_hz if rate_hz else 0.0)
        yield Level(
            reads=stack.reshape(-1, *shape),
            dark=dark,
            exposure=float(span),
            light=0.0 if dark else series.light,
            pixels=None if planes is None else ratio_map.levels == level,
            name=f"the {'dark ' * dark}level of span {span}{light} in {capture.path.name}",
            times_s=(series.times_unix_s[:, None] - before_end_s).reshape(-1),
            temperature_c=series.temperature_c,
        )


def _planes(series: Series) -> NDArray[Any]:
    planes: NDArray[Any] = series.plan.planes(np.asarray(series.readouts))
    return planes
