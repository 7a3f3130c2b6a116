"""Which network rebuilds the windows, changed while they come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.board.window import Window
from focalloop.host.live.state import BundleState
from focalloop.host.reconstruction.bundle import (
    DEFAULT_BUNDLE,
    UNIVERSAL_BUNDLE,
    Bundle,
    BundleError,
    list_bundles,
)
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    NetworkFree,
    ReconstructError,
    Reconstructor,
)

THREADS = 2
"""Threads inside one reconstruction: the shortest wait for one window on two cores."""


@dataclass(frozen=True, eq=False)
class _Choice:
    """A way to reconstruct, whole, so that it is exchanged in one step."""

    name: str
    rebuild: Reconstructor
    bundle: Bundle | None = None
    _suited: WeakKeyDictionary[RatioMap, bool] = field(default_factory=WeakKeyDictionary)

    def suits(self, ratio_map: RatioMap) -> bool:
        """Whether its network may be trusted under this map; never without a network."""
        if self.bundle is None:
            return False
        known = self._suited.get(ratio_map)
        if known is None:
            known = self._suited[ratio_map] = self.bundle.suits(ratio_map)
        return known

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map of its bundle."""
        return None if self.bundle is None else self.bundle.ratio_map


class Rebuilder:
    """Reconstructs windows with a bundle's network, or without one.

    What a network makes of another map than it was trained for is not to be trusted: a window that
    was taken under one is reconstructed by the network of `UNIVERSAL_BUNDLE`, or, where that suits
    the map no better or is not shipped, without a network.

    Parameters
    ----------
    bundle : str or None, optional
        Name or path of a bundle, `NETWORK_FREE`, or None for the default bundle, or without a
        network where that is not shipped.

    Raises
    ------
    BundleError, ReconstructError
        If the named bundle cannot be used.
    """

    def __init__(self, bundle: str | None = None) -> None:
        self._lock = threading.Lock()
        self._offered: dict[str, BundleState] = {}
        if bundle is None:
            bundle = DEFAULT_BUNDLE if DEFAULT_BUNDLE in list_bundles() else NETWORK_FREE
        self._network_free = _Choice(NETWORK_FREE, NetworkFree())
        self._universal: _Choice | None = None  # loaded when a map needs it
        # The chosen way; beside it, during a change, the one for windows of the other map.
        self._ways: tuple[_Choice, ...] = (self._load(bundle),)

    @property
    def name(self) -> str:
        """What reconstructs: the bundle's name or path as given, or `NETWORK_FREE`."""
        return self._ways[0].name

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the board is to begin with; None without a network."""
        return self._ways[0].ratio_map

    @contextmanager
    def changing(self, name: str) -> Iterator[RatioMap | None]:
        """Change to a shipped bundle, to the one given at the start, or to no network.

        In the ``with`` block the board gets the map that is handed out, if one is. Each window is
        rebuilt by a network that suits its map, before, in and after the block, however many are
        under way when the board changes over. If the block raises, nothing has changed.

        Raises
        ------
        BundleError, ReconstructError
            If there is no such bundle among those on offer, or it cannot be used.
        """
        names = [bundle.name for bundle in self.offer()]
        if name not in names:
            raise BundleError(f"there is no bundle {name!r} here: choose one of {', '.join(names)}")
        present, coming = self._ways[0], self._load(name)
        self._ways = (present, coming)
        try:
            yield coming.ratio_map
        except BaseException:
            self._ways = (present,)
            raise
        self._ways = (coming,) if coming.ratio_map is None else (coming, present)

    def settle(self) -> None:
        """Forget the network of the map before: another map is to come, and not of its bundle."""
        self._ways = self._ways[:1]

    def offer(self) -> list[BundleState]:
        """Return everything that can be selected; a damaged bundle is left out."""
        with self._lock:
            if not self._offered:
                self._offered = _offer([self.name, *list_bundles()])
            return list(self._offered.values())

    def name_for(self, ratio_map: RatioMap) -> str:
        """Return the name of what reconstructs under a map: `name`, where its network suits it."""
        return self._way_for(ratio_map).name

    def __call__(self, window: Window) -> tuple[Float32, str | None]:
        """Reconstruct one window, with a network if one may be trusted under the window's map.

        Returns
        -------
        video : ndarray of float32, shape (T, H, W)
        problem : str or None
            Why the network could not be used; then the video, and all after it, come without one.
        """
        chosen = self._way_for(window.ratio_map)
        if chosen is self._network_free and self.name != NETWORK_FREE and self._universal is None:
            self._universal = self._load_universal()
            chosen = self._way_for(window.ratio_map)
        try:
            return chosen.rebuild(window.reads, window.ratio_map), None
        except ReconstructError as error:
            if chosen is self._network_free:
                raise
            self._ways, problem = (self._network_free,), str(error)
        return self._network_free.rebuild(window.reads, window.ratio_map), problem

    def _way_for(self, ratio_map: RatioMap) -> _Choice:
        ways = self._ways  # once, as another thread may change them meanwhile
        if self._universal is not None and ways != (self._network_free,):
            ways = (*ways, self._universal)
        return next((way for way in ways if way.suits(ratio_map)), self._network_free)

    def _load_universal(self) -> _Choice:
        try:
            return self._load(UNIVERSAL_BUNDLE)
        except (BundleError, ReconstructError):
            return self._network_free

    def _load(self, name: str) -> _Choice:
        if name == NETWORK_FREE:
            return self._network_free
        bundle = Bundle.load(name)
        return _Choice(name, bundle.reconstructor(THREADS), bundle)


def _offer(names: list[str]) -> dict[str, BundleState]:
    offered = {}
    for name in dict.fromkeys(names):
        if name == NETWORK_FREE:
            continue
        try:
            bundle = Bundle.load(name)
        except BundleError:
            continue
        ratio_map = bundle.ratio_map
        offered[name] = BundleState(
            name,
            bundle.name,
            ratio_map.ratio,
            aperture=ratio_map.aperture is not None,
            any_map=bundle.reach is not None,
            psnr_db=bundle.psnr_db,
        )
    offered[NETWORK_FREE] = BundleState(NETWORK_FREE, "no network")
    return offered
