"""Charts as inline SVG for the calibration report: axes, points, lines, bars and maps.

Only what that report draws, so that the base install needs no plotting library. Colours come from
the style sheet of the page, by class name (``data``, ``model``, ``left-out``, ``second``), so that
a chart is legible in light and dark.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

WIDTH, HEIGHT = 560, 330
"""Size of a chart in its own units; the page scales it to the available space."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 14, 46
_DOT = 4.0
_MARGIN = 0.06
"""Margin beyond the outermost values, as a share of the axis."""

_TICK_COUNT = 6
_MAX_MAP_SIDE = 320
"""Longest side of an embedded map, pixels; a larger array is averaged in blocks."""

_MAP_STOPS = ((24, 62, 122), (74, 131, 188), (160, 195, 221), (243, 243, 240), (240, 186, 148),
              (208, 106, 70), (134, 34, 36))  # fmt: skip
"""sRGB from far below the mean to far above, with a lightness that is symmetric about the mean."""

MAP_SCALE = tuple(f"rgb({r} {g} {b})" for r, g, b in _MAP_STOPS)
"""Colours of a map for a style sheet, from low to high."""


def number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, for people to read."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    rounded = f"{value:.{digits - 1}e}"
    mantissa, _, power = rounded.partition("e")
    exponent = int(power)
    if -4 <= exponent < 6:
        return f"{float(rounded):,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")
    return f"{mantissa}·10{str(exponent).translate(_SUPERSCRIPT)}".replace("-", "−")


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """One axis of a chart: its label, and the values at its ends.

    Attributes
    ----------
    label : str
        Label with the unit.
    low, high : float
        Values at the left or lower end and at the right or upper end; `low` may be the larger.
    log : bool
        Whether the axis is logarithmic; both ends are then above 0.
    """

    label: str
    low: float
    high: float
    log: bool = False

    @classmethod
    def around(
        cls, label: str, *values: ArrayLike, log: bool = False, include: Sequence[float] = ()
    ) -> Self:
        """Return an axis that holds all finite `values` (above 0 if `log`) with a margin.

        It reaches the values in `include` too, without a margin beyond them.
        """
        parts = [np.asarray(part, np.float64).reshape(-1) for part in values]
        found = np.concatenate([*parts, np.asarray(include, np.float64)])
        found = found[np.isfinite(found) & ((found > 0) | (not log))]
        if not len(found):
            return cls(label, 1.0 if log else 0.0, 10.0 if log else 1.0, log)
        scaled = np.log10(found) if log else found
        low, high = float(scaled.min()), float(scaled.max())
        margin = _MARGIN * (high - low) or _MARGIN * abs(high) or 0.5
        edges = {math.log10(value) if log else value for value in include}
        low = low if low in edges else low - margin
        high = high if high in edges and high > low else high + margin
        return cls(label, 10**low if log else low, 10**high if log else high, log)

    def place(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the places of values: 0 at the low end, 1 at the high end, NaN for none."""
        at = np.asarray(values, np.float64)
        if not self.log:
            return (at - self.low) / (self.high - self.low)
        low, high = math.log10(self.low), math.log10(self.high)
        return (np.log10(at, out=np.full(at.shape, np.nan), where=at > 0) - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values on the axis, with their texts."""
        low, high = sorted((self.low, self.high))
        if self.log:
            return self._log_ticks(low, high)
        rough = (high - low) / _TICK_COUNT
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step for f in (1, 2, 2.5, 5, 10) if (step := f * power) >= rough * 0.999)
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step)) + (round(step / power, 1) == 2.5))
        values = [k * step for k in range(first, last + 1)]
        largest = max(abs(low), abs(high))
        if largest >= 1e6 or decimals > 5:
            digits = math.ceil(math.log10(largest / step)) + 1
            return [(value, number(value, digits)) for value in values]
        return [(value, f"{value:,.{decimals}f}".replace("-", "−")) for value in values]

    @staticmethod
    def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        wide = math.log10(high / low) > 2.2
        factors = (1,) if wide else (1, 2, 5)
        every = max(1, len(decades) // 6) if wide else 1
        values = [f * 10.0**d for d in decades[::every] for f in factors]
        return [(v, number(v, 1)) for v in values if low * 0.999 <= v <= high * 1.001]


class Chart:
    """A chart under construction; marks lie over the grid in the order in which they are added.

    Parameters
    ----------
    x, y : Axis
        Horizontal and vertical axis.
    about : str
        What the chart shows, for readers who cannot see it.
    """

    def __init__(self, x: Axis, y: Axis, about: str) -> None:
        self._x, self._y = x, y
        self._about = about
        self._marks: list[str] = []

    def line(self, x: ArrayLike, y: ArrayLike, kind: str) -> Self:
        """Add a line through points, interrupted where a point is missing."""
        runs: list[list[str]] = [[]]
        for across, up in zip(*self._at(x, y), strict=True):
            if math.isfinite(across) and math.isfinite(up):
                runs[-1].append(f"{across:.1f} {up:.1f}")
            elif runs[-1]:
                runs.append([])
        path = "".join("M" + "L".join(run) for run in runs if len(run) > 1)
        self._marks.append(f'<path class="line {kind}" d="{path}"/>')
        return self

    def points(
        self,
        x: ArrayLike,
        y: ArrayLike,
        kind: str,
        *,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        names: Sequence[str] = (),
    ) -> Self:
        """Add dots, with error bars if `low` and `high` are given, and tooltips from `names`."""
        across, up = self._at(x, y)
        if low is not None and high is not None:
            _, bottom = self._at(x, low)
            _, top = self._at(x, high)
            bars = "".join(
                f"M{a:.1f} {b:.1f}V{t:.1f}M{a - 3:.1f} {b:.1f}h6M{a - 3:.1f} {t:.1f}h6"
                for a, b, t in zip(across, bottom, top, strict=True)
                if np.isfinite([a, b, t]).all()
            )
            self._marks.append(f'<path class="error {kind}" d="{bars}"/>')
        for i, (a, u) in enumerate(zip(across, up, strict=True)):
            if math.isfinite(a) and math.isfinite(u):
                name = f"<title>{escape(names[i])}</title>" if i < len(names) else ""
                self._marks.append(
                    f'<circle class="dot {kind}" cx="{a:.1f}" cy="{u:.1f}" r="{_DOT}">{name}'
                    "</circle>"
                )
        return self

    def bars(self, edges: ArrayLike, counts: ArrayLike, kind: str) -> Self:
        """Add a histogram of `counts` between `edges`, which are one more."""
        floor = self._up(self._y.low)
        heights = np.asarray(counts, np.float64)
        across, _ = self._at(edges, np.full(len(heights) + 1, np.nan))
        _, tops = self._at(np.full(len(heights), np.nan), heights)
        path = "".join(
            f"M{a:.1f} {floor:.1f}V{min(top, floor):.1f}H{b:.1f}V{floor:.1f}Z"
            for a, b, top in zip(across[:-1], across[1:], tops, strict=True)
            if math.isfinite(top)
        )
        self._marks.append(f'<path class="bars {kind}" d="{path}"/>')
        return self

    def rule(self, kind: str, *, x: float | None = None, y: float | None = None) -> Self:
        """Add a line across the chart, vertical at `x` or horizontal at `y`."""
        if y is not None and 0 <= self._y.place(y) <= 1:
            self._marks.append(
                f'<path class="rule {kind}" d="M{_LEFT} {self._up(y):.1f}H{WIDTH - _RIGHT}"/>'
            )
        if x is not None and 0 <= self._x.place(x) <= 1:
            self._marks.append(
                f'<path class="rule {kind}" d="M{self._across(x):.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>'
            )
        return self

    def svg(self) -> str:
        """Return the chart as an ``svg`` element."""
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        grid, texts = [], []
        for value, text in self._x.ticks():
            at = self._across(value)
            grid.append(f"M{at:.1f} {_TOP}V{bottom}")
            texts.append(f'<text x="{at:.1f}" y="{bottom + 17}" class="tick">{text}</text>')
        for value, text in self._y.ticks():
            at = self._up(value)
            grid.append(f"M{_LEFT} {at:.1f}H{right}")
            texts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" class="tick y">{text}</text>')
        middle = (_TOP + bottom) / 2
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self._about)}">'
            f'<path class="grid" d="{"".join(grid)}"/>{"".join(self._marks)}'
            f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>{"".join(texts)}'
            f'<text class="label" x="{(_LEFT + right) / 2}" y="{HEIGHT - 8}">'
            f"{escape(self._x.label)}</text>"
            f'<text class="label" transform="translate(14 {middle}) rotate(-90)">'
            f"{escape(self._y.label)}</text></svg>"
        )

    def _across(self, x: float) -> float:
        return float(_LEFT + self._x.place(x) * (WIDTH - _LEFT - _RIGHT))

    def _up(self, y: float) -> float:
        return float(HEIGHT - _BOTTOM - self._y.place(y) * (HEIGHT - _TOP - _BOTTOM))

    def _at(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        across = _LEFT + self._x.place(x) * (WIDTH - _LEFT - _RIGHT)
        up = HEIGHT - _BOTTOM - self._y.place(y) * (HEIGHT - _TOP - _BOTTOM)
        # Values beyond the vertical axis are drawn at its ends, in the margin.
        return across, np.clip(up, _TOP - 6, HEIGHT - _BOTTOM)


def map_figure(values: NDArray[np.floating], unit: str, about: str) -> str:
    """Draw an array about its mean as a map of colours, with its scale.

    Parameters
    ----------
    values : ndarray of float, shape (H, W)
        NaN where nothing was measured, which is drawn transparent. An array with a side of more
        than 320 pixels is averaged in square blocks.
    unit : str
        Unit of the values, for the scale.
    about : str
        What the map shows, for readers who cannot see it.

    Returns
    -------
    str
        An ``img`` with the map as PNG, and a scale that is symmetric about 0 and reaches the 0.5 %
        or the 99.5 % quantile, whichever is farther.
    """
    shown = _averaged(np.asarray(values, np.float64))
    known = shown[np.isfinite(shown)]
    reach = float(np.max(np.abs(np.quantile(known, [0.005, 0.995])))) if len(known) else 0.0
    reach = reach or 1.0
    index = np.clip((shown / reach + 1) / 2 * 254, 0, 254)
    picture = Image.fromarray(np.where(np.isfinite(index), np.rint(index), 255).astype(np.uint8))
    picture.putpalette(_palette())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, transparency=255)
    height, width = shown.shape
    return (
        f'<img class="map" width="{width}" height="{height}" alt="{escape(about)}" '
        f'src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode("ascii")}">'
        f'<div class="scale"><span>−{number(reach)} {unit}</span><i></i>'
        f"<span>+{number(reach)} {unit}</span></div>"
    )


def block_side(shape: tuple[int, ...]) -> int:
    """Return the side, in pixels, of the blocks in which `map_figure` averages an array."""
    return -(-max(shape) // _MAX_MAP_SIDE)


def _averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    side = block_side(values.shape)
    if side == 1:
        return values
    height, width = (length // side * side for length in values.shape)
    blocks = values[:height, :width].reshape(height // side, side, width // side, side)
    known = np.isfinite(blocks).sum(axis=(1, 3))
    means: NDArray[np.float64] = np.full(known.shape, np.nan)
    np.divide(np.nansum(blocks, axis=(1, 3)), known, out=means, where=known > 0)
    return means


def _palette() -> list[int]:
    stops = np.array(_MAP_STOPS, np.float64)
    at = np.linspace(0, len(stops) - 1, 255)
    colours = np.stack([np.interp(at, range(len(stops)), stops[:, c]) for c in range(3)], axis=1)
    return [*np.rint(colours).astype(int).reshape(-1).tolist(), 0, 0, 0]
