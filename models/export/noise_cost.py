"""What other noise than that of its training costs a network, measured for its bundle.

On validation windows under the bundle's map, at noise over the range of networks that are told it,
the network is compared with the shipped one that is: what a board could use instead. Where noise
is all that a calm scene loses, it is the least of a fast one, so the loss depends on the scene much
more than on the map: that of the mean squared error of all windows is stated, with its spread.
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
from focalloop.models.export.int8 import loaded, measured, squared_errors
from focalloop.models.networks.edge import NOISE_RANGE
from focalloop.models.training.training_data import TrainingData

SHOT_NOISES, READ_NOISES = 3, 5
"""Strengths of shot and of read noise over the range; reconstruction depends on the first less."""

ALONE = {"reads", "levels"}
"""Inputs of a network that is told no noise."""

WINDOWS = 24
"""Windows that are measured under each, spread over the validation windows: neighbours are of one
source. They give the loss of all within 0.2 dB, in half a minute for an edge network."""

SHARE = 0.1
"""Share of the windows that lose less than `low_db`, and of those that lose more than `high_db`."""


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
    universal = loaded((zoo.FOLDER / zoo.TOLD_BUNDLE / "reconstruct.onnx").read_bytes())
    network = loaded(graph)
    counts = zip(NOISE_RANGE.values(), (SHOT_NOISES, READ_NOISES), strict=True)
    s_ss, s_r = (np.geomspace(low, high, count).tolist() for (low, high), count in counts)
    windows = data.validation[:: max(len(data.validation) // WINDOWS, 1)][:WINDOWS]
    tables = np.empty((3, SHOT_NOISES, READ_NOISES))
    for (i, shot), (j, read) in product(enumerate(s_ss), enumerate(s_r)):
        noise = replace(PRESETS["paper"], s_ss=shot, s_r=read)
        taken = measured(windows, ratio_map, noise, told=True)
        told = squared_errors(universal, taken, windows)
        alone = [{name: inputs[name] for name in ALONE} for inputs in taken]
        untold = squared_errors(network, alone, windows)
        spread = np.quantile(untold / told, (SHARE, 1 - SHARE))
        tables[:, i, j] = 10 * np.log10([untold.mean() / told.mean(), *spread])
    loss_db, low_db, high_db = tables.round(2).tolist()
    stated = {"against": zoo.TOLD_BUNDLE, "s_ss": s_ss, "s_r": s_r, "loss_db": loss_db}
    return {"noise_cost": stated | {"low_db": low_db, "high_db": high_db}}
