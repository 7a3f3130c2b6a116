"""From samples to the file of a controller."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.models.adaptive.drawn_samples import DrawnSamples
from focalloop.models.adaptive.palette import CAUTIOUS, TILES, shipped_map
from focalloop.models.adaptive.regression import Fit, FitSettings, fit
from focalloop.models.adaptive.samples import Samples

MARGIN = 0.05
"""Share of the predicted error that a grid must save over the cautious tile to be used."""

SLOWEST = 0.75
"""Share of the samples that are learned from."""

_CAUTIOUS = list(TILES).index(CAUTIOUS)


@dataclass(frozen=True, eq=False)
class TrainedController:
    """What a training found.

    Attributes
    ----------
    adaptive_map : AdaptiveMap
        The palette.
    fit : Fit
        The networks and their figures.
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
            "meta": np.array(json.dumps({"margin": MARGIN, "cautious": _CAUTIOUS, **self.meta})),
        }
        for number, (weight, bias) in enumerate(_layers(self.fit)):
            arrays |= {f"weight{number}": weight, f"bias{number}": bias}
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def train_controller(
    samples: DrawnSamples,
    settings: FitSettings,
    *,
    command: str = "",
    on_step: Callable[[int], None] = lambda steps: None,
) -> TrainedController:
    """Learn from samples.

    Parameters
    ----------
    samples : DrawnSamples
        Of the shipped palette.
    settings : FitSettings
        How the networks learn.
    command : str, optional
        For the record.
    on_step : callable, optional
        Called with the number of steps done.
    """
    found = fit(slowest(samples.training), samples.validation, settings, on_step)
    meta = samples.meta | {
        "training": {"recipe": command, "settings": asdict(settings)},
        "validation": {"deviance": found.deviance, "spread": found.spread},
    }
    return TrainedController(shipped_map(), found, meta)


def slowest(samples: Samples) -> Samples:
    """Return the `SLOWEST` share of samples, by the change of the whole picture over its texture.

    Faster scenes are left to the cautious tile. What they teach spoils the prediction for slow
    ones, from which the map gains.
    """
    speed = samples.features[:, -1].mean(axis=(1, 2))
    kept = speed <= np.quantile(speed, SLOWEST)
    return Samples(samples.features[kept], samples.error[kept], samples.reads)


def _layers(fit: Fit) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Stack weights and biases of the members, layer by layer."""
    states = [member.state_dict() for member in fit.members]
    stacked = {name: torch.stack([state[name] for state in states]).numpy() for name in states[0]}
    for number in range(len(fit.members[0].layers)):
        yield stacked[f"layers.{number}.weight"], stacked[f"layers.{number}.bias"]
