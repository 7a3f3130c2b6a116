"""What a live session deploys: the ratio map on the board and the network, changed together.

The board thread calls `restore` and `locked`, the reconstruction thread calls `load` once, and any
other thread may call `upload` and `select`. A lock lets one change happen at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, BoardLostError, sentence
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.network_selector import NetworkSelector
from focalloop.host.live.networks import Networks
from focalloop.host.live.state import BundleState, Phase
from focalloop.host.live.telemetry import Telemetry
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE
from focalloop.host.recording.messages import ABOUT_MAP

if TYPE_CHECKING:
    from focalloop.host.live.adaptive_loop import AdaptiveLoop


class MapChangedError(FocalloopError):
    """The map that the board runs is not the one that a request counts on."""


DEFAULT_TILE = "tile-2of16"
"""Map where neither the user nor a bundle names one."""


NO_BOARD = "no board is connected: try again in a moment"


class Deployment:
    """The ratio map that the board runs and the network that reconstructs its windows.

    Changes are made one at a time: a second one waits for the first.

    Parameters
    ----------
    telemetry : Telemetry
        Records progress and messages.
    bundle : str or None
        As for `NetworkSelector`.
    ratio_map : RatioMap or None
        Map to begin with; by default that of the bundle, or `DEFAULT_TILE` without a bundle.
    networks : Networks
        As for `NetworkSelector`.
    adaptive : AdaptiveLoop or None, optional
        Brings the map to begin with, in place of `ratio_map`, if the board can run it.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        bundle: str | None,
        ratio_map: RatioMap | None,
        networks: Networks,
        adaptive: AdaptiveLoop | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._adaptive = adaptive
        self._bundle, self._networks = bundle, networks
        self._first_map, self._first_bundle = ratio_map, ""
        self._map: RatioMap | AdaptiveMap | None = ratio_map
        self._uploaded = False
        self._before: RatioMap | AdaptiveMap | None = None
        self._loading: Future[NetworkSelector] = Future()
        self._changing = threading.Lock()
        self._setups: dict[tuple[bytes, str], int] = {}
        self._numbering = threading.Lock()

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the board runs, at rest if it is adaptive; None before the first upload."""
        running = self._map if self._uploaded else None
        return running.resting if isinstance(running, AdaptiveMap) else running

    @property
    def adaptive_map(self) -> AdaptiveMap | None:
        """Adaptive map that the board runs, if it runs one."""
        running = self._map if self._uploaded else None
        return running if isinstance(running, AdaptiveMap) else None

    @property
    def can_go_back(self) -> bool:
        """Whether `back` has a map to restore."""
        return self._before is not None

    @property
    def selector(self) -> NetworkSelector | None:
        """Selects the network of each window; None while it is loading or if that failed."""
        done = self._loading.done() and self._loading.exception() is None
        return self._loading.result() if done else None

    def noise_note(self, correction: BoardCorrection) -> str:
        """Say how the noise of so corrected reads differs from what reconstructs is for, or ""."""
        selector, ratio_map = self.selector, self.ratio_map
        if selector is None or ratio_map is None:
            return ""
        return selector.noise_note(correction.map_for(ratio_map), correction.noise_of_reads())

    def setup_of(self, ratio_map: RatioMap, by: str, *, under_grid: bool = False) -> int:
        """Return the number of a pair of map and network, from 1 to 65535.

        What was measured of one pair says nothing of another; the number tells them apart. An
        adaptive map is one map, whatever its grid is.

        Parameters
        ----------
        ratio_map : RatioMap
            Map of a window.
        by : str
            Name of the bundle that reconstructs under it; "" while it is loading.
        under_grid : bool, optional
            Whether it was composed.
        """
        adaptive_map = self.adaptive_map
        if adaptive_map is not None and (under_grid or ratio_map == adaptive_map.resting):
            map_hash = adaptive_map.hash()
        else:
            map_hash = ratio_map.hash()
        with self._numbering:
            following = 1 + len(self._setups) % 0xFFFF
            return self._setups.setdefault((map_hash, by), following)

    def load(self) -> NetworkSelector:
        """Load the network; every method may wait for it, the properties never do.

        Raises
        ------
        BundleError, ReconstructError
            If the bundle cannot be used.
        """
        try:
            selector = NetworkSelector(self._bundle, self._networks)
        except FocalloopError as error:
            self._loading.set_exception(error)
            raise
        self._first_bundle = selector.name
        self._loading.set_result(selector)
        if self._bundle is None and selector.name == NETWORK_FREE:
            self._telemetry.log(
                "No bundle is installed: windows are reconstructed without a network.", "warning"
            )
        return selector

    def bundles(self) -> list[BundleState]:
        """Return everything that can be selected; an empty list while it is loading."""
        selector = self.selector
        return [] if selector is None else selector.bundles(self.ratio_map)

    def restore(self, board: Board) -> None:
        """Upload the map to a board that has just been opened or has come back."""
        with self._changing:
            self._restore(board)

    def rest(self, board: Board | None) -> None:
        """Go back to the map and the bundle to begin with.

        A board that is away, or vanishes meanwhile, gets the map when it is back.

        Parameters
        ----------
        board : Board or None
            None if there is none.

        Raises
        ------
        BundleError, BoardError, BoardLostError
            As for `select`.
        """
        with self._changing:
            selector = self._loading.result()
            self._map, self._before = self._first_map, None
            if selector.name != self._first_bundle:
                with selector.changing(self._first_bundle):
                    pass
            if board is not None:
                self._restore(board)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other thread from changing map or network while the block runs."""
        with self._changing:
            yield

    def upload(self, board: Board | None, ratio_map: RatioMap, based_on: str | None = None) -> None:
        """Upload a map whatever the network is; returns once the board runs it.

        Parameters
        ----------
        board : Board or None
            None if there is none.
        ratio_map : RatioMap
            Map to run.
        based_on : str, optional
            Hash of the map that it is to replace; by default whatever the board runs.

        Raises
        ------
        MapChangedError
            The board runs another map than `based_on`.
        RatioMapError, BoardError, BoardLostError
            If the board cannot run it, refused it, or is gone; it keeps the old map.
        """
        with self._changing:
            before = self._map if self._uploaded else None
            if based_on is not None and (before is None or before.hash_hex != based_on):
                raise MapChangedError(
                    "the board has got another map meanwhile, so this one was not uploaded and "
                    "nothing is overwritten: look at the difference, and upload it over that map "
                    "if you still want to"
                )
            self._loading.result().forget_previous()
            self._upload(board, ratio_map, "the ratio map")
            self._before = before

    def back(self, board: Board | None) -> None:
        """Upload the map again that the board ran before the last `upload`.

        Raises
        ------
        MapChangedError
            There is none, or it was given up by `keep` or by the map of a bundle.
        RatioMapError, BoardError, BoardLostError
            As for `upload`.
        """
        with self._changing:
            if self._before is None:
                raise MapChangedError("there is no map to go back to: upload the one that you want")
            self._upload(board, self._before, "the ratio map before")
            self._before = None

    def keep(self) -> None:
        """Give up the map before the last `upload`."""
        with self._changing:
            self._before = None

    def select(self, board: Board | None, name: str) -> None:
        """Upload the map of a bundle and reconstruct with its network from then on.

        `NETWORK_FREE` keeps the board's map. Returns once map and network are in use.

        Raises
        ------
        BundleError, ReconstructError
            If there is no such bundle, or it cannot be used.
        RatioMapError, BoardError, BoardLostError
            As for `upload`. Whatever is raised, map and network stay as they were.
        """
        with self._changing:
            try:
                with self._loading.result().changing(name) as ratio_map:
                    if ratio_map is not None:
                        self._upload(board, ratio_map, f"the ratio map of {name}")
                        self._before = None
            except FocalloopError as error:
                self._telemetry.log(f"{name} was not selected: {sentence(error)}", "warning")
                raise
        self._telemetry.log(f"Windows are now reconstructed by {name}.")

    def follow_scene(self, board: Board | None, adaptive: AdaptiveLoop) -> None:
        """Upload the adaptive map again, after another map has taken its place.

        Raises
        ------
        RatioMapError, BoardError, BoardLostError
            As for `upload`.
        """
        with self._changing:
            if board is None:
                raise BoardLostError(NO_BOARD)
            adaptive_map = adaptive.fitted_to(board.info)
            self._loading.result().forget_previous()
            self._upload(board, adaptive_map, "the adaptive map")

    def _restore(self, board: Board) -> None:
        if self._adaptive is not None and not isinstance(self._map, RatioMap):
            self._upload_adaptive(board, self._adaptive)
            return
        ratio_map = self._map or self._loading.result().ratio_map
        if ratio_map is None:
            info, tile = board.info, NAMED_TILES[DEFAULT_TILE]
            ratio_map = RatioMap.from_tile(tile, info.shape, info.slots, info.level_set)
        self._upload(board, ratio_map, "the ratio map")

    def _upload_adaptive(self, board: Board, adaptive: AdaptiveLoop) -> None:
        """Upload the adaptive map, or its resting map to a board that cannot run it."""
        adaptive_map = adaptive.fitted_to(board.info)
        try:
            self._upload(board, adaptive_map, "the adaptive map")
        except (RatioMapError, BoardError) as error:
            self._upload(board, adaptive_map.resting, "the resting map")
            self._telemetry.log(
                f"{sentence(error)} The resting map runs, and does not follow the scene.", "warning"
            )

    def _upload(self, board: Board | None, ratio_map: RatioMap | AdaptiveMap, what: str) -> None:
        if board is None:
            raise BoardLostError(NO_BOARD)
        telemetry, activity = self._telemetry, f"uploading {what}"
        before = telemetry.phase
        telemetry.enter(Phase.UPLOADING, activity, 0.0)
        started_s = time.monotonic()
        try:
            self._map = board.upload(
                ratio_map,
                lambda done, total: telemetry.enter(Phase.UPLOADING, activity, done / total),
            )
            self._uploaded = True
        except FocalloopError:
            if telemetry.phase is Phase.UPLOADING:  # otherwise the loss of the board is shown
                telemetry.enter(before)
            raise
        telemetry.enter(Phase.STREAMING)
        at_rest = self._map.resting if isinstance(self._map, AdaptiveMap) else self._map
        if self._adaptive is not None:
            self._adaptive.follow(board, self._map, lambda text: telemetry.log(text, "warning"))
        telemetry.log(
            f"The board runs {what}, {at_rest.mean_level:.2f} measurements per pixel, uploaded in "
            f"{time.monotonic() - started_s:.2f} s.",
            about=ABOUT_MAP,
        )
