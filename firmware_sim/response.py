"""The response curve: what a pixel's electronics make of its signal, and the way back.

Real pixels bend: ``r(e) = e (1 + bend e + bend_cubic e^2)`` for signal from 0 to `MAX_BENT`. Its
slope in the dark is 1, so gain and noise keep their meaning there. Below 0 and above `MAX_BENT` it
goes on with slope 1, so every response has a signal (``docs/concepts.md``, "The forward model").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_BENT = 1.25
"""Signal up to which the response bends: a quarter above white."""

MIN_SLOPE, MAX_SLOPE = 0.2, 5.0
"""Limits of the slope: where the response is flatter, a read tells next to nothing."""

_NODES = 1 << 16
"""Intervals of the tabled inverse, whose linear interpolation is exact to float32."""

Signal = TypeVar("Signal", bound=Any)
"""An array of NumPy or a tensor of PyTorch, of floats."""


@dataclass(frozen=True)
class Response:
    """A response curve; straight where both coefficients are 0.

    Parameters
    ----------
    bend, bend_cubic : float
        Relative deviation from the straight line at signal 1.0: the part that grows with the
        signal, and the part that grows with its square.
    """

    bend: float = 0.0
    bend_cubic: float = 0.0

    @property
    def straight(self) -> bool:
        """Whether the response is the signal itself."""
        return self.bend == 0 and self.bend_cubic == 0

    @property
    def usable(self) -> bool:
        """Whether the slope stays within `MIN_SLOPE` and `MAX_SLOPE`, so that an inverse exists."""
        places = [0.0, MAX_BENT]
        if self.bend_cubic != 0:
            places.append(min(max(-self.bend / (3 * self.bend_cubic), 0.0), MAX_BENT))
        slopes = self.slope(places)
        return bool(slopes.min() >= MIN_SLOPE and slopes.max() <= MAX_SLOPE)

    def respond(self, signal: Signal) -> Signal:
        """Bend an array or tensor of any shape; one that is straight comes back as it is."""
        if self.straight:
            return signal
        lit = signal.clip(0.0, MAX_BENT)
        bent: Signal = signal + lit * lit * (lit * self.bend_cubic + self.bend)
        return bent

    def slope(self, signal: ArrayLike) -> NDArray[np.float64]:
        """Return the slope of the response at `signal`, float64 of its shape."""
        e = np.asarray(signal, np.float64)
        slope = 1 + e * (2 * self.bend + 3 * self.bend_cubic * e)
        return np.where((e >= 0) & (e <= MAX_BENT), slope, 1.0)

    def linearise(self, response: NDArray[Any]) -> NDArray[np.float32]:
        """Undo `respond`: return the signal, float32 of any shape, which gives this response."""
        response = response.astype(np.float32, copy=False)
        if self.straight:
            return response
        nodes, steps, top = _inverse(self)
        lit = np.fmin(np.fmax(response, np.float32(0.0)), top)  # of NaN, 0: it stays NaN below
        at = lit * np.float32(_NODES / top)
        left = np.minimum(np.floor(at), np.float32(_NODES - 1))
        node = left.astype(np.int32)
        return np.asarray(nodes[node] + (at - left) * steps[node] + (response - lit))


@lru_cache(maxsize=4)
def _inverse(response: Response) -> tuple[NDArray[np.float32], NDArray[np.float32], np.float32]:
    """Return the signal at evenly spaced responses, its steps, and the last of those responses."""
    fine = np.linspace(0.0, MAX_BENT, 4 * _NODES + 1)
    bent = response.respond(fine)
    nodes = np.interp(np.linspace(0.0, bent[-1], _NODES + 1), bent, fine)
    return nodes[:-1].astype(np.float32), np.diff(nodes).astype(np.float32), np.float32(bent[-1])
