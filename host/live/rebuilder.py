"""Which network rebuilds the windows, changed while they come."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from firmware_sim.ratio_map import RatioMap, RatioMapError
from host.bundle import DEFAULT_BUNDLE, Bundle, BundleError, list_bundles
from host.live.state import BundleState
from host.reconstruct import NETWORK_FREE, Float32, NetworkFree, ReconstructError, Reconstructor
from host.windows import Window

THREADS = 2
"""Threads inside one reconstruction: the shortest wait for one window on two cores."""


@dataclass(frozen=True, eq=False)
class _Choice:
    """A way to reconstruct, whole, so that it is exchanged in one step."""

    name: str
    rebuild: Reconstructor
    ratio_map: RatioMap | None

    def suits(self, ratio_map: RatioMap) -> bool:
        """Whether it was made for this map, or for any."""
        if self.ratio_map is None:
            return True
        try:
            return self.ratio_map.tiled_to(*ratio_map.shape).hash() == ratio_map.hash()
        except RatioMapError:
            return False


class Rebuilder:
    """Reconstructs windows with a bundle's network, or without one.

    A window that was taken under another map than the network was trained for is reconstructed
    without it, as what the network makes of other maps is not to be trusted.

    Parameters
    ----------
    bundle
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
        self._network_free = NetworkFree()
        self._choice = self._load(bundle)

    @property
    def name(self) -> str:
        """What reconstructs: the bundle's name or path as given, or `NETWORK_FREE`."""
        return self._choice.name

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the network was trained for; None without a network."""
        return self._choice.ratio_map

    def select(self, name: str) -> None:
        """Reconstruct with a shipped bundle, with the one given at the start, or without one.

        Raises
        ------
        BundleError, ReconstructError
            If there is no such bundle among those on offer, or it cannot be used; the present one
            stays.
        """
        names = [bundle.name for bundle in self.offer()]
        if name not in names:
            raise BundleError(f"there is no bundle {name!r} here: choose one of {', '.join(names)}")
        self._choice = self._load(name)

    def offer(self) -> list[BundleState]:
        """Return everything that can be selected; a damaged bundle is left out."""
        with self._lock:
            if not self._offered:
                self._offered = _offer([self._choice.name, *list_bundles()])
            return list(self._offered.values())

    def is_trained_for(self, ratio_map: RatioMap) -> bool:
        """Whether the network was trained for this map, or needs no training at all."""
        return self._choice.suits(ratio_map)

    def __call__(self, window: Window) -> tuple[Float32, str | None]:
        """Reconstruct one window, with the network if it was trained for the window's map.

        Returns
        -------
        video : ndarray of float32, shape (T, H, W)
        problem : str or None
            Why the network could not be used; then the video, and all after it, come without one.
        """
        choice, problem = self._choice, None  # once, as another thread may select meanwhile
        if choice.suits(window.ratio_map):
            try:
                return choice.rebuild(window.reads, window.ratio_map), None
            except ReconstructError as error:
                if choice.name == NETWORK_FREE:
                    raise
                self._choice, problem = self._load(NETWORK_FREE), str(error)
        return self._network_free(window.reads, window.ratio_map), problem

    def _load(self, name: str) -> _Choice:
        if name == NETWORK_FREE:
            return _Choice(name, self._network_free, None)
        bundle = Bundle.load(name)
        return _Choice(name, bundle.reconstructor(THREADS), bundle.ratio_map)


def _offer(names: list[str]) -> dict[str, BundleState]:
    offered = {}
    for name in dict.fromkeys(names):
        if name == NETWORK_FREE:
            continue
        try:
            bundle = Bundle.load(name)
        except BundleError:
            continue
        offered[name] = BundleState(name, bundle.name, bundle.ratio_map.mean_level)
    offered[NETWORK_FREE] = BundleState(NETWORK_FREE, "no network", None)
    return offered
