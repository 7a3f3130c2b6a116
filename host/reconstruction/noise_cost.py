"""What other noise than that of its training costs a network, as its bundle states it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any

import numpy as np

from focalloop.firmware_sim.errors import FocalloopError

TINY = 1e-6
"""Deviation that counts as no noise."""

WORTH_DB = 0.05
"""Loss from which a network that is told the noise is better; less is none."""

Table = tuple[tuple[float, ...], ...]

_TABLES = ("loss_db", "low_db", "high_db")


class NoiseCostError(FocalloopError, ValueError):
    """What a bundle states is no table of losses."""


@dataclass(frozen=True)
class NoiseCost:
    """Losses of a network against one that is told the noise, over shot and read noise.

    Attributes
    ----------
    against : str
        Bundle of the network that is told the noise.
    s_ss, s_r : tuple of float
        Noise at which both were measured, ascending.
    loss_db : tuple of tuple of float
        For each `s_ss` and then `s_r`, how far the PSNR of the mean squared error is below that of
        `against`, dB; negative where it is above.
    low_db, high_db : tuple of tuple of float or None
        What a tenth of the scenes lose less, and a tenth more, in the same form; None in bundles
        of older versions.
    """

    against: str
    s_ss: tuple[float, ...]
    s_r: tuple[float, ...]
    loss_db: Table
    low_db: Table | None = None
    high_db: Table | None = None

    @classmethod
    def from_manifest(cls, stated: Any) -> NoiseCost:  # noqa: ANN401 - any JSON value
        """Read what a bundle states.

        Raises
        ------
        NoiseCostError
            It is not of this form.
        """
        try:
            against, axes = stated["against"], [stated[name] for name in ("s_ss", "s_r")]
            names = [name for name in _TABLES if name in stated]
            tables = [stated[name] for name in names]
            ascending = all(axis == sorted({*axis}) and axis[0] > 0 for axis in axes)
            sizes = all([len(row) for row in t] == [len(axes[1])] * len(axes[0]) for t in tables)
            known = all(isfinite(each) for each in chain(*axes, *chain(*tables)))
            whole = names in (["loss_db"], list(_TABLES)) and len(stated) == 3 + len(names)
        except (LookupError, TypeError):
            ascending = sizes = known = whole = False
        if not (ascending and sizes and known and whole and isinstance(against, str)):
            raise NoiseCostError("'noise_cost' is no table of losses over s_ss and s_r")
        s_ss, s_r = map(tuple, axes)
        return cls(against, s_ss, s_r, *(tuple(map(tuple, table)) for table in tables))

    def at(self, s_ss: float, s_r: float) -> float:
        """Return the loss at a noise in dB, between the measured ones by the noises' logarithms.

        Over the read noise as a monotone cubic: the loss is flat where the network learned, and
        then steep. Beyond the measured noises, that of the nearest.
        """
        return self._between(self.loss_db, s_ss, s_r)

    def spread_at(self, s_ss: float, s_r: float) -> tuple[float, float] | None:
        """Return what eight of ten scenes lose at a noise, dB; None where it is not stated."""
        if self.low_db is None or self.high_db is None:
            return None
        return self._between(self.low_db, s_ss, s_r), self._between(self.high_db, s_ss, s_r)

    def _between(self, table: Table, s_ss: float, s_r: float) -> float:
        from scipy.interpolate import PchipInterpolator  # slow to import

        if len(self.s_r) == 1:
            by_read = [row[0] for row in table]
        else:
            read = np.clip(_log(s_r), *_log((self.s_r[0], self.s_r[-1])))
            by_read = [float(PchipInterpolator(_log(self.s_r), row)(read)) for row in table]
        return float(np.interp(_log(s_ss), _log(self.s_ss), by_read))


def _log(noise: float | tuple[float, ...]) -> Any:  # noqa: ANN401 - as np.log
    return np.log(np.maximum(noise, TINY))
