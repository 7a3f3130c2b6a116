"""Windows to train and validate on, and the batches of crops that are cut from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.archives import Archive, ArchiveError, opened, read_array_header
from focalloop.firmware_sim.json_text import parse_json
from focalloop.models.errors import TrainError

MAX_UNPACKED_BYTES = 8 << 30
"""Limit of windows that are compressed, and so unpacked into memory; others are mapped."""

_MAX_LIST_BYTES = 64 << 20
"""Limit of what lies beside the windows: flags, and the recipe with its sources."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Windows to learn from, and windows of other source files to validate on.

    Attributes
    ----------
    training, validation : ndarray of uint8
        Windows of shape (N, T, S, S); 255 is white.
    recipe : dict of str to any
        How they were made: settings, and the name, licence and SHA-256 of every source.
    filmed : tuple of ndarray of bool or None
        For each part, which of its windows show the motion of a real video, shape (N,); None if all
        do.
    """

    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    recipe: dict[str, Any]
    filmed: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None

    @classmethod
    def load(cls, path: Path) -> TrainingData:
        """Load a file that ``focalloop data build`` or ``focalloop data nfs`` wrote.

        The windows are mapped into memory, so a file may be larger than memory.

        Raises
        ------
        TrainError
            If the file is missing or is not training data.
        """
        try:
            with opened(path) as archive:
                held_out = archive.array("validation.npy", _MAX_LIST_BYTES)
                recipe = parse_json(str(archive.array("recipe.npy", _MAX_LIST_BYTES)))
                filmed = np.ones(held_out.shape, np.bool_)
                if "filmed.npy" in archive.names:
                    filmed = archive.array("filmed.npy", _MAX_LIST_BYTES)
                clips = _mapped(path, archive)
            if held_out.dtype != np.bool_ or filmed.dtype != np.bool_:
                raise ValueError(f"flags of {held_out.dtype} and {filmed.dtype}")
            if not filmed.shape == held_out.shape == clips.shape[:1]:
                raise ValueError(f"flags {held_out.shape} and {filmed.shape} of {clips.shape}")
            if clips.dtype != np.uint8 or clips.ndim != 4 or not isinstance(recipe, dict):
                raise ValueError(f"clips of {clips.dtype} {clips.shape}")
        except (OSError, ValueError) as error:
            raise TrainError(
                f"{path} is not training data ({error}): make some with `focalloop data build`"
            ) from None
        if held_out.all() or not held_out.any():
            raise TrainError(f"{path} needs windows for both training and validation")
        parts = _part(clips, ~held_out), _part(clips, held_out)
        return cls(*parts, recipe, (filmed[~held_out], filmed[held_out]))

    def filmed_alone(self) -> TrainingData:
        """Return the windows with the motion of a real video; all if a part has none of them.

        Which map is best depends on how scenes move; the motion of a virtual camera is invented.
        """
        if self.filmed is None or not all(part.any() for part in self.filmed):
            return self
        training, validation = self.filmed
        return TrainingData(
            _part(self.training, training), _part(self.validation, validation), self.recipe
        )

    @property
    def slots(self) -> int:
        """Frames per window, T."""
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
        scenes = np.empty((count, self.training.shape[1], side, side), np.uint8)
        for scene in scenes:
            window = self.training[rng.integers(len(self.training))]
            top, left = rng.integers(room, size=2)
            window = window[:, top : top + side, left : left + side]
            for axis in range(3):
                if rng.random() < 0.5:
                    window = np.flip(window, axis)
            scene[:] = window.transpose(0, 2, 1) if rng.random() < 0.5 else window
        return torch.from_numpy(scenes).float() / 255


def made_from(path: Path) -> str | None:
    """Return what the windows of a user's own footage were made from; None if it is not stated.

    Raises
    ------
    TrainError
        If the file is damaged.
    """
    try:
        with opened(path) as archive:
            if "footage.npy" not in archive.names:
                return None
            return str(archive.array("footage.npy", _MAX_LIST_BYTES))
    except ArchiveError as error:
        raise TrainError(f"{path} {error}: remove it, and it is made again") from None


def _mapped(path: Path, archive: Archive) -> NDArray[np.uint8]:
    """Map the windows of an ``.npz`` into memory, or read them if they are compressed."""
    start = archive.stored_at("clips.npy")
    if start is None:
        return archive.array("clips.npy", MAX_UNPACKED_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        header = read_array_header(file)
        order: Literal["C", "F"] = "F" if header.fortran_order else "C"
        # Copy on write, because PyTorch warns about read-only arrays.
        return np.memmap(file, header.dtype, "c", file.tell(), header.shape, order)


def _part(clips: NDArray[np.uint8], wanted: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the wanted windows; if they are contiguous, without reading them."""
    places = np.flatnonzero(wanted)
    if places[-1] - places[0] + 1 == len(places):
        return clips[places[0] : places[-1] + 1]
    return clips[places]
