"""What reconstructs clips and captures: bundles, each under its map, or no network at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import typer

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import Clips, load_clips
from focalloop.host.cli.arguments import load_bundle, load_map, load_profile
from focalloop.host.cli.output import activity, print_notice, print_warning
from focalloop.host.cli.shared_options import refuse_unused
from focalloop.host.reconstruction.bundle import Bundle, universal_for
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.evaluate import capture_clips, places
from focalloop.host.reconstruction.gap_tv import GAP_TV, GapTv
from focalloop.host.reconstruction.memory import Place
from focalloop.host.reconstruction.noise_fit import noise_note, told_note
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    NetworkFree,
    Reconstructor,
)
from focalloop.host.recording.loading import scene_windows
from focalloop.models import zoo
from focalloop.models.zoo import ADAPTIVE_BUNDLE, DEFAULT_BUNDLE

WITHOUT_NETWORK: dict[str, type[NetworkFree] | type[GapTv]] = {
    NETWORK_FREE: NetworkFree,
    GAP_TV: GapTv,
}
"""What reconstructs under any map without a network, by the name that ``--bundle`` takes."""


class Measured(NamedTuple):
    """A window to reconstruct.

    Attributes
    ----------
    reads : ndarray of float32, shape (8, H, W)
        Corrected.
    ratio_map : RatioMap
        Their map.
    place : Place
        Where it lies in time.
    under_grid : bool
        Whether its map was composed.
    """

    reads: Float32
    ratio_map: RatioMap
    place: Place
    under_grid: bool = False


Windows = tuple[tuple[str, ...], Iterator[Measured]]
"""Names of windows, and the windows."""


@dataclass(frozen=True)
class Method:
    """A ratio map, and what reconstructs windows that are captured under it."""

    name: str
    ratio_map: RatioMap
    reconstruct: Reconstructor


def noise_of_reads(profile: str, correction: Correction | None) -> NoiseProfile:
    """Return the noise of a sensor's reads, once they have been corrected."""
    noise = load_profile(profile)
    return noise if correction is None or correction.pattern is None else corrected(noise)


def all_methods(
    bundles: list[str], map_spec: str | None, threads: int, noise: NoiseProfile
) -> list[Method]:
    """Return the bundles named, then the map given, `NetworkFree`; else the default bundle.

    Where a network is not for the `noise`, a notice says so.

    Raises
    ------
    SceneError
        Their maps have different numbers of slots.
    """
    given = None if map_spec is None else load_map(map_spec)
    methods = [
        _without_network(bundle, given)
        if bundle in WITHOUT_NETWORK
        else _with_bundle(load_bundle(bundle), given, threads, noise)
        for bundle in bundles
    ]
    if given is not None and NETWORK_FREE not in bundles:
        methods.append(_without_network(NETWORK_FREE, given))
    methods = methods or [_with_bundle(Bundle.load(), None, threads, noise)]
    different = sorted({method.ratio_map.slots for method in methods})
    if len(different) > 1:
        raise SceneError(
            f"the maps have windows of {' and '.join(map(str, different))} slots, and a clip has "
            "one length: evaluate them one by one"
        )
    return methods


def method_for_clips(
    bundle: str, map_spec: str | None, threads: int, noise: NoiseProfile
) -> Method:
    """Return the bundle, or where a map is given that it is not for, that map without a network."""
    given = None if map_spec is None else load_map(map_spec)
    if bundle in WITHOUT_NETWORK:
        return _without_network(bundle, given)
    loaded = load_bundle(bundle)
    if given is not None and loaded.reach is None:
        refuse_unused(["bundle"], f"{bundle} is for its own map: leave out one of the two")
        return _without_network(NETWORK_FREE, given)
    return _with_bundle(loaded, given, threads, noise)


