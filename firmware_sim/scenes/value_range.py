"""What is white: the one rule by which clips, scenes and pictures become 0..255.

A file stores numbers, and a clip needs to know which of them is white. Where the file does not say
and the numbers leave it open, it is asked for instead of guessed. `docs/file-formats.md` has the
rule for users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError

MAX_OVERSHOOT = 0.15
"""Share of white by which floats may leave the range, as interpolation and networks make them."""

MIN_BRIGHTEST = 1 / 16
"""Share of a stated white that the brightest value reaches, or else it is remarked on."""

_MIN_16_BIT = 1 << 14
"""Brightest value from which numbers of 16 bits are taken to use all of them, and not 10 to 14."""

_MIN_8_BIT = 16
"""Brightest value from which numbers of another type are taken to be 0..255."""

_LIKELY_WHITES = {1: "0..1", 255: "8 bits", 1023: "10 bits", 4095: "12 bits", 16383: "14 bits"}
_LIKELY_WHITES |= {65535: "16 bits"}


@dataclass(frozen=True, eq=False)
class Stored:
    """Gray values as a file stores them.

    Attributes
    ----------
    values : NDArray[Any]
        A frame ``(H, W)``, or all frames of an array; bool, integers or floats.
    white : float or None
        The value of white where the file states it, or its format does.
    scaled_white : float or None
        White instead of that if any value of the source is above it.
    """

    values: NDArray[Any]
    white: float | None = None
    scaled_white: float | None = None


class WhiteScale:
    """Brings the frames of one source to 0..255, all by the same white.

    Parameters
    ----------
    what : str
        The source, for messages.
    frames : callable
        Returns every frame of the source, from the first. It is called where a frame alone leaves
        white open.
    white : float or None, optional
        The value of white, which then holds whatever a file states; but not for integers of a type
        that does not reach it.

    Raises
    ------
    SceneError
        If `white` is not a finite number above 0.
    """

    def __init__(
        self, what: str, frames: Callable[[], Iterable[Stored]], white: float | None = None
    ) -> None:
        if white is not None and not 0 < white < np.inf:
            raise SceneError(f"white={white} is no value of white: give a number above 0")
        self._what = what
        self._frames = frames
        self._white = white
        self._found: dict[np.dtype[Any], float] = {}
        self._stated: dict[float, float] = {}
        self._clipped = self._values = 0
        self._brightest = 0.0

    def __call__(self, stored: Stored) -> NDArray[np.uint8]:
        """Return a frame as uint8, where 255 is white.

        Raises
        ------
        SceneError
            If the values of the source leave open what is white, or are not a picture.
        """
        values = stored.values
        if values.dtype.kind not in "biuf":
            raise SceneError(f"{self._what} is {values.dtype}; clips are numbers, 0..255 or 0..1")
        white = self._white if _reaches(values.dtype, self._white) else None
        white = white or self._stated_by(stored) or self._found.get(values.dtype)
        if white is None:
            if values.dtype == np.uint8 and values.max() != 1:
                white = 255.0
            else:
                white = self._found[values.dtype] = self._white_of_all(values.dtype)
        if values.dtype == np.uint8 and white == 255:
            return np.ascontiguousarray(values)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise SceneError(
                f"{self._what} ranges from {values.min():g} to {values.max():g}, and those are not "
                "numbers that a picture is made of: replace them first"
            )
        beyond = int(np.count_nonzero(values > white))
        if values.dtype.kind in "if":
            beyond += int(np.count_nonzero(values < 0))
        self._values += values.size
        self._clipped += beyond
        self._brightest = max(self._brightest, float(values.max()) / white)
        if beyond:
            values = np.clip(values, 0, white)
        return np.rint(values * np.float32(255 / white)).astype(np.uint8, order="C")

    def notes(self) -> Iterator[str]:
        """Yield what a user should know about the frames so far."""
        if self._clipped:
            share = 100 * self._clipped / self._values
            yield (
                f"{self._what}: {self._clipped} values ({share:.2g} %) lie outside black to white "
                "and were clipped"
            )
        if self._white is not None and 0 < self._brightest < MIN_BRIGHTEST:
            yield (
                f"{self._what}: nothing in it is brighter than {100 * self._brightest:.2g} % of "
                f"the white that was stated, {self._white:g}"
            )

    def _stated_by(self, stored: Stored) -> float | None:
        if stored.white is None or stored.scaled_white is None:
            return stored.white
        if stored.white not in self._stated:
            alike = (each.values for each in self._frames() if each.white == stored.white)
            scaled = any(float(values.max()) > stored.white for values in alike)
            self._stated[stored.white] = stored.scaled_white if scaled else stored.white
        return self._stated[stored.white]

    def _white_of_all(self, dtype: np.dtype[Any]) -> float:
        """Find white from all frames of one type; see `docs/file-formats.md`."""
        if dtype.kind == "b":
            return 1.0
        darkest, brightest = self._extent(dtype)
        overshoot = MAX_OVERSHOOT if dtype.kind == "f" else 0.0
        white = np.nan
        if darkest == brightest == 0 or (dtype == np.uint8 and brightest > 1):
            white = 255.0
        elif dtype.kind == "f" and 0 <= brightest <= 1 + overshoot:
            white = 1.0
        elif (dtype.kind, dtype.itemsize) == ("u", 2):
            white = 65535.0 if brightest >= _MIN_16_BIT else np.nan
        elif _MIN_8_BIT <= brightest <= 255 * (1 + overshoot) and _reaches(dtype, 255):
            white = 255.0
        undershoot = -overshoot * white if brightest > 0 else 0.0
        if np.isnan(white) or not darkest >= undershoot:  # which a NaN never is
            largest = brightest if np.isfinite(darkest) else darkest
            raise SceneError(
                f"{self._what} ranges from {darkest:g} to {brightest:g} in {dtype}, which leaves "
                f"open what is white: {_advice(largest, dtype)}"
            )
        return white

    def _extent(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        """Return the darkest and the brightest value of a type; of bytes, as far as needed."""
        darkest, brightest = np.inf, -np.inf
        for stored in self._frames():
            if stored.values.dtype != dtype or stored.white is not None:
                continue
            low, high = float(stored.values.min()), float(stored.values.max())
            # Not min() and max(), which lose a NaN.
            darkest = cast(float, np.minimum(darkest, low))
            brightest = cast(float, np.maximum(brightest, high))
            if dtype == np.uint8 and brightest > 1:
                break
        return float(darkest) + 0.0, float(brightest) + 0.0  # no -0


def _reaches(dtype: np.dtype[Any], white: float | None) -> bool:
    return white is not None and (dtype.kind not in "iu" or white <= np.iinfo(dtype).max)


def _advice(brightest: float, dtype: np.dtype[Any]) -> str:
    likely = (
        (white, bits)
        for white, bits in _LIKELY_WHITES.items()
        if white >= brightest and _reaches(dtype, white)
    )
    white, bits = next(likely, (brightest, ""))
    if not np.isfinite(brightest) or brightest <= 0:
        return "scale it to 0..255 or 0..1 first"
    example = f"{white:g} for {bits}" if bits else f"{white:.10g}"
    return f"state it with --white (in Python white=), such as --white {example}"
