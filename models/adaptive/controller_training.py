"""From sequences of frames to the file of a controller."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.block_features import VERSION
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.adaptive.palette import shipped_map
from focalloop.models.adaptive.regression import Fit, FitSettings, fit
from focalloop.models.adaptive.samples import WINDOWS, Samples, draw_samples
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights

MARGIN = 0.02
"""Share of the predicted error that a grid must save over the resting map to be used."""


@dataclass(frozen=True, eq=False)
class TrainedController:
    """What a training found.

    Attributes
    ----------
    adaptive_map : AdaptiveMap
        The palette.
    fit : Fit
        The network and its figures.
    meta : dict of str to any
        What it was made from.
    """

    adaptive_map: AdaptiveMap
    fit: Fit
    meta: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the file that `focalloop.host.adaptive.controller_file` reads, whole or not at all.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        arrays: dict[str, Any] = {
            "resting": np.frombuffer(self.adaptive_map.resting.pack(), np.uint8),
            "palette": np.frombuffer(self.adaptive_map.pack_palette(), np.uint8),
            "meta": np.array(json.dumps({"version": VERSION, **self.meta})),
        }
        for name, values in self.fit.network.state_dict().items():  # layers.0.weight ...
            _, number, kind = name.split(".")
            arrays[f"{kind}{number}"] = values.numpy()
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def train_controller(
    data: Path,
    weights: str,
    profile: NoiseProfile,
    settings: FitSettings,
    *,
    command: str = "",
    on_sequence: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[int, float], None] = lambda step, deviance: None,
) -> TrainedController:
    """Draw samples from sequences, and learn.

    Parameters
    ----------
    data : Path
        What ``focalloop data build --frames 64`` wrote.
    weights : str
        Universal weights of the reconstruction of the loop: a shipped name, or a file.
    profile : NoiseProfile
        Noise of the sensor.
    settings : FitSettings
        How the network learns.
    command : str, optional
        For the record.
    on_sequence, on_step : callable, optional
        Called after each sequence and each step.

    Raises
    ------
    TrainError
        If the data or the weights cannot be used.
    """
    sequences = TrainingData.load(data)
    palette = shipped_map()
    slots, block = palette.resting.slots, palette.block
    if sequences.slots != WINDOWS * slots:
        raise TrainError(
            f"{data} has sequences of {sequences.slots} frames, and a controller learns from "
            f"{WINDOWS * slots}: make some with `focalloop data build --frames {WINDOWS * slots}`"
        )
    side = sequences.side // block * block
    if side == 0:
        raise TrainError(f"{data} has frames of {sequences.side} pixels, and a block has {block}")
    fitted = palette.tiled_to(side, side)
    reconstruct = _reconstruction(weights, profile)
    total, before = len(sequences.training) + len(sequences.validation), 0

    def drawn(part: NDArray[np.uint8], seed: int) -> Samples:
        return draw_samples(
            part[..., :side, :side],
            fitted,
            reconstruct,
            profile,
            seed,
            lambda done: on_sequence(before + done, total),
        )

    training = drawn(sequences.training, 2 * settings.seed)
    before = len(sequences.training)
    validation = drawn(sequences.validation, 2 * settings.seed + 1)
    found = fit(training, validation, len(palette.tiles), settings, on_step)
    meta = {
        "margin": MARGIN,
        "noise_profile": profile.as_dict(),
        "reconstruction": weights,
        "training": {"recipe": command, "settings": asdict(settings)},
        "validation": {"deviance": found.deviance, "spread": found.spread},
        "data": sequences.recipe.get("sources", []),
    }
    return TrainedController(palette, found, meta)


def _reconstruction(weights: str, profile: NoiseProfile) -> Callable[[Tensor, Tensor], Tensor]:
    """Load universal weights, for one noise."""
    settings, tensors = load_weights(weights)
    if not isinstance(settings, EdgeSettings):
        raise TrainError(f"{weights} is not an edge network: give weights of one for any map")
    network = EdgeNetwork(settings)
    network.load_state_dict(tensors)
    if settings.noise:
        network = network.for_noise(*profile.shot_and_read())
    network.eval()

    def reconstruct(reads: Tensor, levels: Tensor) -> Tensor:
        video: Tensor = network(reads, levels)
        return video

    return reconstruct
