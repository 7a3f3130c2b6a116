"""A second bundle beside that of a session: the same windows, rebuilt while somebody looks at them.

The reconstruction thread calls `rebuild`; any other thread may choose another bundle meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.errors import sentence
from focalloop.host.live.deployment import Deployment
from focalloop.host.live.network_selector import NetworkSelector, Reconstruction, check_offered
from focalloop.host.live.networks import Networks
from focalloop.host.live.state import ComparisonState
from focalloop.host.live.telemetry import Durations, Telemetry
from focalloop.host.live.viewers import Viewers
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.reconstruct import Float32

_RECENT_S = 2.0
"""What a window takes is known for so long after the last one that was rebuilt."""


class Beside(NamedTuple):
    """One window by the second bundle."""

    by: str
    video: Float32 | None
    """As in `Reconstruction`; None where nobody looks."""


@dataclass(eq=False)
class _Second:
    """A bundle that was chosen, and what its windows take."""

    selector: NetworkSelector
    last: LastFrame = field(default_factory=LastFrame)
    durations: Durations = field(default_factory=lambda: Durations(kept=60))
    rebuilt_s: float = -_RECENT_S


class Comparison:
    """Rebuilds the windows of a session by a second bundle, if one is chosen.

    Under a map for which that one was not trained, another one does so, as in `NetworkSelector`.

    Parameters
    ----------
    telemetry : Telemetry
        Told what happens.
    deployment : Deployment
        Has the map, and the bundles to choose from.
    viewers : Viewers
        Who looks, and whether at this.
    networks : Networks
        As for `NetworkSelector`.
    """

    def __init__(
        self, telemetry: Telemetry, deployment: Deployment, viewers: Viewers, networks: Networks
    ) -> None:
        self._telemetry, self._deployment = telemetry, deployment
        self._viewers, self._networks = viewers, networks
        self._second: _Second | None = None

    def choose(self, name: str | None) -> None:
        """Compare with one of the bundles of the session; None ends that.

        Raises
        ------
        BundleError, ReconstructError
            There is no such bundle, or it cannot be used; nothing has changed then.
        """
        if name is None:
            self._second = None
            return
        check_offered(name, self._deployment.bundles())
        self._second = _Second(NetworkSelector(name, self._networks))

    def rebuild(
        self,
        reads: Float32 | None,
        ratio_map: RatioMap,
        noise: NoiseProfile | None,
        place: Place,
        first: Reconstruction,
    ) -> Beside | None:
        """Rebuild a window by the second bundle; None if none is chosen.

        Parameters
        ----------
        reads, ratio_map, noise
            As for `NetworkSelector.reconstruct`; no reads where the window was lost.
        place : Place
            Where the window lies in the stream.
        first : Reconstruction
            By the bundle of the session; where that is the same one, it is not computed again.
        """
        second = self._second
        if second is None:
            return None
        by = second.selector.load_for(ratio_map, noise)
        if not self._viewers.beside:
            return Beside(by, None)
        started_s = time.monotonic()
        if reads is None or by == first.by:
            video = first.video
        else:
            video, by, problem = second.selector.reconstruct(
                reads, ratio_map, noise, (second.last, place)
            )
            if problem is not None:
                self._telemetry.log(f"Beside: {sentence(problem)}", "warning")
        second.rebuilt_s = time.monotonic()
        second.durations.add(second.rebuilt_s - started_s)
        return Beside(by, video)

    def state(
        self, corrected_map: RatioMap | None, noise: NoiseProfile | None
    ) -> ComparisonState | None:
        """Return what is compared under the map as it is corrected; None if nothing."""
        second, ratio_map = self._second, self._deployment.ratio_map
        if second is None or ratio_map is None or corrected_map is None:
            return None
        by = second.selector.name_for(corrected_map, noise)
        recent = time.monotonic() - second.rebuilt_s < _RECENT_S
        return ComparisonState(
            bundle=second.selector.name,
            reconstructed_by=by,
            setup=self._deployment.setup_of(ratio_map, by),
            reconstruct_ms=second.durations.quantile_ms(0.5) if recent else None,
        )
