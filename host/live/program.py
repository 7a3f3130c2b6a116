"""What a session has its board run, and what rebuilds it: map and network, changed together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError
from focalloop.host.live.ledger import Ledger
from focalloop.host.live.rebuilder import Rebuilder
from focalloop.host.live.report import sentence
from focalloop.host.live.state import BundleState, Phase
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE

DEFAULT_TILE = "tile-2of16"
"""Map where neither the user nor a bundle names one."""


class Program:
    """The ratio map on the board and the way its windows are rebuilt.

    One change at a time: who asks for another meanwhile waits for its turn.

    Parameters
    ----------
    ledger : Ledger
        Takes what happens.
    bundle : str or None
        As for `Rebuilder`.
    ratio_map : RatioMap or None
        Map to begin with; by default the bundle's own, or `DEFAULT_TILE` without one.
    """

    def __init__(self, ledger: Ledger, bundle: str | None, ratio_map: RatioMap | None) -> None:
        self._ledger = ledger
        self._bundle = bundle
        self._map = ratio_map
        self._runs = False
        self._loading: Future[Rebuilder] = Future()
        self._changing = threading.Lock()

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map the board runs; None before the first upload."""
        return self._map if self._runs else None

    @property
    def rebuilder(self) -> Rebuilder | None:
        """What rebuilds; None while it is being loaded, or if that failed."""
        done = self._loading.done() and self._loading.exception() is None
        return self._loading.result() if done else None

    def load(self) -> Rebuilder:
        """Load what rebuilds; every other method but the properties may wait for it.

        Raises
        ------
        BundleError, ReconstructError
            If the bundle cannot be used.
        """
        try:
            rebuilder = Rebuilder(self._bundle)
        except FocalloopError as error:
            self._loading.set_exception(error)
            raise
        self._loading.set_result(rebuilder)
        if self._bundle is None and rebuilder.name == NETWORK_FREE:
            self._ledger.tell("No bundle is installed: windows are rebuilt without one.", "warning")
        return rebuilder

    def offer(self) -> list[BundleState]:
        """Return everything that can be selected; nothing before it is loaded."""
        rebuilder = self.rebuilder
        return [] if rebuilder is None else rebuilder.offer()

    def begin(self, board: Board) -> None:
        """Have a board that is new or back run the map."""
        with self._changing:
            ratio_map = self._map or self._loading.result().ratio_map
            if ratio_map is None:
                info, tile = board.info, NAMED_TILES[DEFAULT_TILE]
                ratio_map = RatioMap.from_tile(tile, info.shape, info.slots, info.level_set)
            self._send(board, ratio_map, "the ratio map")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Let who asks for another map or network wait while the block runs."""
        with self._changing:
            yield

    def upload(self, board: Board | None, ratio_map: RatioMap) -> None:
        """Have the board run a map, whatever rebuilds; returns when it runs.

        Raises
        ------
        RatioMapError, BoardError, BoardLostError
            The board cannot run it, refused it, or is not there; it keeps the old map.
        """
        with self._changing:
            self._loading.result().settle()
            self._send(board, ratio_map, "the ratio map")

    def select(self, board: Board | None, name: str) -> None:
        """Have the board run the map of a bundle, and rebuild with its network from then on.

        `NETWORK_FREE` leaves the board as it is. Returns when all is done.

        Raises
        ------
        BundleError, ReconstructError
            If there is no such bundle on offer, or it cannot be used.
        RatioMapError, BoardError, BoardLostError
            As for `upload`. Map and network stay what they were, whatever is raised.
        """
        with self._changing:
            try:
                with self._loading.result().changing(name) as ratio_map:
                    if ratio_map is not None:
                        self._send(board, ratio_map, f"the ratio map of {name}")
            except FocalloopError as error:
                self._ledger.tell(f"{name} was not chosen: {sentence(error)}", "warning")
                raise
        self._ledger.tell(f"Windows are rebuilt by {name} now.")

    def _send(self, board: Board | None, ratio_map: RatioMap, what: str) -> None:
        if board is None:
            raise BoardLostError("no board is connected: try again in a moment")
        ledger, activity = self._ledger, f"uploading {what}"
        before = ledger.phase
        ledger.enter(Phase.UPLOADING, activity, 0.0)
        started_s = time.monotonic()
        try:
            self._map = board.upload(
                ratio_map,
                lambda done, total: ledger.enter(Phase.UPLOADING, activity, done / total),
            )
            self._runs = True
        except FocalloopError:
            if ledger.phase is Phase.UPLOADING:  # else the board is gone, and that is known
                ledger.enter(before)
            raise
        ledger.enter(Phase.STREAMING)
        ledger.tell(
            f"The board runs {what}, {self._map.mean_level:.2f} measurements a pixel, after "
            f"{time.monotonic() - started_s:.2f} s."
        )
