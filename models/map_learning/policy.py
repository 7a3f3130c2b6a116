"""A policy over ratio maps and its rewards: the policy gradient of CRL section III.

The policy gives every cell of a periodic tile a distribution ``P`` over levels. Maps are sampled,
measured and reconstructed, and choices that made the video better become more likely (CRL Eq. 7).
The *credit* says what a cell is rewarded for:

``own-pixel``
    As in the paper (CRL Eq. 6): every pixel of the array is sampled separately and rewarded by the
    logarithm of its own squared error, ``Q_p = log(1 / (SE_p + 1e-4)) - lambda * n_p``, without a
    baseline, and the policy is the paper's generator
    (`focalloop.models.map_learning.ratio_generator`), trained as there. A read is not rewarded for
    helping the pixels around it.
``tile``
    One tile is sampled and repeated over the scene, and all of its cells are rewarded by the
    logarithm of the scene's error: what is scored is a periodic map, as will be deployed.
``neighbourhood``
    As ``tile``, but a cell is rewarded for the error within `radius` pixels of it, all over the
    scene. That leaves out noise from cells far away, which matters for large tiles.

The last two compare tiles on the same scene. Two baselines are subtracted from the reward of a
cell: the mean reward of the other samples (leave one out), and the value of the *other* cells of
its tile, predicted by a running linear fit. The cell's own choice enters neither baseline, so the
gradient stays unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.level_shares import shares_for_mean
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.most_probable_tile import most_probable
from focalloop.models.map_learning.ratio_generator import CELL, MARGIN, RatioGenerator
from focalloop.models.training import distributed
from focalloop.models.training.learner import below

CREDITS = ("tile", "neighbourhood", "own-pixel")
ERROR_FLOOR = 1e-4
"""Added to squared errors before the logarithm, CRL Eq. 6."""
FIRST_LOGIT = 3.5
"""Logit of the levels of the tile from which a policy starts; nine of ten cells keep theirs."""


@dataclass(frozen=True)
class PolicySettings:
    """How a map is learned.

    Attributes
    ----------
    budget : float or None
        Wanted mean level, measurements per pixel: ``r_avg * T``. None keeps the price constant.
    price : float
        Initial cost of a measurement: lambda of CRL Eq. 6.
    credit : str
        One of `CREDITS`.
    radius : int
        Radius of the neighbourhood, pixels.
    periods : tuple of int
        Sides of the tile in turn, pixels, each for an equal part of the run; the next tile starts
        from the last one, repeated.
    tiles_per_scene : int
        Samples that are compared on each scene.
    starts : int
        Policies that learn side by side from different initial logits, because tiles have many
        local optima; the best one continues alone.
    trial : float
        Share of the run after which the best of these policies continues alone.
    network_every : int
        Steps of the policy per step of the network; a step of the network takes three times as
        long.
    exploration : float
        Initial share of uniform choice that is mixed into the policy; it falls as
        ``1/(1 + step/1000)``, and to zero at the end.
    entropy_bonus : float
        Initial weight of the entropy of the policy; it falls to zero over the part of the run that
        each period has.
    learning_rate : float
        Learning rate of the logits (Adam).
    dual_rate : float
        How fast the price follows the excess over the budget.
    """

    budget: float | None = 1.0
    price: float = 0.3
    credit: str = "tile"
    radius: int = 3
    periods: tuple[int, ...] = (4, 8)
    tiles_per_scene: int = 4
    starts: int = 4
    trial: float = 0.4
    network_every: int = 4
    exploration: float = 0.2
    entropy_bonus: float = 0.01
    learning_rate: float = 0.05
    dual_rate: float = 0.02

    def __post_init__(self) -> None:
        max_level = DEFAULT_LEVEL_SET[-1]
        if self.budget is not None and not 0 < self.budget <= max_level:
            raise TrainError(
                f"a budget of {self.budget:g} measurements per pixel is outside (0, {max_level}]"
            )
        if self.credit not in CREDITS:
            raise TrainError(f"credit {self.credit!r} is not one of {', '.join(CREDITS)}")
        if self.tiles_per_scene < 2 or self.starts < 1:
            raise TrainError("at least one policy is needed, and two tiles to compare on a scene")


class TilePolicy:
    """The logits of a tile, the price of a measurement, and the baselines.

    Parameters
    ----------
    settings : PolicySettings
        How it learns.
    seed : sequence of int, optional
        Seed of the initial logits, which differ a little so that cells can specialise.
    first : ndarray of uint8 or None, optional
        Tile (h, w) to start from, such as one that a search found; random logits by default.
    """

    def __init__(
        self,
        settings: PolicySettings,
        seed: Sequence[int] = (0,),
        first: NDArray[np.uint8] | None = None,
    ) -> None:
        self.settings = settings
        self.levels = torch.tensor(DEFAULT_LEVEL_SET)
        self.price = settings.price
        if settings.credit == "own-pixel":
            torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
            self._become(_PaperPolicy())
            return
        side = settings.periods[0]
        unlike = np.random.default_rng(seed).normal(0, 0.3, (side, side, len(self.levels)))
        start = torch.from_numpy(unlike).float()
        if first is None:
            # Begin above the budget: with many reads, the network shows which ones matter.
            target = min(6.0, 1.5 * (settings.budget or 4.0))
            shares = shares_for_mean(target, self.levels.tolist())
            start += torch.tensor([*shares.values()]).log()
        else:
            tile = torch.from_numpy(repeat(first, side, side)).unsqueeze(-1)
            start += FIRST_LOGIT * (tile == self.levels)
        self._become(_Table(start))

    def _become(self, module: nn.Module) -> None:
        self._module = module
        self.worth = torch.zeros_like(self.logits)
        self._spread = 0.0
        learning = [p for p in module.parameters() if p.requires_grad]
        self._optimizer: torch.optim.Optimizer
        if isinstance(module, _PaperPolicy):
            self._optimizer = torch.optim.SGD(learning, lr=5e-3, momentum=0.9)
        else:
            rate = self.settings.learning_rate
            self._optimizer = torch.optim.Adam(learning, lr=rate, betas=(0.9, 0.98))

    @property
    def logits(self) -> Tensor:
        """Logits (h, w, levels) of the tile."""
        logits: Tensor = self._module()
        return logits

    def enter(self, side: int) -> None:
        """Continue with a tile of `side` pixels that starts as the current one, repeated."""
        repeats = side // self.worth.shape[0]
        if repeats > 1 and isinstance(self._module, _Table):
            self._become(_Table(self.logits.detach().repeat(repeats, repeats, 1)))

    # ------------------------------------------------------------ sampling and learning

    def probabilities(self, explore: float = 0.0) -> Tensor:
        """Return P (h, w, levels), of which a share `explore` is uniform."""
        chosen = functional.softmax(self.logits, -1)
        return (1 - explore) * chosen + explore / len(self.levels)

    def sample(
        self, count: int, side: int, explore: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw maps for `count` crops of `side` pixels.

        Returns
        -------
        tuple
            Level indices as drawn, (count, h, w) of the tile or, where every pixel is drawn
            separately, (count, side, side); and levels (count, side, side) uint8.
        """
        chances = self.probabilities(explore).detach()
        if self.settings.credit == "own-pixel":
            chances = over(chances, side)
        flat = chances.flatten(0, 1).cumsum(-1)
        draw = torch.rand(count, len(flat), 1, generator=generator)
        index = (draw > flat[:, :-1]).sum(-1).view(count, *chances.shape[:2])
        return index, over(self.levels[index].permute(1, 2, 0), side).permute(2, 0, 1).byte()

    def learn(self, index: Tensor, errors: Tensor, explore: float, bonus: float) -> None:
        """Follow the policy gradient of one batch, and adjust the price.

        Parameters
        ----------
        index : Tensor
            Level indices that `sample` drew.
        errors : Tensor of float32, shape (N, S, S)
            Squared error of every pixel; each `tiles_per_scene` consecutive samples measured the
            same scene.
        explore : float
            Share of uniform choice in that sample.
        bonus : float
            Weight of the entropy.
        """
        chances = self.probabilities(explore)
        own_pixel = self.settings.credit == "own-pixel"
        advantage = (
            self._own_pixel_reward(index, errors) if own_pixel else self._advantage(index, errors)
        )
        if own_pixel:
            chances = over(chances, errors.shape[-1])
        log_chance = chances.log().expand(len(index), -1, -1, -1)
        taken = log_chance.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        gain = (taken * advantage).mean(0).sum() if not own_pixel else (taken * advantage).mean()
        loss = -gain - bonus * self.entropy_of(self.probabilities()).mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        distributed.average_gradients(self._module)
        self._optimizer.step()
        self.price *= math.exp(self.settings.dual_rate * self._excess)

    @property
    def _excess(self) -> float:
        """Relative excess of the mean level over the budget, limited to 1."""
        if self.settings.budget is None:
            return 0.0
        return min(1.0, self.mean_level / self.settings.budget - 1)

    @property
    def _price_now(self) -> float:
        """The price with a factor that follows the excess at once and keeps P from collapsing."""
        return self.price * math.exp(self._excess)

    def _own_pixel_reward(self, index: Tensor, errors: Tensor) -> Tensor:
        return -(errors + ERROR_FLOOR).log() - self._price_now * self.levels[index]

    def _advantage(self, index: Tensor, errors: Tensor) -> Tensor:
        """Return the advantage (N, h, w) of each choice, scaled to a mean square of one."""
        size, group = index.shape[1:], self.settings.tiles_per_scene
        scene_error = errors.mean((1, 2))
        if self.settings.credit == "tile":
            reward = -(scene_error + ERROR_FLOOR).log().view(-1, 1, 1).expand(-1, *size)
            advantage = self._less_the_rest(index, _less_the_others(reward, group))
        else:
            typical = scene_error.view(-1, group).log().mean(1).exp().repeat_interleave(group)
            reward = -self._error_around(errors, size) / typical.view(-1, 1, 1)
            advantage = _less_the_others(reward, group)
        chances = self.probabilities().detach()
        cost = self.levels[index] - (chances * self.levels).sum(-1)
        advantage = advantage - self._price_now * cost / index[0].numel()
        square = float(advantage.square().mean())
        self._spread = square if not self._spread else 0.98 * self._spread + 0.02 * square
        return advantage / math.sqrt(self._spread + 1e-12)

    def _less_the_rest(self, index: Tensor, advantage: Tensor) -> Tensor:
        """Subtract the worth of the other cells of the sampled tile, and update its estimate."""
        group = self.settings.tiles_per_scene
        chances = self.probabilities().detach()
        chosen = functional.one_hot(index, len(self.levels)).to(chances.dtype)
        worth = (chosen * (self.worth - (self.worth * chances).sum(-1, keepdim=True))).sum(-1)
        whole = worth.sum((1, 2), keepdim=True)
        surprise = (advantage - _less_the_others(whole, group)).unsqueeze(-1) * (chosen - chances)
        rate = 0.8 / index[0].numel()  # larger steps make the fit unstable
        self.worth = self.worth + rate * surprise.mean(0) / chances.clamp_min(0.05)
        return advantage - _less_the_others(whole - worth, group)

    def _error_around(self, errors: Tensor, size: torch.Size) -> Tensor:
        """Sum the squared errors within `radius` of each cell of the tile, as a share of the tile.

        (N, S, S) to (N, h, w): the mean over the repeats of the tile, and a sum over the
        neighbourhood that counts each pixel of the tile at most once.
        """
        height, width = size
        rows, columns = errors.shape[1] // height, errors.shape[2] // width
        folded = errors[:, : rows * height, : columns * width]
        folded = folded.reshape(-1, rows, height, columns, width).mean((1, 3))
        reach_y = min(self.settings.radius, (height - 1) // 2)
        reach_x = min(self.settings.radius, (width - 1) // 2)
        wrapped = functional.pad(folded[:, None], (reach_x,) * 2 + (reach_y,) * 2, mode="circular")
        kernel = wrapped.new_ones(1, 1, 2 * reach_y + 1, 2 * reach_x + 1)
        return functional.conv2d(wrapped, kernel)[:, 0] / (height * width)

    # ------------------------------------------------------------ results

    @property
    def mean_level(self) -> float:
        """Mean level of the policy, measurements per pixel."""
        return float((self.probabilities().detach() * self.levels).sum(-1).mean())

    @property
    def entropy(self) -> float:
        """Mean entropy of the distributions of the cells, nats."""
        return float(self.entropy_of(self.probabilities().detach()).mean())

    @staticmethod
    def entropy_of(chances: Tensor) -> Tensor:
        """Return the entropy (h, w) of `chances` (h, w, levels), nats."""
        return -(chances * chances.clamp_min(1e-12).log()).sum(-1)

    def best_tile(self) -> NDArray[np.uint8]:
        """Return the most probable tile (h, w) of the budget; without a budget, the argmax.

        CRL deploys ``argmax P``. With a budget of B measurements per tile, it is the argmax over
        all tiles of B measurements, found exactly by dynamic programming over the cells.
        """
        scores = self.probabilities().detach().clamp_min(1e-12).log().double().numpy()
        levels = self.levels.numpy()
        if self.settings.budget is None:
            return np.asarray(levels[scores.argmax(-1)], np.uint8)
        height, width = scores.shape[:2]
        reads = max(1, round(self.settings.budget * height * width))
        return most_probable(scores.reshape(-1, len(levels)), levels, reads).reshape(height, width)

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load_state` needs, as named tensors."""
        optimizer = self._optimizer.state_dict()["state"]
        return {
            **{f"module.{name}": value for name, value in self._module.state_dict().items()},
            "worth": self.worth,
            "scalars": torch.tensor([self.price, self._spread], dtype=torch.float64),
            **{
                f"optimizer.{number}.{name}": torch.as_tensor(value)
                for number, entry in optimizer.items()
                for name, value in entry.items()
            },
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what the `state` of another policy returned."""
        self.enter(tensors["worth"].shape[0])
        self._module.load_state_dict(below("module.", tensors))
        self.worth = tensors["worth"]
        self.price, self._spread = (float(value) for value in tensors["scalars"])
        document = self._optimizer.state_dict()
        for key, value in below("optimizer.", tensors).items():
            number, name = key.split(".")
            document["state"].setdefault(int(number), {})[name] = value
        self._optimizer.load_state_dict(document)


class _Table(nn.Module):
    """Logits (h, w, levels) that are parameters themselves."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(logits)

    def forward(self) -> Tensor:
        return self.table


class _PaperPolicy(nn.Module):
    """The tile (4, 4, levels) in the middle of the paper's ratio generator.

    The matrix of the generator is held constant, as in the authors' published code, so that its
    whole map except the border repeats this tile.
    """

    def __init__(self) -> None:
        super().__init__()
        side = 2 * MARGIN + CELL
        self.generator = RatioGenerator(side, side, len(DEFAULT_LEVEL_SET))
        self.generator.matrix.requires_grad_(False)

    def forward(self) -> Tensor:
        middle = slice(MARGIN, MARGIN + CELL)
        logits: Tensor = self.generator()[:, middle, middle].permute(1, 2, 0)
        return logits


def over(tile: Tensor, side: int) -> Tensor:
    """Repeat a tile (h, w, ...) over (side, side, ...), from the top left corner."""
    rows = torch.arange(side) % tile.shape[0]
    columns = torch.arange(side) % tile.shape[1]
    return tile[rows][:, columns]


def _less_the_others(reward: Tensor, group: int) -> Tensor:
    """Subtract from each reward the mean reward of the other samples on its scene."""
    grouped = reward.reshape(-1, group, *reward.shape[1:])
    return ((grouped - grouped.mean(1, keepdim=True)) * group / (group - 1)).reshape(reward.shape)
