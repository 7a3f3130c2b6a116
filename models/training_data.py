"""Windows to train and validate on, and the batches of crops that are cut from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firmware_sim.errors import FocalloopError


class TrainError(FocalloopError):
    """Training data, settings or a run's folder that cannot be used; the text says what and why."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Windows to learn from, and windows of other source files to validate on.

    Attributes
    ----------
    training, validation
        (N, T, S, S) uint8.
    recipe
        How they were made: settings, and name, licence and SHA-256 of every source.
    """

    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    recipe: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> TrainingData:
        """Load what ``focalloop data build`` wrote.

        Raises
        ------
        TrainError
            If the file is missing or not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                clips, held_out = archive["clips"], archive["validation"]
                recipe = json.loads(str(archive["recipe"]))
        except (OSError, ValueError, KeyError) as error:
            raise TrainError(
                f"{path} is no training data ({error}): make some with `focalloop data build`"
            ) from None
        if held_out.all() or not held_out.any():
            raise TrainError(f"{path} needs windows for both training and validation")
        return cls(clips[~held_out], clips[held_out], recipe)

    @property
    def slots(self) -> int:
        """Frames a window, T."""
        return int(self.training.shape[1])

    @property
    def side(self) -> int:
        """Height and width of a window, pixels."""
        return int(self.training.shape[-1])

    def crops(self, rng: np.random.Generator, count: int, side: int) -> Tensor:
        """Cut random scenes (count, T, side, side) in [0, 1]: shifted, mirrored, turned, reversed.

        Raises
        ------
        TrainError
            If the windows are smaller than `side`.
        """
        room = self.side - side + 1
        if room < 1:
            raise TrainError(f"crops of {side} pixels do not fit windows of {self.side}")
        scenes = np.empty((count, self.slots, side, side), np.uint8)
        for scene in scenes:
            window = self.training[rng.integers(len(self.training))]
            top, left = rng.integers(room, size=2)
            window = window[:, top : top + side, left : left + side]
            for axis in range(3):
                if rng.random() < 0.5:
                    window = np.flip(window, axis)
            scene[:] = window.transpose(0, 2, 1) if rng.random() < 0.5 else window
        return torch.from_numpy(scenes).float() / 255
