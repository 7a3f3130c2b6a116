"""The closed loop of a live session: windows that were rebuilt decide how later ones are read.

The session's threads tell it of windows, which takes no time. A thread of its own runs the
controller and sends its grids to the board, so nothing that carries windows waits for either.
While window n + 1 is exposed, window n is rebuilt, so a grid is chosen from window n and names
window n + 2. One that arrives when that has begun is refused by the board and not sent again: what
it was chosen from has grown too old.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.allocation import BudgetError
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import ErrorCode, HelloAnswer
from focalloop.host.adaptive.closed_loop import DELAY
from focalloop.host.adaptive.controller import MAX_WINDOW_S, MEMORY, Controller, Grid, Seen, is_cut
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, BoardLostError, UnknownMapError, sentence
from focalloop.host.live.adaptive_state import AdaptiveState
from focalloop.host.live.mailbox import Mailbox
from focalloop.host.live.telemetry import Durations

MAX_AGE = 4
"""Windows for which a grid may stand without a newer one; then the map rests."""

_REST_AHEAD = 3
"""Windows from the newest that was received to the first that a map rests for: one is exposed then,
and one may begin meanwhile."""

_MAX_SENT = 64
"""Grids that a window may still name: those on their way, and those that stand for long."""

STARTS = "The map rests until two windows are rebuilt."
FOLLOWS = "The map follows the scene."
ONE_TILE = (
    "One tile for all blocks: motion comes and goes, or other tiles for some promise too little."
)
TOO_LONG = (
    f"One tile for all blocks: windows of more than {MAX_WINDOW_S:g} s are too long to follow the "
    "scene."
)
CHANGED = "The map rests: the scene has changed."
BEHIND = "The map rests: windows are not rebuilt in time for the map to follow the scene."
NO_NETWORK = (
    "The map rests: no network rebuilds the windows, and without one a video says too little of "
    "the scene."
)
STATIC = "The board runs a map that does not follow the scene."


class _Rebuilt(NamedTuple):
    window: Window
    video: NDArray[np.float32] | None


class _Sent(NamedTuple):
    """A grid that was set, from which window on, and the exposure that it was chosen from."""

    named: int
    chosen_from: int
    grid: bytes


class AdaptiveLoop:
    """Lets an adaptive map follow the scene.

    Parameters
    ----------
    controller : Controller
        Chooses the grids.
    budget : float or None, optional
        Most reads in a window, relative to a full readout; by default those of the resting map.

    Raises
    ------
    BudgetError
        The palette cannot keep the budget, or cannot use it up.
    """

    def __init__(self, controller: Controller, budget: float | None = None) -> None:
        resting = controller.adaptive_map.resting
        self.budget = resting.ratio if budget is None else budget
        ratios = controller.adaptive_map.tiles.mean(axis=(1, 2)) / resting.slots
        if not ratios.min() <= self.budget <= ratios.max():
            raise BudgetError(
                f"a budget of {self.budget:.3g} cannot be kept and used up: the tiles of this "
                f"palette read {ratios.min():.3g} to {ratios.max():.3g} of a full readout"
            )
        self._lock = threading.Lock()
        self._given = self._controller = controller
        self._board: Board | None = None
        self._tell: Callable[[str], None] = lambda text: None
        self._told: set[str] = set()
        self._activity = STARTS
        self._jobs: Mailbox[_Rebuilt] = Mailbox()
        self._seen: tuple[Seen, ...] = ()  # without a gap ...
        self._seen_last = -1  # ... up to this exposure
        self._newest, self._last_named = 0, -1
        self._chosen_from: int | None = None
        self._sent: deque[_Sent] = deque(maxlen=_MAX_SENT)
        self._counts: Counter[str] = Counter()
        self._delays: Counter[int] = Counter()
        self._reads: int | None = None
        self._choices = Durations(kept=60)

    def fitted_to(self, board: HelloAnswer) -> AdaptiveMap:
        """Return the adaptive map for a board, with a resting map that keeps the budget.

        So do windows that are read before the first grid, or after a loss of the board.

        Raises
        ------
        BudgetError
            At this size, the palette cannot keep the budget.
        RatioMapError
            The map does not fit the array.
        """
        controller = self._given.fitted_to(*board.shape)
        palette = controller.adaptive_map
        at_rest = palette.compose(controller.at_rest(self._reads_of(palette)))
        fitted = AdaptiveMap(at_rest, palette.tiles, palette.block)
        with self._lock:
            self._controller = replace(controller, adaptive_map=fitted)
        return fitted

    def follow(
        self, board: Board, running: RatioMap | AdaptiveMap, tell: Callable[[str], None]
    ) -> None:
        """Choose grids for a board from now on if the map that it runs is one from `fitted_to`.

        `tell` takes sentences for the user.
        """
        with self._lock:
            self._seen, self._chosen_from, self._last_named = (), None, -1
            if isinstance(running, AdaptiveMap):
                self._controller = replace(self._controller, adaptive_map=running)
                self._board, self._tell, self._activity = board, tell, STARTS
            else:
                self._board, self._activity = None, STATIC

    @property
    def resting(self) -> RatioMap:
        """Resting map, as large as the controller's."""
        return self._controller.adaptive_map.resting

    @property
    def active(self) -> bool:
        """Whether the board runs the adaptive map."""
        return self._board is not None

    def received(self, window: Window) -> None:
        """Count a window that has just arrived."""
        with self._lock:
            if not self.active or self._grid_of(window) is None:
                return
            if window.number < self._newest:  # the board was reset
                self._sent.clear()
                self._chosen_from, self._last_named = None, -1
            self._newest, self._reads = window.number, window.plan.count
            budget = self._reads_of(self._controller.adaptive_map)
            self._counts["windows"] += 1
            self._counts["windows_over_budget"] += self._reads > budget
            if window.grid is None:
                return
            self._counts["windows_under_grid"] += 1
            for sent in reversed(self._sent):
                if sent.named <= window.number and sent.grid == window.grid[1]:
                    self._delays[_exposure(window) - sent.chosen_from] += 1
                    return

    def rebuilt(self, window: Window, video: NDArray[np.float32] | None) -> None:
        """Take a window with its video (T, H, W), or None where that cannot be trusted."""
        if self.active and self._jobs.put(_Rebuilt(window, video)) is not None:
            self._count("windows_not_used")

    def run(self) -> None:
        """Choose and send grids until `close`."""
        self._warm_up()
        while (job := self._jobs.take()) is not None:
            with self._lock:
                board, controller, grid = self._board, self._controller, self._grid_of(job.window)
            if board is None or grid is None or not _of_this_boot(job.window, board):
                continue
            if not self._follow(board, controller, job, grid):
                self._count("windows_not_used")
                self._rest_if_old(
                    board, job.window, BEHIND if job.video is not None else NO_NETWORK
                )

    def close(self) -> None:
        """End `run`."""
        self._jobs.close()

    def state(self) -> AdaptiveState:
        """Return a snapshot."""
        with self._lock:
            adaptive_map = self._controller.adaptive_map
            rows, columns = adaptive_map.grid_shape
            return AdaptiveState(
                active=self.active,
                activity=self._activity,
                budget=self.budget,
                budget_reads=self._reads_of(adaptive_map),
                rows=rows,
                columns=columns,
                block=adaptive_map.block,
                tile_reads=tuple(float(tile.mean()) for tile in adaptive_map.tiles),
                reads=self._reads,
                delays=dict(sorted(self._delays.items())),
                choice_ms=self._choices.quantile_ms(0.5),
                **self._counts,
            )

    def _warm_up(self) -> None:
        """Load the kernels of a choice before any is due."""
        reads = self._controller.reads
        self._controller.picks(np.ones_like(reads), float(reads.max(axis=0).sum()))

    def _follow(self, board: Board, controller: Controller, job: _Rebuilt, read: Grid) -> bool:
        """Choose a grid from a window and those before it; return whether it was taken."""
        exposure = _exposure(job.window)
        before = self._seen if exposure == self._seen_last + 1 else ()
        self._seen = ()
        if job.video is None:
            return False
        seen = (*before, Seen(np.clip(job.video, 0, 1), read))[-MEMORY:]
        self._seen, self._seen_last = seen, exposure
        if len(seen) < 2:
            return False
        budget = self._reads_of(controller.adaptive_map)
        started_s = time.thread_time()
        info = board.info
        window_s = info.slots / info.slot_rate_hz if info.slot_rate_hz else 0.0
        grid = controller.next_grid(seen, budget, window_s)
        taken_s = time.thread_time() - started_s
        with self._lock:
            self._choices.add(taken_s)
        at_rest = np.array_equal(grid, controller.at_rest(budget))
        cut = at_rest and is_cut(controller.features(seen[-1], seen[-2]))
        if cut:
            self._seen = seen[-1:]  # what was before tells nothing of what comes
        named = job.window.number + DELAY
        if not _of_this_boot(job.window, board):
            return False  # the same number may be that of a window far ahead now
        if not self._set(board, named, None if at_rest else grid, exposure):
            return False
        self._chosen_from = exposure
        if window_s > MAX_WINDOW_S:
            self._does(TOO_LONG, board)
        elif cut:
            self._does(CHANGED, board)
        else:
            self._does(FOLLOWS if (grid != grid[0, 0]).any() else ONE_TILE, board)
        return True

    def _rest_if_old(self, board: Board, window: Window, why: str) -> None:
        """Return to the resting map if no grid came in time for long."""
        exposure = _exposure(window)
        if self._chosen_from is None:
            self._chosen_from = exposure  # the first window
        if exposure - self._chosen_from > MAX_AGE:
            self._does(why, board)
            self._say(why)
            if window.grid is not None and self._last_named <= window.number:
                self._set(board, self._newest + _REST_AHEAD, None, exposure)

    def _set(self, board: Board, named: int, grid: Grid | None, chosen_from: int) -> bool:
        """Set a grid, or the resting map; return whether the board took it."""
        if named <= self._last_named:
            return False  # the map rests from a later window on
        sent = _Sent(named, chosen_from, b"" if grid is None else grid.tobytes())
        with self._lock:  # before it is sent: its window may come before its answer
            self._sent.append(sent)
        try:
            board.set_grid(named, grid)
        except BoardError as error:
            with self._lock, suppress(ValueError):
                self._sent.remove(sent)
            if error.code != ErrorCode.NO_MAP:  # it was reset, and gets its map again
                self._refused(board, named, error)
            return False
        except (BoardLostError, UnknownMapError):
            return False  # the board is gone, or has got another map
        self._count("grids_taken")
        self._last_named = named
        return True

    def _refused(self, board: Board, named: int, error: BoardError) -> None:
        with suppress(BoardLostError, BoardError):
            if board.status().next_window >= named:
                self._count("grids_late")
                return
            self._count("grids_refused")
            self._say(str(error), about=str(error.code))

    def _does(self, activity: str, board: Board) -> None:
        """Note what the map does, unless the board has got another one meanwhile."""
        with self._lock:
            if self._board is board:
                self._activity = activity

    def _say(self, text: str, about: str = "") -> None:
        """Tell the user, once about each thing."""
        if (about or text) not in self._told:
            self._told.add(about or text)
            self._tell(sentence(text))

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _grid_of(self, window: Window) -> Grid | None:
        """Return how the blocks of a window were read; None if it is of another map."""
        adaptive_map = self._controller.adaptive_map
        if window.grid is not None:
            composed_of, packed = window.grid
            return adaptive_map.grid(packed) if composed_of.hash() == adaptive_map.hash() else None
        if window.ratio_map != adaptive_map.resting:
            return None
        return self._controller.at_rest(self._reads_of(adaptive_map))

    def _reads_of(self, adaptive_map: AdaptiveMap) -> int:
        """Return the budget in reads."""
        height, width = adaptive_map.shape
        return int(self.budget * height * width * adaptive_map.resting.slots + 1e-6)


def _of_this_boot(window: Window, board: Board) -> bool:
    """Whether the board counts its windows as it did when it sent this one."""
    return window.board is None or window.board.boot_id == board.info.boot_id


def _exposure(window: Window) -> int:
    """Return how many windows the board had exposed before this one, read out or not."""
    return window.number + window.skipped
