"""Learning of a ratio map by policy gradient while its network learns too: ``train --budget``.

Each step samples several tiles for each of a few scenes, measures and reconstructs them, and
rewards the policy (`focalloop.models.map_learning.policy`); every few batches the network takes a
step of its own, as in CRL. A run is best started from a network that was trained on random tiles,
which judges all tiles fairly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.policy import PolicySettings, TilePolicy
from focalloop.models.training import distributed
from focalloop.models.training.learner import below
from focalloop.models.training.map_source import RATIO_MAP, Coding, MapSource, OneMap
from focalloop.models.training.network_run import coded, validation_psnr
from focalloop.models.training.run import Run, RunSettings
from focalloop.models.training.training_data import TrainingData

MAP_SIDE = 256
"""Height and width in pixels of the map that is written; being periodic, it fits other arrays."""


class MapRun(Run):
    """Learning of a map within a budget.

    Parameters
    ----------
    policy : PolicySettings
        How the map is learned.
    data, settings, device : TrainingData or RunSettings or str
        As in `Run`. Each process's share of the batch must be a multiple of
        ``tiles_per_scene * starts`` of the policy.
    coding : Coding or None, optional
        Coded aperture that measurements are taken through, or None.
    first : sequence of ndarray of uint8 or None, optional
        Tiles to start from, one per policy, or None.
    """

    def __init__(
        self,
        policy: PolicySettings,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
        coding: Coding | None = None,
        first: Sequence[NDArray[np.uint8]] | None = None,
    ) -> None:
        super().__init__(data, settings, device)
        group = policy.tiles_per_scene * policy.starts
        if self.share % group:
            raise TrainError(
                f"a batch of {settings.batch} cannot be shared by {policy.starts} policies that "
                f"each compare {policy.tiles_per_scene} tiles on a scene: give a multiple of "
                f"{group * distributed.count()}"
            )
        self.policies = [
            TilePolicy(policy, (settings.seed, n), first[n] if first else None)
            for n in range(policy.starts)
        ]
        self.coding = coding
        self.sampled_psnr = float("nan")

    @property
    def identity(self) -> dict[str, Any]:
        """How the map is learned, and through what aperture."""
        aperture = None
        if self.coding is not None:
            tile = np.packbits(self.coding.tile).tobytes()
            aperture = [hashlib.sha256(tile).hexdigest(), self.coding.max_level]
        policy = asdict(self.policy.settings)
        return {"policy": policy | {"periods": list(policy["periods"])}, "aperture": aperture}

    @property
    def policy(self) -> TilePolicy:
        """The policy that continues alone; while several are on trial, the first of them."""
        return self.policies[0]

    @property
    def _part(self) -> tuple[int, float]:
        """Number of the current period, from 0, and the share of its part that is done, 0 to 1."""
        periods = len(self.policy.settings.periods)
        number = min(int(self.spent * periods), periods - 1)
        return number, self.spent * periods - number

    @property
    def exploration(self) -> float:
        """Share of uniform choice in the current samples."""
        start = self.policy.settings.exploration / (1 + self.progress.step / 1000)
        return start * (1 - self._part[1])

    def step(self) -> float:
        """Sample maps, let the network and the policy learn; return the mean squared error."""
        rng, noise = self.random()
        settings, tiles = self.settings, self.policy.settings.tiles_per_scene
        if len(self.policies) > 1 and self.spent >= self.policy.settings.trial:
            self._keep_the_best()
        number, over = self._part
        explore, share = self.exploration, self.share // len(self.policies)
        scenes = self.data.crops(rng, self.share // tiles, settings.crop)
        drawn = []
        for policy in self.policies:
            policy.enter(policy.settings.periods[number])
            drawn.append(policy.sample(share, settings.crop, explore, noise))
        levels = torch.cat([levels for _, levels in drawn])
        measured = (scenes.repeat_interleave(tiles, 0), levels, coded(self.coding, levels))
        if self.progress.step % self.policy.settings.network_every == 0:
            rate = self.learning_rate
            errors = self.learner.step(*measured, learning_rate=rate, generator=noise)
        else:
            errors = self.learner.errors(*measured, generator=noise)
        bonus = self.policy.settings.entropy_bonus * (1 - over)
        paid = torch.split(errors.cpu(), share)
        for policy, (index, _), own_errors in zip(self.policies, drawn, paid, strict=True):
            policy.learn(index, own_errors, explore, bonus)
        return float(errors.mean())

    def _keep_the_best(self) -> None:
        """End the trial: continue with the policy whose map gives the best PSNR."""
        network = self.learner.averaged_network()
        psnr = [validation_psnr(network, self, self._deployed(p)) for p in self.policies]
        self.policies = [self.policies[int(np.argmax(psnr))]]

    def best_map(self) -> RatioMap:
        """Return the map that the policy would deploy now, without its aperture."""
        return RatioMap.from_tile(self.policy.best_tile(), shape=(MAP_SIDE, MAP_SIDE))

    def _deployed(self, policy: TilePolicy) -> OneMap:
        ratio_map = RatioMap.from_tile(policy.best_tile(), shape=(MAP_SIDE, MAP_SIDE))
        return OneMap(with_coding(ratio_map, self.coding))

    def validate(self) -> float:
        """Mean PSNR in dB under the map to deploy; sets `sampled_psnr` to that of sampled maps."""
        network = self.learner.averaged_network()
        self.sampled_psnr = validation_psnr(network, self, _Sampled(self.policy, self.coding))
        return validation_psnr(network, self, self._deployed(self.policy))

    def log_entry(self) -> dict[str, Any]:
        """Return the state of the policy, and the levels of the map that it would deploy."""
        tile = self.policy.best_tile()
        argmax = self.policy.probabilities().detach().argmax(-1)
        shares = {f"share_{n}": float((tile == n).mean()) for n in DEFAULT_LEVEL_SET}
        budget = self.policy.settings.budget
        return {
            "price": self.policy.price,
            "entropy": self.policy.entropy,
            "sampled_mean": self.policy.mean_level,
            "argmax_mean": float(self.policy.levels[argmax].float().mean()),
            "deployed_mean": float(tile.mean()),
            "sampled_psnr": self.sampled_psnr,
            **({} if budget is None else {"budget": budget}),
            **shares,
        }

    def save(self, path: Path) -> None:
        """Write the checkpoint, and beside it the map to deploy."""
        super().save(path)
        self.best_map().save(path.with_name(RATIO_MAP))

    def state(self) -> dict[str, Tensor]:
        """Return what the network and the policies have learned."""
        tensors = super().state()
        for number, policy in enumerate(self.policies):
            tensors |= {f"policy{number}.{name}": v for name, v in policy.state().items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        super().load_state(tensors)
        on_trial = [p for p in range(len(self.policies)) if f"policy{p}.worth" in tensors]
        self.policies = self.policies[: len(on_trial)]
        for number, policy in enumerate(self.policies):
            policy.load_state(below(f"policy{number}.", tensors))


def with_coding(ratio_map: RatioMap, coding: Coding | None) -> RatioMap:
    """Return the same levels with a coded aperture, or without one."""
    aperture = None if coding is None else coding.over(ratio_map.levels[None])[0]
    return ratio_map.with_aperture(aperture)


class _Sampled(MapSource):
    """Maps sampled from a policy without exploration, for validation."""

    name = "sampled"

    def __init__(self, policy: TilePolicy, coding: Coding | None) -> None:
        self.policy = policy
        self.coding = coding
        self.slots = DEFAULT_SLOTS

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
        return self.policy.sample(count, side, 0.0, generator)[1].numpy()

    def apertures(
        self, rng: np.random.Generator, levels: NDArray[np.uint8]
    ) -> NDArray[np.bool_] | None:
        return None if self.coding is None else self.coding.over(levels)
