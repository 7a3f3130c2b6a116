"""Windows of recordings as pictures and videos, by any bundle, beside a live session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.pictures import gray
from focalloop.firmware_sim.window import Window
from focalloop.host.errors import RecordingError
from focalloop.host.live.network_selector import NetworkSelector, Reconstruction
from focalloop.host.live.networks import Networks
from focalloop.host.live.state import Picture
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    initial_reconstruction,
)
from focalloop.host.reconstruction.video import encode_frames
from focalloop.host.recording.correcting import correction_of
from focalloop.host.recording.recording import Recording
from focalloop.models import zoo

MAX_VIDEO_WINDOWS = 150
"""Windows of a video that is made on request: 10 s at 15 per second."""

OWN = "own"
"""In place of a bundle: the first that suits the map of the window."""

_KEPT_NETWORKS = 3


class Rebuilder:
    """Rebuilds windows of recordings one at a time, so that a session goes on.

    Parameters
    ----------
    networks : Networks
        Where they are rebuilt.
    """

    def __init__(self, networks: Networks) -> None:
        self._lock = threading.RLock()
        self._networks = networks
        self._selectors: dict[str, NetworkSelector] = {}
        self._bundles: dict[str, Bundle] = {}
        self._suited: dict[bytes, tuple[str, ...]] = {}

    def picture(
        self, recording: Recording, index: int, bundle: str, step: int
    ) -> tuple[Picture, str]:
        """Return a window as it would be drawn, and the bundle that made it.

        Its `setup` is 0, and there is no truth. Under a map for which the network of the bundle was
        not trained, another one makes it, as in a session. A network with memory rebuilds it as
        if there were none before.

        Parameters
        ----------
        recording : Recording
        index : int
            Place of the window in the recording.
        bundle : str
            Name of a shipped bundle, ``network-free``, or `OWN`.
        step : int
            From one slot that is drawn to the next.

        Raises
        ------
        RecordingError
            There is no such window, or it is damaged.
        BundleError, ReconstructError
            The bundle cannot be used.
        NetworksAwayError
            They are.
        """
        window = recording.window(index).window
        with self._lock, self._networks.turn():
            (reads, ratio_map), made = self._rebuilt(_Reads(recording), window, bundle)
            if window.grid is None:
                initial = self._networks.network_free(reads, ratio_map)
            else:  # as in a session
                initial = initial_reconstruction(
                    reads, ratio_map.levels, ratio_map.slots, ratio_map.aperture
                )
        picture = Picture(
            window=window.number,
            map_hash=window.ratio_map.hash(),
            setup=0,
            slots=range(0, ratio_map.slots, step),
            truth=None,
            initial=gray(initial[::step]),
            final=gray(made.video[::step]),
            readout=window.codes,
        )
        return picture, made.by

    def bundles(self, ratio_map: RatioMap) -> tuple[str, ...]:
        """Return the shipped bundles whose network suits a map, those made for it first."""
        with self._lock:
            if not self._bundles:
                self._bundles = {name: Bundle.load(name) for name in zoo.BUNDLES}
            key = ratio_map.hash()
            if key not in self._suited:
                suited = [name for name, each in self._bundles.items() if each.suits(ratio_map)]
                self._suited[key] = tuple(sorted(suited, key=self._rank))
            return self._suited[key]

    def _rank(self, name: str) -> tuple[bool, bool, bool]:
        """Order bundles: made for one map first, then those that rebuild alone, then in 8 bits."""
        for_any = self._bundles[name].reach is not None
        return for_any, name == zoo.ADAPTIVE_BUNDLE, not name.endswith("-int8")

    def video(self, recording: Recording, first: int, count: int, bundle: str, path: Path) -> None:
        """Write a video of `count` windows from place `first` on; errors as of `picture`.

        Raises
        ------
        VideoError, WriteError
            It cannot be written.
        """
        reads, last = _Reads(recording), LastFrame()

        def frames() -> Iterator[NDArray[np.uint8]]:  # all at once would take gigabytes
            for index in range(first, min(first + count, len(recording))):
                window = recording.window(index).window
                with self._lock, self._networks.turn():
                    made = self._rebuilt(reads, window, bundle, last)[1]
                yield from gray(made.video)

        if first >= len(recording):
            raise RecordingError(
                f"the recording has {len(recording)} windows, and none from {first}"
            )
        with written_whole(path) as partial:
            shape = recording.window(first).window.ratio_map.shape
            encode_frames(partial, frames(), shape, frames_per_s=30.0)

    def _rebuilt(
        self, reads_of: _Reads, window: Window, bundle: str, last: LastFrame | None = None
    ) -> tuple[tuple[Float32, RatioMap], Reconstruction]:
        if bundle == OWN:
            bundle = next(iter(self.bundles(window.ratio_map)), NETWORK_FREE)
        if bundle not in self._selectors:
            while len(self._selectors) >= _KEPT_NETWORKS:
                del self._selectors[next(iter(self._selectors))]
            self._selectors[bundle] = NetworkSelector(bundle, self._networks)
        reads, ratio_map = reads_of(window)
        in_stream = last or LastFrame(), Place.of(window)
        made = self._selectors[bundle].reconstruct(reads, ratio_map, reads_of.noise, in_stream)
        return (reads, ratio_map), made


class _Reads:
    """Reads of a recording's windows, corrected as they were when it was recorded."""

    def __init__(self, recording: Recording) -> None:
        self._correction, self.noise = correction_of(recording)

    def __call__(self, window: Window) -> tuple[Float32, RatioMap]:
        reads: Float32 = np.asarray(window.reads)
        if self._correction is None:
            return reads, window.ratio_map
        return self._correction(reads, window.ratio_map)
