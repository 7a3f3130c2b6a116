"""Joint sensing: the tile, the reconstruction and the link learn together (CRL section 4).

In the first part of a run every step samples a few tiles from a policy, and sends the same scenes
under each of them, at the same rates and through the same noise. What came out best becomes more
likely (`focalloop.models.map_learning.policy`, whole tiles), while link and reconstruction learn
from all of them. In the rest the most probable tile of the budget stays, and the two adapt to it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.map_run import MAP_SIDE
from focalloop.models.map_learning.policy import PolicySettings, TilePolicy
from focalloop.models.networks.edge import EdgeNetwork
from focalloop.models.radio.any_tile import JointSensing
from focalloop.models.radio.run import RadioRun
from focalloop.models.radio.semcom_run import OUTER, SemComRun
from focalloop.models.training.learner import WeightLearner, below
from focalloop.models.training.map_source import RATIO_MAP
from focalloop.models.training.run import TrainingLoop

JointMethod = Literal["semcom", "semcom-noran", "compr"]

SETTLED = 0.5
"""Share of the run after which the tile stays."""

TILES = 4
"""Tiles that are compared in each step."""

RECONSTRUCTION = "reconstruction"
"""Name of the reconstruction among the weights of a run."""


class JointRun(TrainingLoop):
    """Training of tile, reconstruction and link.

    Parameters
    ----------
    method : {'semcom', 'semcom-noran', 'compr'}
        What the link is.
    link : RadioRun
        The run of the link for spans, with the weights that it starts from. It takes no steps.
    sensing : JointSensing
        That of `link`: the tile and the reconstruction that the run starts from.

    Raises
    ------
    TrainError
        If the batch cannot be shared by the tiles of a step.
    """

    def __init__(self, method: JointMethod, link: RadioRun[Any], sensing: JointSensing) -> None:
        settings = link.settings
        super().__init__(link.data, settings, link.device)
        self.method, self.link, self.sensing = method, link, sensing
        if self.share % TILES:
            raise TrainError(
                f"a batch of {settings.batch} cannot be shared by {TILES} tiles that are compared "
                f"on the same scenes: give a multiple of {TILES} for every process"
            )
        ends: nn.Module = link.learner.network
        ends.add_module(RECONSTRUCTION, sensing.network)
        # One optimiser and one average for all that learns by gradients.
        self.link.learner = WeightLearner(
            ends,
            {*OUTER, *EdgeNetwork.outer},
            average_decay=settings.average_decay,
            bfloat16=settings.bfloat16,
            averages_gradients=True,
        )
        tile = sensing.bundle.ratio_map.tile
        policy = PolicySettings(
            budget=float(tile.mean()),
            price=0.1,
            periods=(len(tile),),
            tiles_per_scene=TILES,
            starts=1,
            network_every=1,
            exploration=0.05,
        )
        self.policy = TilePolicy(policy, (settings.seed,), tile)

    @property
    def identity(self) -> dict[str, Any]:
        """What the link is, and what it starts from."""
        found = self.link.identity
        policy = asdict(self.policy.settings)
        joint = {"method": self.method, "policy": policy | {"periods": list(policy["periods"])}}
        return found | {"radio": found["radio"] | {"joint": joint}}

    def step(self) -> float:
        """Send scenes under every tile, and learn; return their mean squared error."""
        rng, generator = self.random()
        self.link.progress = self.progress
        index, explore = None, self.policy.settings.exploration * (1 - self.spent / SETTLED)
        tiles = [self.policy.best_tile()]
        if self.spent < SETTLED:
            index, _ = self.policy.sample(TILES, len(tiles[0]), explore, generator)
            tiles = [np.asarray(tile, np.uint8) for tile in self.policy.levels[index].numpy()]
        count = self.share // len(tiles)
        scene = self.data.crops(rng, count, self.settings.crop).to(self.device)
        seed = int(rng.integers(1 << 62))
        losses, errors = [], []
        for tile in tiles:
            loss, error = self._sent(tile, scene, seed)
            losses.append(loss)
            errors.append(error)
        self.link.learner.update(torch.stack(losses).mean(), self.learning_rate)
        if index is not None:
            costs = losses if self.method == "compr" else [torch.tensor(e).log() for e in errors]
            paid = torch.stack([cost.detach().float().exp().cpu() for cost in costs])
            bonus = self.policy.settings.entropy_bonus * (1 - self.spent / SETTLED)
            self.policy.learn(index, paid[:, None, None], explore, bonus)
        return float(np.mean(errors))

    def _sent(self, tile: NDArray[np.uint8], scene: Tensor, seed: int) -> tuple[Tensor, float]:
        """Return loss and error of scenes under a tile; the seed decides rates and noise."""
        self.sensing.take(tile)
        rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        cells = self.sensing.reads.measure(scene, torch.Generator().manual_seed(seed + 1))
        learner = self.link.learner
        with torch.autocast(learner.device.type, torch.bfloat16, learner.bfloat16):
            return self.link.loss(scene, cells, rng, generator)

    def validate(self) -> float:
        """Mean PSNR in dB as that of the link's run, under the tile to deploy."""
        learning = self.sensing.network
        self.sensing.network = self.link.averaged().get_submodule(RECONSTRUCTION)
        self.sensing.take(self.policy.best_tile())
        try:
            return self.link.validate()
        finally:
            self.sensing.network = learning

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validation, and the state of the policy."""
        return {
            **self.link.log_entry(),
            "price": self.policy.price,
            "entropy": self.policy.entropy,
            "sampled_mean": self.policy.mean_level,
            "changed": int((self.policy.best_tile() != self.sensing.bundle.ratio_map.tile).sum()),
        }

    def save(self, path: Path) -> None:
        """Write the checkpoint, and beside it the map to deploy."""
        super().save(path)
        shape = (MAP_SIDE, MAP_SIDE)
        RatioMap.from_tile(self.policy.best_tile(), shape=shape).save(path.with_name(RATIO_MAP))

    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned, as named tensors."""
        policy = {f"policy.{name}": value for name, value in self.policy.state().items()}
        return self.link.state() | policy

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self.policy.load_state(below("policy.", tensors))
        self.link.load_state({k: v for k, v in tensors.items() if not k.startswith("policy.")})


class OneRateRun(SemComRun):
    """Training of a link without rate allocation: all locations of a window have one rate."""

    def _rate_maps(self, predicted: Tensor, rng: np.random.Generator) -> Tensor:
        count, levels, height, width = predicted.shape
        drawn = rng.triangular(-0.5, 0.6 * levels, levels - 0.5, (count, 1, 1))
        rates = torch.from_numpy(drawn.round().clip(0, levels - 1).astype(np.int64))
        return rates.expand(-1, height, width).to(predicted.device)

    def validate(self) -> float:
        """Mean PSNR in dB as in `SemComRun.validate`, of uniform rates alone."""
        super().validate()
        uniform = {k: v for k, v in self.validated.items() if k.startswith("uniform")}
        self.validated = uniform
        return float(np.mean([*uniform.values()]))
