"""The samples of a training on disk: drawing them takes longer than to learn from them.

An ``.npz`` with ``features`` and ``error`` of both parts, the ``reads`` of the palette's tiles, and
``meta``, a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.block_features import FEATURES, VERSION
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.adaptive.palette import shipped_map
from focalloop.models.adaptive.samples import WINDOWS, Samples, draw_samples, has_cut
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights

MAX_BYTES = 2 << 30
_PARTS = ("training", "validation")


@dataclass(frozen=True, eq=False)
class DrawnSamples:
    """Samples to learn from, and samples of other sources to validate on.

    Attributes
    ----------
    training, validation : Samples
        Of the shipped palette.
    meta : dict of str to any
        Version of the features, noise, reconstruction and sources of data.
    """

    training: Samples
    validation: Samples
    meta: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write a file that `load` reads, whole or not at all.

        Raises
        ------
        WriteError
            If it cannot be written.
        """
        arrays: dict[str, Any] = {
            "reads": self.training.reads,
            "meta": np.array(json.dumps(self.meta)),
        }
        for name, part in zip(_PARTS, (self.training, self.validation), strict=True):
            arrays |= {f"{name}_features": part.features, f"{name}_error": part.error}
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> DrawnSamples:
        """Read what `save` wrote.

        Raises
        ------
        TrainError
            If the file is damaged, or of another palette or version.
        """
        palette = shipped_map()
        wanted = palette.tiles.mean(axis=(1, 2), dtype=np.float32)
        try:
            with opened(path) as archive:
                meta = parse_json(str(archive.array("meta.npy", MAX_BYTES)))
                reads = archive.array("reads.npy", MAX_BYTES)
                if not isinstance(meta, dict) or meta.get("version") != VERSION:
                    raise ArchiveError(f"holds other features than those of version {VERSION}")
                if not np.array_equal(reads, wanted):
                    raise ArchiveError("is of another palette")
                parts = []
                for name in _PARTS:
                    features = archive.array(f"{name}_features.npy", MAX_BYTES)
                    error = archive.array(f"{name}_error.npy", MAX_BYTES)
                    rows, *blocks = features.shape[:1] + features.shape[2:]
                    shapes = (rows, FEATURES, *blocks), (rows, len(reads), *blocks)
                    if not (rows and len(blocks) == 2 and (features.shape, error.shape) == shapes):
                        raise ArchiveError(f"has samples of {features.shape} and {error.shape}")
                    if not features.dtype == error.dtype == np.float32:
                        raise ArchiveError(f"has samples of {features.dtype} and {error.dtype}")
                    parts.append(Samples(features, error, wanted))
        except ValueError as error:
            raise TrainError(
                f"{path} {error}: draw samples anew with `focalloop adaptive train --data`"
            ) from None
        training, validation = parts
        return cls(training, validation, meta)


def draw(
    data: Sequence[Path],
    weights: str,
    profile: NoiseProfile,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DrawnSamples:
    """Draw samples from the filmed sequences without a cut of files of training data.

    Parameters
    ----------
    data : sequence of Path
        What ``focalloop data build --frames 64`` wrote. All their sequences count alike.
    weights : str
        Universal weights of the reconstruction of the loop: a shipped name, or a file.
    profile : NoiseProfile
        Noise of the sensor.
    seed : int
        Of grids and noise.
    progress : callable, optional
        Called with the number of sequences done, and of all.

    Raises
    ------
    TrainError
        If the data or the weights cannot be used.
    """
    palette, reconstruct = shipped_map(), _reconstruction(weights, profile)
    files = [_sequences(path) for path in data]
    side = min(one.side for one in files) // palette.block * palette.block
    fitted = palette.tiled_to(side, side)
    parts = []
    for name in _PARTS:
        both = np.concatenate([getattr(one, name)[..., :side, :side] for one in files])
        parts.append(both[[not has_cut(sequence) for sequence in both]])
        if not len(parts[-1]):
            raise TrainError(f"every sequence for {name} has a cut: build more")
    total, before = sum(map(len, parts)), 0
    drawn = []
    for number, part in enumerate(parts):

        def done(count: int, before: int = before) -> None:
            progress(before + count, total)

        drawn.append(draw_samples(part, fitted, reconstruct, profile, 2 * seed + number, done))
        before += len(part)
    meta = {
        "version": VERSION,
        "noise_profile": profile.as_dict(),
        "reconstruction": weights,
        "data": [source for one in files for source in one.recipe.get("sources", [])],
    }
    training, validation = drawn
    return DrawnSamples(training, validation, meta)


def _sequences(path: Path) -> TrainingData:
    """Load filmed sequences: how things move is what is to be learned."""
    found, palette = TrainingData.load(path).filmed_alone(), shipped_map()
    frames = WINDOWS * palette.resting.slots
    if found.slots != frames:
        raise TrainError(
            f"{path} has sequences of {found.slots} frames, and a controller learns from "
            f"{frames}: make some with `focalloop data build --frames {frames}`"
        )
    if found.side < palette.block:
        raise TrainError(
            f"{path} has frames of {found.side} pixels, and a block has {palette.block}"
        )
    return found


def _reconstruction(
    weights: str, profile: NoiseProfile
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Load universal weights, for one noise."""
    settings, tensors = load_weights(weights)
    if not isinstance(settings, EdgeSettings):
        raise TrainError(f"{weights} is not an edge network: give weights of one for any map")
    network = EdgeNetwork(settings)
    network.load_state_dict(tensors)
    if settings.noise:
        network = network.for_noise(*profile.shot_and_read())
    network.eval()

    def reconstruct(reads: Tensor, levels: Tensor, last: Tensor) -> Tensor:
        video: Tensor = network(reads, levels, last=last if settings.memory else None)
        return video

    return reconstruct