class MethodsByMap:
    """What reconstructs the windows of a capture, whose map may change from one to the next.

    That is the bundle, or else the first shipped one that suits a window's map. Where that one
    loses to a network that is told the noise, it is the latter, with a notice. A bundle that was
    trained for another map is used all the same, with a notice.
    """

    def __init__(self, bundle: str | None, threads: int, noise: NoiseProfile) -> None:
        self._bundle, self._threads, self._noise = bundle, threads, noise
        self._known: dict[str, Bundle] = {}
        self._methods: dict[str, Method] = {}
        self._told: set[str] = set()

    def __call__(self, captured: RatioMap, *, under_grid: bool = False) -> Method:
        """Return what reconstructs windows under a map, which a grid may have composed."""
        name = self._bundle or self._shipped_for(captured, under_grid)
        if name in WITHOUT_NETWORK:
            return self._methods.setdefault(name, _without_network(name, captured))
        loaded = self._load(name)
        if not loaded.suits(captured):
            self._tell(f"{loaded.name} was trained for another ratio map than this capture's")
        if loaded.name not in self._methods:
            self._methods[loaded.name] = _with_bundle(loaded, None, self._threads, self._noise)
        return self._methods[loaded.name]

    def _shipped_for(self, captured: RatioMap, under_grid: bool) -> str:
        names = [DEFAULT_BUNDLE, universal_for(captured)]
        if under_grid and ADAPTIVE_BUNDLE in zoo.BUNDLES:
            names.insert(0, ADAPTIVE_BUNDLE)
        chosen = next((each for each in map(self._load, names) if each.suits(captured)), None)
        if chosen is None:
            return NETWORK_FREE
        told = chosen.told_instead(self._noise)
        if told is None or not self._load(told).suits(captured):
            return chosen.name
        if note := told_note(chosen, self._noise):
            self._tell(note)
        return told

    def _load(self, name: str) -> Bundle:
        if name not in self._known:
            self._known[name] = load_bundle(name)
        return self._known[name]

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            print_notice(f"note: {note}")


def _without_network(name: str, given: RatioMap | None) -> Method:
    if given is None:
        raise typer.BadParameter(f"--bundle {name} needs --map, to capture under")
    return Method(name, given, WITHOUT_NETWORK[name]())


def _with_bundle(
    bundle: Bundle, given: RatioMap | None, threads: int, noise: NoiseProfile
) -> Method:
    """Return a bundle under its own map, or under the one given if it was trained for any map."""
    ratio_map = bundle.ratio_map
    if given is not None and bundle.reach is not None:
        if not bundle.suits(given):
            light = "without a" if ratio_map.aperture is None else "through its"
            light = "with any" if bundle.any_aperture else light
            raise typer.BadParameter(
                f"{bundle.name} is for maps of {ratio_map.slots} slots that measure something "
                f"within {bundle.reach} pixels of each pixel, {light} coded aperture"
            )
        ratio_map = given
    if note := noise_note(bundle, noise):
        print_notice(f"note: {note}")
    return Method(bundle.name, ratio_map, bundle.reconstructor(threads, noise.shot_and_read()))


def read_clips(
    clips: Path, ratio_map: RatioMap, limit: int | None, white: float | None = None
) -> Clips:
    """Load clips of as many frames as the map has slots; tell what is noteworthy about them."""
    with activity(f"reading {clips}"):
        loaded = load_clips(clips, ratio_map.slots, max_clips=limit, white=white)
    for note in loaded.notes:
        print_warning(note)
    return loaded


def emulated_windows(
    clips: Path,
    ratio_map: RatioMap,
    profile: str,
    seed: int,
    limit: int | None,
    white: float | None = None,
    pattern: FixedPattern | None = None,
    correction: Correction | None = None,
) -> Windows:
    """Capture clips with the emulated sensor, and correct the reads.

    Raises
    ------
    FixedPatternError
        Pattern or correction are of another array size than the clips.
    """
    loaded = read_clips(clips, ratio_map, limit, white)
    fitted = ratio_map.tiled_to(*loaded.clips.shape[2:])
    noise = load_profile(profile, fitted.slots)
    reads = capture_clips(loaded.clips, fitted, noise, seed=seed, pattern=pattern)
    windows = (Measured(each, fitted, at) for each, at in zip(reads, places(loaded), strict=True))
    return loaded.names, _corrected(windows, correction)


def captured_windows(
    folder: Path, limit: int | None, correction: Correction | None = None
) -> tuple[Windows, RatioMap]:
    """Return the windows of a capture or recording that show a scene, and the map of the first.

    They are corrected.

    Raises
    ------
    CaptureError
        There is none, or the capture cannot be used.
    FixedPatternError
        The correction is of another board.
    """
    scenes = scene_windows(folder, limit, print_warning)
    if correction is not None and correction.pattern is not None:
        correction.pattern.check_fits(scenes.ratio_map.shape, scenes.serial)
    names = tuple(f"{folder.name}[{number}]" for number in scenes.numbers)
    windows = (
        Measured(each.reads, each.ratio_map, Place.of(each), each.grid is not None)
        for each in scenes.windows
    )
    first = scenes.ratio_map if correction is None else correction.map_for(scenes.ratio_map)
    return (names, _corrected(windows, correction)), first


def _corrected(windows: Iterator[Measured], correction: Correction | None) -> Iterator[Measured]:
    if correction is None:
        return windows
    return (Measured(*correction(each.reads, each.ratio_map), each.place) for each in windows)
