"""Adaptive maps on the command line: by the name or file of a controller, or the file of a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.cli.arguments import ADAPTIVE, load_bundle, load_map
from focalloop.host.cli.shared_options import refuse_unused, setting
from focalloop.host.reconstruction.bundle import adaptive_bundle
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE
from focalloop.models import zoo

if TYPE_CHECKING:
    from focalloop.host.adaptive.controller import Controller
    from focalloop.host.live.adaptive_loop import AdaptiveLoop


def load_any_map(spec: str, *, option: str) -> RatioMap | AdaptiveMap:
    """Load a map, which may be adaptive: also `ADAPTIVE`, or a file of either kind.

    Raises
    ------
    typer.BadParameter
        There is no such map, or it cannot be used.
    """
    kind = _kind_of(spec)
    with setting(option):
        if kind == "controller":
            return _load_controller(spec).adaptive_map
        if kind == "adaptive map":
            return AdaptiveMap.load(spec)
    return load_map(spec, option=option)


def load_loop(spec: str | None, budget: float | None) -> AdaptiveLoop | None:
    """Return what ``--map`` and ``--budget`` ask for; None where the map is not adaptive.

    Raises
    ------
    typer.BadParameter
        There is no such controller, or it cannot meet the budget, or there is none for it.
    """
    kind = None if spec is None else _kind_of(spec)
    if spec is None or kind is None:
        refuse_unused(["budget"], f"is for an adaptive map: give --map {ADAPTIVE} with it")
        return None
    if kind == "adaptive map":
        raise typer.BadParameter(
            f"{spec} is an adaptive map without a controller to choose its tiles: train one "
            "(`focalloop adaptive train`), or put the map on a board (`focalloop upload`)",
            param_hint="--map",
        )
    from focalloop.host.live.adaptive_loop import AdaptiveLoop  # loads Numba

    with setting("--map"):
        controller = _load_controller(spec)
    with setting("--budget"):
        return AdaptiveLoop(controller, budget)


def bundle_for_any_map(bundle: str | None, noise: NoiseProfile | None) -> str:
    """Return the bundle that rebuilds windows under an adaptive map: the one given, if it can.

    Raises
    ------
    typer.BadParameter
        It is for one map alone, or no network.
    """
    if bundle is None:
        return adaptive_bundle(noise)
    if bundle == NETWORK_FREE or load_bundle(bundle).reach is None:
        raise typer.BadParameter(
            f"{bundle} cannot rebuild windows under an adaptive map, whose tiles change: leave it "
            f"out, or give a bundle for any map, such as {zoo.UNIVERSAL_BUNDLE}",
            param_hint="--bundle",
        )
    return bundle


def _load_controller(spec: str) -> Controller:
    from focalloop.host.adaptive.controller_file import load_controller  # loads Numba

    return load_controller(zoo.DEFAULT_CONTROLLER if spec == ADAPTIVE else spec)


def _kind_of(spec: str) -> str | None:
    """Tell controllers and adaptive maps from everything else, by name or content."""
    if spec == ADAPTIVE or spec in zoo.CONTROLLERS:
        return "controller"
    path = Path(spec)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    try:
        with opened(path) as archive:
            names = set(archive.names)
    except ArchiveError:
        return None
    if "palette.npy" in names:
        return "controller"
    return "adaptive map" if "tiles.npy" in names else None
