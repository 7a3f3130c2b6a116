"""Controllers on disk: one ``.npz`` with the adaptive map, the network and where both come from.

``docs/file-formats.md`` ("Controller") describes the arrays.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import Archive, ArchiveError, opened
from focalloop.firmware_sim.block_features import FEATURES_OF, VERSION
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import RatioMapError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.adaptive.controller import Controller
from focalloop.host.adaptive.network import BlockNetwork
from focalloop.models import zoo

MAX_BYTES = 16 << 20
"""Largest array of a controller, unpacked."""

MAX_LAYERS = 16


class ControllerError(FocalloopError):
    """A controller is missing, damaged or of another version; the text says which and why."""


def load_controller(name_or_path: str | Path = zoo.DEFAULT_CONTROLLER) -> Controller:
    """Read a shipped controller by name, or a file of ``focalloop adaptive train``.

    Raises
    ------
    ControllerError
        If it does not exist, or is damaged or of another version.
    """
    path = Path(name_or_path)
    if str(name_or_path) in zoo.CONTROLLERS:
        path = zoo.FOLDER / f"{name_or_path}.npz"
    elif not exists(path):
        shipped = ", ".join(zoo.CONTROLLERS)
        raise ControllerError(
            f"there is no controller {str(name_or_path)!r}: give a file of `focalloop adaptive "
            f"train`, or a shipped name ({shipped})"
        )
    try:
        with opened(path) as archive:
            return _controller_in(archive)
    except ArchiveError as error:
        raise ControllerError(f"the controller {path} {error}") from None
    except RatioMapError as error:
        raise ControllerError(f"the controller {path} cannot be used: {error}") from None


def _controller_in(archive: Archive) -> Controller:
    try:
        meta = parse_json(str(archive.array("meta.npy", MAX_BYTES)[()]).encode())
    except ValueError as error:
        raise ArchiveError(f"has damaged metadata ({error})") from None
    version = meta.pop("version", None) if isinstance(meta, dict) else None
    if type(version) is not int or version not in FEATURES_OF:
        raise ArchiveError(f"is of another version: this one reads versions 1 to {VERSION}")
    margin = meta.pop("margin", None)
    if type(margin) is not float or not 0 <= margin < 1:
        raise ArchiveError("lacks a margin of 0 to 1")
    cautious = meta.pop("cautious", None)  # none in version 1
    resting = RatioMap.unpack(archive.array("resting.npy", MAX_BYTES).tobytes())
    palette = archive.array("palette.npy", MAX_BYTES).tobytes()
    adaptive_map = AdaptiveMap.unpack(resting, palette)
    count = sum(name.startswith("weight") for name in archive.names)
    if not 1 <= count <= MAX_LAYERS:
        raise ArchiveError(f"has {count} layers, not 1 to {MAX_LAYERS}")
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    inputs = FEATURES_OF[version]
    for number in range(count):
        weight = archive.array(f"weight{number}.npy", MAX_BYTES)
        bias = archive.array(f"bias{number}.npy", MAX_BYTES)
        if version == 1:  # of one network
            weight, bias = weight[None], bias[None]
        fits = weight.ndim == 5 and weight.shape[2] == inputs and bias.shape == weight.shape[:2]
        fits = fits and (not layers or len(weight) == len(layers[0][0]) > 0)
        square = weight.shape[3:] in {(1, 1), (3, 3), (5, 5)}
        if not (fits and square and weight.dtype == bias.dtype == np.float32):
            raise ArchiveError(f"has a layer {number} of the wrong shape or type")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ArchiveError(f"has values that are not finite in layer {number}")
        layers.append((weight, bias))
        inputs = weight.shape[1]
    if inputs != len(adaptive_map.tiles):
        raise ArchiveError(f"predicts {inputs} tiles, but its palette has others")
    if cautious is not None and not (type(cautious) is int and 0 <= cautious < inputs):
        raise ArchiveError(f"names a cautious tile {cautious!r}, which its palette lacks")
    return Controller(adaptive_map, BlockNetwork(tuple(layers)), margin, cautious, meta)
