"""Whether the light on a sensor suits a calibration, judged from its windows as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.settings import MAX_DRIFT, MAX_SHADING
from focalloop.firmware_sim.default_calibration import Scale, top_light
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan

_WINDOWS = 8
"""Windows between which the light is compared."""

_CELLS = 8
"""Cells along each side of the array; noise and PRNU average out in each, uneven light does not."""

_MAX_SATURATED = 1e-3
"""Share of saturated reads from which the light is too bright."""

_DIM, _TOO_DARK = 0.5, 0.1
"""Shares of the wanted signal below which a light is a poor one, and none to calibrate by."""

_SETTING = 0.3
"""Relative change that no lamp makes by itself: somebody is setting it."""

_LEAK = 0.02
"""Signal, in units of full scale, above which a sensor counts as not covered."""


@dataclass(frozen=True)
class LightState:
    """The light on the sensor, as its last windows show it."""

    signal: float
    """Signal that the longest span gets, in units of full scale; 0 to 1 unless it saturates."""
    wanted: float
    """Signal that is best for it; 0 where the sensor is to be covered."""
    saturated: float
    """Share of these reads that have the highest code."""
    unevenness: float | None
    """Relative standard deviation over the array; None where it is too dark to tell."""
    change: float | None
    """Relative difference between the brightest and the darkest of the last windows; None likewise,
    and after the first one."""
    mood: Literal["good", "warn", "bad"]
    """Whether it suits; ``bad`` where a calibration would fail or mislead."""
    sentences: tuple[str, ...]
    """What is found, and what to do."""


@dataclass(frozen=True)
class _Reading:
    """One window: mean signal of the longest span, of each cell too, and what is saturated."""

    signal: float
    cells: NDArray[np.float64]
    saturated: float


class LightMeter:
    """Judges the light on a sensor by the last windows of it.

    Any map will do. Only pixels with the longest span that it has are looked at, and their signal
    is scaled to the longest of the level set, which a calibration uses.
    """

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque(maxlen=_WINDOWS)
        self._newest: int | None = None
        self._top = self._reach = 1.0
        self._under: tuple[RatioMap, NDArray[np.intp], NDArray[np.intp]] | None = None

    def add(self, number: int, codes: NDArray[Any], ratio_map: RatioMap, scale: Scale) -> None:
        """Look at a window; one that was looked at last is not counted twice.

        Parameters
        ----------
        number : int
            Number of the window.
        codes : ndarray of integers, shape (count,)
            ADC codes in the order of the read plan, DN.
        ratio_map : RatioMap
            Map under which it was read.
        scale : Scale
            Converter of the board.
        """
        if number == self._newest:
            return
        self._newest, self._top = number, top_light(scale)
        self._reach = ((1 << scale.bits) - 1 - scale.black_level_dn) / scale.full_scale_dn
        levels = sorted({*np.unique(ratio_map.levels).tolist()} - {0})
        if not levels:
            return
        places, cells = self._places(ratio_map, levels[0])
        reads = codes[places]
        longest = min(level for level in ratio_map.level_set if level)
        signals = (reads - scale.black_level_dn) / scale.full_scale_dn * (levels[0] / longest)
        counts = np.bincount(cells, minlength=_CELLS**2)
        sums = np.bincount(cells, signals, minlength=_CELLS**2)
        self._readings.append(
            _Reading(
                float(signals.mean()),
                sums[counts > 0] / counts[counts > 0],
                float(np.mean(reads >= (1 << scale.bits) - 1)),
            )
        )

    def state(self, *, dark: bool = False) -> LightState | None:
        """Return the light, judged as one to calibrate by, or as darkness; None before a window."""
        if not self._readings:
            return None
        newest, signals = self._readings[-1], [each.signal for each in self._readings]
        lit = newest.signal > _TOO_DARK * self._top
        unevenness = float(newest.cells.std()) / newest.signal if lit else None
        change = (max(signals) - min(signals)) / newest.signal if lit and len(signals) > 1 else None
        judged = _dark(newest) if dark else self._flat(newest, unevenness, change)
        found = list(judged)
        order = ("good", "warn", "bad")
        return LightState(
            signal=newest.signal,
            wanted=0.0 if dark else self._top,
            saturated=newest.saturated,
            unevenness=unevenness,
            change=change,
            mood=max((mood for mood, _ in found), key=order.index),
            sentences=tuple(text for _, text in found),
        )

    def _flat(
        self, newest: _Reading, unevenness: float | None, change: float | None
    ) -> Iterable[tuple[Literal["good", "warn", "bad"], str]]:
        share, best = f"{100 * newest.signal:.0f} %", f"about {100 * self._top:.0f} %"
        if newest.saturated > _MAX_SATURATED:
            yield "bad", f"Too bright: {100 * newest.saturated:.1f} % of the reads are saturated."
        elif newest.signal >= self._reach:
            yield "bad", "Too bright: the longest span would saturate."
        elif newest.signal < _TOO_DARK * self._top:
            yield "bad", f"Too dark: the longest span gets {share} of full scale; {best} is best."
        elif newest.signal < _DIM * self._top:
            yield "warn", f"Dim: the longest span gets {share} of full scale; {best} is best."
        else:
            yield "good", f"The longest span gets {share} of full scale; {best} is best."
        if unevenness is not None and unevenness > MAX_SHADING:
            yield (
                "warn",
                f"Uneven by {100 * unevenness:.0f} % over the array (standard deviation): use an "
                "integrating sphere, more diffuser, or more distance.",
            )
        if change is not None and change > _SETTING:
            yield "warn", "The light is still changing."
        elif change is not None and change > MAX_DRIFT:
            yield (
                "warn",
                f"Unsteady: the last {len(self._readings)} windows differ by {100 * change:.0f} %. "
                "Let the lamp settle, and feed it direct current.",
            )

    def _places(self, ratio_map: RatioMap, level: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where the reads of the pixels of a level are in a readout, and their cells."""
        if self._under is None or self._under[0] is not ratio_map:
            pixel = ReadPlan.of(ratio_map).pixel
            places = np.flatnonzero(ratio_map.levels.reshape(-1)[pixel] == level)
            height, width = ratio_map.shape
            y, x = np.divmod(pixel[places], width)
            self._under = ratio_map, places, y * _CELLS // height * _CELLS + x * _CELLS // width
        return self._under[1:]


def _dark(newest: _Reading) -> Iterable[tuple[Literal["good", "warn", "bad"], str]]:
    share = f"{max(0.0, 100 * newest.signal):.1f} %"
    if newest.signal > _LEAK:
        yield (
            "warn",
            f"Light still reaches the sensor: the longest span gets {share} of full scale. Cover "
            "the lens, and darken the room.",
        )
    else:
        yield "good", f"Dark: the longest span gets {share} of full scale."
