"""What other noise than that of its training costs a network, measured for its bundle.

On validation windows under the bundle's map, at noise over the range of networks that are told it,
the network is compared with the shipped one that is: what a board could use instead.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import onnx

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import PRESETS
from focalloop.models import zoo
from focalloop.models.export.int8 import measured, psnr_of_each
from focalloop.models.networks.edge import NOISE_RANGE
from focalloop.models.training.training_data import TrainingData

SHOT_NOISES, READ_NOISES = 3, 5
"""Strengths of shot and of read noise over the range; reconstruction depends on the first less."""

ALONE = {"reads", "levels"}
"""Inputs of a network that is told no noise."""

WINDOWS = 8
"""Windows that are measured under each, which takes seconds in all."""


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
    own_inputs = {each.name for each in onnx.load_from_string(graph).graph.input}
    if data is None or own_inputs != ALONE:
        return {}
    universal = (zoo.FOLDER / zoo.TOLD_BUNDLE / "reconstruct.onnx").read_bytes()
    counts = zip(NOISE_RANGE.values(), (SHOT_NOISES, READ_NOISES), strict=True)
    s_ss, s_r = (np.geomspace(low, high, count).tolist() for (low, high), count in counts)
    windows = data.validation[:WINDOWS]
    taken = [
        inputs
        for shot, read in product(s_ss, s_r)
        for inputs in measured(
            windows, ratio_map, replace(PRESETS["paper"], s_ss=shot, s_r=read), told=True
        )
    ]
    alone = [{name: inputs[name] for name in ALONE} for inputs in taken]
    shown = list(windows) * (SHOT_NOISES * READ_NOISES)
    losses = psnr_of_each(universal, taken, shown) - psnr_of_each(graph, alone, shown)
    table = losses.reshape(SHOT_NOISES, READ_NOISES, -1).mean(2).round(2).tolist()
    return {"noise_cost": {"against": zoo.TOLD_BUNDLE, "s_ss": s_ss, "s_r": s_r, "loss_db": table}}
