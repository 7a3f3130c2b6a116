"""Training of a reconstruction network for one ratio map, or for all: ``focalloop train --map``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.models.networks.profiles import Network, has_memory
from focalloop.models.training.map_source import RATIO_MAP, Coding, MapSource, OneMap
from focalloop.models.training.run import IN_A_ROW, Run, RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

OTHER_MAPS, MOVING = 0.25, 0.75
"""Share of the sequences whose windows have maps of their own, and of the others with tiles that
move from window to window."""
CALIBRATING = 8
"""Batches that the ranges of a rounded network begin with."""

TILE_SIDE = 4
"""Pixels, below which they move down and right."""


class NetworkRun(Run):
    """Training of a network under the maps of a source.

    Parameters
    ----------
    maps : MapSource
        Gives the map of each crop; crops begin at the corner of a tile, so that the network always
        sees the same phase.
    data, settings, device : TrainingData or RunSettings or str
        As in `Run`.
    """

    def __init__(
        self, maps: MapSource, data: TrainingData, settings: RunSettings, device: str = "cpu"
    ) -> None:
        super().__init__(data, settings, device)
        self.maps = maps

    @property
    def identity(self) -> dict[str, Any]:
        """The maps that the network is trained for."""
        return {"maps": self.maps.name}

    def step(self) -> float:
        """Take one step on one batch; return its mean squared error."""
        if self.settings.rounded and self.progress.step == 0:
            # The same in all processes, whose steps must be equal.
            rng, noise = np.random.default_rng(self.settings.seed), torch.Generator().manual_seed(0)
            batches = (self._batch(rng) for _ in range(CALIBRATING))
            self.learner.calibrate(batches, generator=noise)
        rng, noise = self.random()
        errors = self.learner.step(
            *self._batch(rng), learning_rate=self.learning_rate, generator=noise
        )
        return float(errors.mean())

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw windows, their maps and apertures."""
        crop = self.settings.crop
        scene = self.data.crops(rng, self.share, crop)
        if has_memory(self.settings.network):
            scene = _some_windows(rng, scene, self.settings.network.slots)
            levels = maps_in_a_row(rng, self.maps, self.share, crop)
            levels = levels.reshape(self.share, IN_A_ROW, crop, crop)
        else:
            levels = self.maps.levels(rng, self.share, crop)
        aperture = _as_tensor(self.maps.apertures(rng, levels))
        return scene, torch.from_numpy(levels.copy()), aperture

    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows, with fixed noise."""
        return validation_psnr(self.learner.averaged_network(), self, self.maps)

    def prepare(self, folder: Path) -> None:
        """Write the map beside the checkpoint."""
        if isinstance(self.maps, OneMap):
            self.maps.ratio_map.save(folder / RATIO_MAP)


@torch.inference_mode()
def validation_psnr(network: Network, run: Run, maps: MapSource) -> float:
    """Mean PSNR in dB of `network` on the validation windows under fixed maps and noise."""
    learner, windows = run.learner, run.data.validation
    if has_memory(learner.settings):
        return _psnr_in_a_row(network, run, maps)
    side = windows.shape[-1]
    rng, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    every_level = maps.levels(rng, len(windows), side)
    apertures = maps.apertures(rng, every_level)
    psnr = []
    for number, (window, levels) in enumerate(zip(windows, every_level, strict=True)):
        aperture = None
        if apertures is not None:
            aperture = torch.from_numpy(apertures[[number % len(apertures)]])
        scene = torch.from_numpy(window)[None].float() / 255
        inputs = learner.measure(scene, torch.from_numpy(levels.copy())[None], aperture, noise)
        error = (network(**inputs).clamp(0, 1) - scene.to(learner.device)).square().mean()
        psnr.append(decibels(float(error)))
    return float(np.mean(psnr))


def _psnr_in_a_row(network: Network, run: Run, maps: MapSource) -> float:
    """Mean PSNR over the windows of the validation sequences, which remember those before."""
    learner, sequences, psnr = run.learner, run.data.validation, []
    rng, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for sequence in sequences:
        scene = torch.from_numpy(sequence)[None].float() / 255
        windows = torch.split(scene, learner.settings.slots, dim=1)
        levels, last = maps_in_a_row(rng, maps, 1, sequence.shape[-1], len(windows)), None
        for shown, own in zip(windows, levels, strict=True):
            taken = torch.from_numpy(own.copy())[None]
            inputs = learner.measure(shown, taken, None, noise, last=last)
            video = network(**inputs).clamp(0, 1)
            last = video[:, -1]
            psnr.append(decibels(float((video - shown.to(learner.device)).square().mean())))
    return float(np.mean(psnr))


def _some_windows(rng: np.random.Generator, scene: Tensor, slots: int) -> Tensor:
    """Cut `IN_A_ROW` windows, which need not begin where those of the file do, from sequences."""
    needed = IN_A_ROW * slots
    begin = int(rng.integers(scene.shape[1] - needed + 1))
    return scene[:, begin : begin + needed]


def maps_in_a_row(
    rng: np.random.Generator, maps: MapSource, count: int, side: int, windows: int = IN_A_ROW
) -> NDArray[np.uint8]:
    """Draw the maps (count * windows, side, side) of windows in a row, for a network with memory.

    The tiles of most move from window to window; a few are others each time.
    """
    levels = maps.levels(rng, count * windows, side)
    for one in levels.reshape(count, windows, side, side):
        if rng.random() < OTHER_MAPS:
            continue
        down, right = rng.integers(TILE_SIDE, size=2) * (rng.random() < MOVING)
        for number in range(1, windows):
            one[number] = np.roll(one[number - 1], (down, right), (0, 1))
    return levels


def _as_tensor(apertures: np.ndarray | None) -> Tensor | None:
    return None if apertures is None else torch.from_numpy(apertures)


def coded(coding: Coding | None, levels: Tensor) -> Tensor | None:
    """Return the aperture (N, T, H, W) over maps (N, H, W), None for none."""
    return None if coding is None else torch.from_numpy(coding.over(levels.numpy()))
