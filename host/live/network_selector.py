"""Which network reconstructs a window: selected by its ratio map, and changed while streaming."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.live.networks import Network, Networks
from focalloop.host.live.state import BundleState
from focalloop.host.reconstruction.bundle import Bundle, BundleError, universal_for
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.noise_fit import noise_note, told_note
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    ReconstructError,
    Reconstructor,
)
from focalloop.models import zoo
from focalloop.models.zoo import DEFAULT_BUNDLE


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One way to reconstruct: a bundle with its network, or the network-free path."""

    name: str
    reconstruct: Reconstructor
    bundle: Bundle | None = None
    network: Network | None = None
    _suited: WeakKeyDictionary[RatioMap, bool] = field(default_factory=WeakKeyDictionary)
    _instead: dict[NoiseProfile, str | None] = field(default_factory=dict)

    def suits(self, ratio_map: RatioMap) -> bool:
        """Whether its network can be trusted under this map; False without a network."""
        if self.bundle is None:
            return False
        known = self._suited.get(ratio_map)
        if known is None:
            known = self._suited[ratio_map] = self.bundle.suits(ratio_map)
        return known

    def told(self, noise: NoiseProfile | None) -> Reconstructor:
        """Return what reconstructs reads of this noise; None is that of the training."""
        if noise is None or self.network is None:
            return self.reconstruct
        return self.network.told(noise.shot_and_read())

    def told_instead(self, noise: NoiseProfile | None) -> str | None:
        """Return the bundle that is told the noise, where its network loses to that."""
        if noise is None or self.bundle is None:
            return None
        if noise not in self._instead:
            self._instead[noise] = self.bundle.told_instead(noise)
        return self._instead[noise]

    def why_not(self, noise: NoiseProfile | None) -> str:
        """Say why `told_instead` reconstructs; "" where its noise is what this network knows."""
        if noise is None or self.bundle is None:
            return ""
        return told_note(self.bundle, noise) or ""

    def note(self, noise: NoiseProfile | None) -> str:
        """Say how this noise differs from what its network is for; "" where it does not."""
        if noise is None or self.bundle is None:
            return ""
        return noise_note(self.bundle, noise) or ""

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map of its bundle."""
        return None if self.bundle is None else self.bundle.ratio_map


class Reconstruction(NamedTuple):
    """One window as video, and what made it.

    Attributes
    ----------
    video : ndarray of float32, shape (T, H, W)
        White is 1; values may lie outside [0, 1].
    by : str
        Name of the bundle, or `NETWORK_FREE`.
    problem : str or None
        Why the network failed; this window and all later ones then come without a network.
    """

    video: Float32
    by: str
    problem: str | None


class NetworkSelector:
    """Reconstructs windows with a bundle's network, or without a network.

    A network cannot be trusted under a map for which it was not trained. A window taken under such
    a map is reconstructed by the bundle that `universal_for` names or, where that one does not suit
    the map either or is not shipped, without a network. Under noise that costs it something against
    the universal bundle that is told the noise, by the latter.

    The reconstruction thread calls `reconstruct`; any other thread may change the bundle meanwhile.

    Parameters
    ----------
    bundle : str or None
        Name or path of a bundle, or `NETWORK_FREE`; None for the default bundle, or no network
        where the default bundle is not shipped.
    networks : Networks
        Where they run.

    Raises
    ------
    BundleError, ReconstructError
        If the named bundle cannot be used.
    """

    def __init__(self, bundle: str | None, networks: Networks) -> None:
        self._networks = networks
        self._lock = threading.Lock()
        self._listed: dict[str, tuple[BundleState, Bundle | None]] = {}
        if bundle is None:
            bundle = DEFAULT_BUNDLE if DEFAULT_BUNDLE in zoo.BUNDLES else NETWORK_FREE
        self._network_free = _Candidate(NETWORK_FREE, networks.network_free)
        self._universal: dict[str, _Candidate] = {}  # by name, loaded once a map needs it
        # The selected candidate, then that of the previous map, whose windows may still arrive.
        self._candidates: tuple[_Candidate, ...] = (self._load(bundle),)

    @property
    def name(self) -> str:
        """The selected bundle's name or path as given, or `NETWORK_FREE`."""
        return self._candidates[0].name

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map of the selected bundle; None without a network."""
        return self._candidates[0].ratio_map

    @contextmanager
    def changing(self, name: str) -> Iterator[RatioMap | None]:
        """Change to another of `bundles`.

        The caller uploads the map that the context manager yields, if it is not None, inside the
        block. Before, during and after the block each window is reconstructed by a network that
        suits its map, so windows already under way when the board switches maps are not mixed up.
        If the block raises, nothing has changed.

        Raises
        ------
        BundleError, ReconstructError
            If there is no such bundle, or it cannot be used.
        """
        check_offered(name, self.bundles())
        present, coming = self._candidates[0], self._load(name)
        self._candidates = (present, coming)
        try:
            yield coming.ratio_map
        except BaseException:
            self._candidates = (present,)
            raise
        self._candidates = (coming,) if coming.ratio_map is None else (coming, present)

    def forget_previous(self) -> None:
        """Drop the network of the previous map, because the next map is not from a bundle."""
        self._candidates = self._candidates[:1]

    def bundles(self, ratio_map: RatioMap | None = None) -> list[BundleState]:
        """Return the bundle given at the start, the shipped ones and `NETWORK_FREE`.

        Damaged bundles are left out. Those that suit a map are marked, if it is given.
        """
        with self._lock:
            if not self._listed:
                self._listed = _describe([self.name, *zoo.BUNDLES])
            return [
                replace(state, suits=bundle is None or bundle.suits(ratio_map))
                if ratio_map is not None
                else state
                for state, bundle in self._listed.values()
            ]

    def name_for(self, ratio_map: RatioMap, noise: NoiseProfile | None) -> str:
        """Return the name of the bundle that reconstructs under a map, or `NETWORK_FREE`.

        Of those that are loaded; `load_for` loads the others.
        """
        return self._candidate_for(ratio_map, noise).name

    def load_for(self, ratio_map: RatioMap, noise: NoiseProfile | None) -> str:
        """Load what reconstructs under a map, where it is not yet, and return `name_for` it."""
        if self.name != NETWORK_FREE and not any(c.suits(ratio_map) for c in self._candidates):
            universal = self._load_universal(universal_for(ratio_map))
            if told := universal.told_instead(noise):
                self._load_universal(told)
        return self.name_for(ratio_map, noise)

    def noise_note(self, ratio_map: RatioMap, noise: NoiseProfile | None) -> str:
        """Say how noise differs from what reconstructs under a map is for; "" where it does not."""
        chosen = self._candidate_for(ratio_map, noise)
        universal = self._universal.get(universal_for(ratio_map), self._network_free)
        if chosen.name != self.name and chosen.name == universal.told_instead(noise):
            return universal.why_not(noise) or chosen.note(noise)
        return chosen.note(noise)

    def reconstruct(
        self,
        reads: Float32,
        ratio_map: RatioMap,
        noise: NoiseProfile | None = None,
        in_stream: tuple[LastFrame, Place] | None = None,
    ) -> Reconstruction:
        """Reconstruct one window with the network that suits its map, if there is one.

        Parameters
        ----------
        reads : ndarray of float32, shape (8, H, W)
            Its measurements.
        ratio_map : RatioMap
            Its map, with defective pixels at level 0.
        noise : NoiseProfile, optional
            Noise of the reads, where it is known, for a network that is told it.
        in_stream : tuple of LastFrame and Place, optional
            What is remembered of the window before, and where this one lies, for a network with
            memory.

        Raises
        ------
        NetworksAwayError
            As in any turn.
        """
        self.load_for(ratio_map, noise)
        chosen = self._candidate_for(ratio_map, noise)
        memory, place = in_stream or (LastFrame(), Place(None, 0))
        try:
            video, problem = memory.rebuild(chosen.told(noise), reads, ratio_map, place), None
        except ReconstructError as error:
            if chosen is self._network_free:
                raise
            chosen, problem = self._network_free, str(error)
            self._candidates = (chosen,)
            video = chosen.reconstruct(reads, ratio_map)
        return Reconstruction(video, chosen.name, problem)

    def _candidate_for(self, ratio_map: RatioMap, noise: NoiseProfile | None) -> _Candidate:
        candidates = self._candidates  # read once: another thread may change it
        if candidates != (self._network_free,):
            universal = self._universal.get(universal_for(ratio_map), self._network_free)
            told = self._universal.get(universal.told_instead(noise) or "", universal)
            candidates = (*candidates, told, universal)
        return next((each for each in candidates if each.suits(ratio_map)), self._network_free)

    def _load_universal(self, name: str) -> _Candidate:
        if name not in self._universal:
            try:
                self._universal[name] = self._load(name)
            except (BundleError, ReconstructError):
                self._universal[name] = self._network_free
        return self._universal[name]

    def _load(self, name: str) -> _Candidate:
        if name == NETWORK_FREE:
            return self._network_free
        bundle = Bundle.load(name)
        network = self._networks.load(name, bundle)
        return _Candidate(name, network, bundle, network)


def check_offered(name: str, offered: list[BundleState]) -> None:
    """Refuse the name of a bundle that is not offered.

    Raises
    ------
    BundleError
        It names those that are.
    """
    names = [bundle.name for bundle in offered]
    if name not in names:
        raise BundleError(f"there is no bundle {name!r} here: choose one of {', '.join(names)}")


def _describe(names: list[str]) -> dict[str, tuple[BundleState, Bundle | None]]:
    described: dict[str, tuple[BundleState, Bundle | None]] = {}
    for name in dict.fromkeys(names):
        if name == NETWORK_FREE:
            continue
        try:
            bundle = Bundle.load(name)
        except BundleError:
            continue
        ratio_map = bundle.ratio_map
        state = BundleState(
            name,
            bundle.name,
            ratio_map.ratio,
            aperture=ratio_map.aperture is not None,
            any_map=bundle.reach is not None,
            psnr_db=bundle.psnr_db,
        )
        described[name] = state, replace(bundle, network=b"")  # which only takes memory here
    described[NETWORK_FREE] = BundleState(NETWORK_FREE, "no network"), None
    return described
