"""What the sensor of the virtual board runs: a ratio map, or an adaptive map with its grids."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.virtual_board.refusal import Refusal
from focalloop.firmware_sim.wire import (
    MAP_HASH_PREFIX_BYTES,
    MAX_GRID_AHEAD,
    MAX_PENDING_GRIDS,
    NO_HASH,
    ErrorCode,
    GridRequest,
)


@dataclass(frozen=True, eq=False)
class WindowMap:
    """The map under which a window is read, with the first bytes of the hash that it states."""

    ratio_map: RatioMap
    prefix: bytes

    @classmethod
    def of(cls, ratio_map: RatioMap) -> WindowMap:
        """Return a ratio map under its own hash."""
        return cls(ratio_map, ratio_map.hash()[:MAP_HASH_PREFIX_BYTES])


class ActiveMap:
    """The active map, and the grids that are set and to come.

    Parameters
    ----------
    start : RatioMap, optional
        Map that is active from the start.
    """

    def __init__(self, start: RatioMap | None) -> None:
        self._active: RatioMap | AdaptiveMap | None = start
        self._resting = None if start is None else WindowMap.of(start)
        self._present = self._resting
        self._pending: deque[tuple[int, WindowMap]] = deque()

    @property
    def resting(self) -> RatioMap | None:
        """The active ratio map; of an adaptive map, its resting map."""
        return None if self._resting is None else self._resting.ratio_map

    def hash(self) -> bytes:
        """Return the hash of the active map, zeros if there is none."""
        return NO_HASH if self._active is None else self._active.hash()

    def activate(self, new: RatioMap | AdaptiveMap) -> None:
        """Make another map the active one, from the next window on."""
        self._active = new
        self._resting = WindowMap.of(new if isinstance(new, RatioMap) else new.resting)
        self.rest()

    def rest(self) -> None:
        """Drop all grids: the resting map applies from the next window on."""
        self._present = self._resting
        self._pending.clear()

    def begin(self, number: int) -> WindowMap | None:
        """Return the map of the exposure that begins now, and that gets `number` if it is read."""
        while self._pending and self._pending[0][0] <= number:
            self._present = self._pending.popleft()[1]
        return self._present

    def set_grid(self, request: GridRequest, next_begun: int) -> None:
        """Take a grid for a window that is still to be begun.

        Parameters
        ----------
        request : GridRequest
            The window from which on it applies, and the grid; empty for the resting map.
        next_begun : int
            Number of the next window to be begun.

        Raises
        ------
        Refusal
            There is no adaptive map, or the grid does not fit it or is too late, too early, out of
            order or one too many.
        """
        active, resting = self._active, self._resting
        if not isinstance(active, AdaptiveMap) or resting is None:
            raise Refusal(ErrorCode.NO_MAP, "no adaptive map is active: upload a palette")
        rows, columns = active.grid_shape
        if request.grid and len(request.grid) != rows * columns:
            raise Refusal(
                ErrorCode.BAD_BODY,
                f"a grid of {columns}x{rows} blocks has {rows * columns} bytes, not "
                f"{len(request.grid)}",
            )
        new = self._composed(active, request.grid) if request.grid else resting
        window = request.window
        if not next_begun <= window <= next_begun + MAX_GRID_AHEAD:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"window {window} can get no grid: the next to be begun is {next_begun}, and at "
                f"most {MAX_GRID_AHEAD} more are planned",
            )
        if self._pending and window <= self._pending[-1][0]:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"a grid from window {self._pending[-1][0]} on waits already: grids come in the "
                f"order of their windows, so none for window {window} can follow",
            )
        if len(self._pending) == MAX_PENDING_GRIDS:
            raise Refusal(
                ErrorCode.BUSY, f"{MAX_PENDING_GRIDS} grids are waiting: send this one later"
            )
        self._pending.append((window, new))

    def _composed(self, active: AdaptiveMap, grid: bytes) -> WindowMap:
        try:
            ratio_map = active.compose(grid)
            ratio_map.check_measures()
        except RatioMapError as error:
            raise Refusal(ErrorCode.BAD_ARGUMENT, str(error)) from error
        return WindowMap(ratio_map, active.grid_hash(grid)[:MAP_HASH_PREFIX_BYTES])
