"""What other noise than that of its training costs a network, measured for its bundle.

On validation windows under the bundle's map, at noise over the range of networks that are told it,
the network is compared with the shipped one that is: what a board could use instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import PRESETS
from focalloop.models import zoo
from focalloop.models.export.int8 import mean_psnr, measured
from focalloop.models.networks.edge import NOISE_RANGE
from focalloop.models.training.training_data import TrainingData

NOISES = 5
"""Strengths of shot noise, and of read noise, over the range: each is 2.2 times the one before."""

ALONE = {"reads", "levels"}
"""Inputs of a network that is told no noise."""

WINDOWS = 12
"""Windows that are measured under each, which takes seconds."""


def noise_cost(graph: bytes, ratio_map: RatioMap, data: TrainingData | None) -> dict[str, Any]:
    """Measure a network that is told no noise beside the shipped one that is.

    Parameters
    ----------
    graph : bytes
        The network as a bundle has it.
    ratio_map : RatioMap
        The map that measures the windows.
    data : TrainingData or None
        Has the validation windows; without, nothing is measured.

    Returns
    -------
    dict
        ``noise_cost`` for the manifest (``docs/file-formats.md``); empty without `data`, and for a
        network that has other inputs than reads and levels.
    """
    folder = zoo.FOLDER / zoo.UNIVERSAL_BUNDLE
    meta = parse_json((folder / "bundle.json").read_bytes())
    inputs = {each.name for each in onnx.load_from_string(graph).graph.input}
    if data is None or inputs != ALONE or "noise_range" not in meta:
        return {}
    universal = (folder / meta["network"]).read_bytes()
    s_ss, s_r = (np.geomspace(low, high, NOISES).tolist() for low, high in NOISE_RANGE.values())
    windows = data.validation[:WINDOWS]

    def loss_db(shot: float, read: float) -> float:
        noise = replace(PRESETS["paper"], s_ss=shot, s_r=read)
        told = measured(windows, ratio_map, noise, told=True)
        alone = [{name: taken[name] for name in ALONE} for taken in told]
        difference = mean_psnr(universal, told, windows) - mean_psnr(graph, alone, windows)
        return round(difference, 2)

    table = [[loss_db(shot, read) for read in s_r] for shot in s_ss]
    return {
        "noise_cost": {
            "against": zoo.UNIVERSAL_BUNDLE,
            "s_ss": s_ss,
            "s_r": s_r,
            "loss_db": table,
        }
    }
