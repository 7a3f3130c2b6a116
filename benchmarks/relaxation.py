"""Learning of a tile by gradient descent through a relaxed choice of levels, without a policy.

A level is a discrete choice and has no gradient. Two relaxations give it one; in the forward pass
both choose levels, so that the network only sees maps that a sensor can have:

``straight-through``
    The supplement of CRL: one number per cell, whose sigmoid is cut into five equal bins, one per
    level. The backward pass ignores the cut: a step of one bin is worth the difference between the
    two nearest levels.
``gumbel``
    Logits per cell, and a level drawn from them for each scene. In the backward pass a draw is its
    tempered softmax (Jang et al., 2017; Maddison et al., 2017), which gets sharper over the run.

The loss is that of `Learner.step` (the logarithm of a window's squared error, where CRL has the
squared error itself) plus lambda times the mean level; a dual step moves lambda until the tile
costs the budget.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.most_probable_tile import most_probable
from focalloop.models.networks.edge import EdgeNetwork
from focalloop.models.networks.sensing import brightness
from focalloop.models.training.learner import ERROR_FLOOR, Learner, NotFiniteError, below
from focalloop.models.training.map_source import RATIO_MAP, OneMap
from focalloop.models.training.network_run import validation_psnr
from focalloop.models.training.run import Run, RunSettings
from focalloop.models.training.training_data import TrainingData

RELAXATIONS = ("straight-through", "gumbel")
MAP_SIDE = 256
"""Height and width of the map that is written, pixels."""

_LEVELS = torch.tensor(DEFAULT_LEVEL_SET)
_START_SPREAD = {"straight-through": 1.0, "gumbel": 0.3}
"""Standard deviation of the initial numbers, so that cells can specialise."""


@dataclass(frozen=True)
class RelaxationSettings:
    """How a tile is relaxed.

    Attributes
    ----------
    budget : float
        Wanted mean level, measurements per pixel, above 0 and up to the highest level.
    method : str
        One of `RELAXATIONS`.
    period : tuple of int
        Height and width of the tile, pixels.
    price : float
        Initial lambda: the cost of one measurement per pixel.
    dual_rate : float
        How fast the price follows the excess over the budget.
    learning_rate : float
        Learning rate of the numbers of the tile (Adam).
    temperatures : tuple of float
        First and last temperature of the Gumbel-softmax, which falls geometrically.
    judge_learns : bool
        Whether the network learns too, under the tiles that are tried.
    """

    budget: float
    method: str = "straight-through"
    period: tuple[int, int] = (4, 4)
    price: float = 0.3
    dual_rate: float = 0.02
    learning_rate: float = 0.05
    temperatures: tuple[float, float] = (1.0, 0.1)
    judge_learns: bool = False

    def __post_init__(self) -> None:
        max_level = DEFAULT_LEVEL_SET[-1]
        if not 0 < self.budget <= max_level:
            raise TrainError(
                f"a budget of {self.budget:g} measurements per pixel is outside (0, {max_level}]"
            )
        if self.method not in RELAXATIONS:
            raise TrainError(f"relaxation {self.method!r} is not one of {', '.join(RELAXATIONS)}")


class RelaxedRun(Run):
    """Learning of a tile within a budget, by a relaxation, in one process.

    Parameters
    ----------
    relaxation : RelaxationSettings
        How the tile is learned.
    data, settings, device : TrainingData or RunSettings or str
        As in `Run`. The learning rate of `settings` is that of the judge, if it learns.

    Raises
    ------
    TrainError
        If the network is no edge network, the only one whose inputs can be mixed.
    """

    def __init__(
        self,
        relaxation: RelaxationSettings,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        super().__init__(data, settings, device)
        if not isinstance(self.learner.network, EdgeNetwork):
            raise TrainError("a relaxed map needs an edge network")
        self.relaxation = relaxation
        self.price = relaxation.price
        generator = torch.Generator().manual_seed(settings.seed)
        # Begin above the budget: it is easier to see which reads are dispensable than which are
        # missing.
        self._restart(_first_numbers(relaxation, 1.5 * relaxation.budget, generator))

    def _restart(self, numbers: Tensor) -> None:
        self.numbers = nn.Parameter(numbers)
        self._optimizer = torch.optim.Adam([self.numbers], betas=(0.9, 0.98))

    @property
    def identity(self) -> dict[str, Any]:
        """How the tile is learned."""
        relaxation = asdict(self.relaxation)
        return {"relaxation": {k: _as_json(value) for k, value in relaxation.items()}}

    def step(self) -> float:
        """Measure a batch under relaxed tiles and follow the gradient; return its squared error."""
        rng, generator = self.random()
        settings, relaxation = self.settings, self.relaxation
        scene = self.data.crops(rng, settings.batch, settings.crop).to(self.learner.device)
        planes = every_level(self.learner, scene, generator)
        choice, mean_level = self._choice(settings.batch, generator)
        choice = _repeated(choice.to(scene.device), settings.crop).expand(len(scene), -1, -1, -1)
        video = reconstruct(self.learner, planes, choice)
        error = (video.float() - scene).square().mean((1, 2, 3))
        loss = (error + ERROR_FLOOR).log().mean().cpu() + self.price * mean_level
        if not torch.isfinite(loss):
            raise NotFiniteError
        # Only the gradient of the tile is computed: the weights of the judge need none.
        (self.numbers.grad,) = torch.autograd.grad(loss, [self.numbers])
        for group in self._optimizer.param_groups:
            group["lr"] = relaxation.learning_rate * 0.5 * (1 + math.cos(math.pi * self.spent))
        self._optimizer.step()
        excess = max(-1.0, min(1.0, float(mean_level.detach()) / relaxation.budget - 1))
        self.price *= math.exp(relaxation.dual_rate * excess)
        if relaxation.judge_learns:
            levels = _LEVELS[choice.detach().argmax(1).cpu()].byte()
            rate = self.learning_rate
            self.learner.step(scene, levels, None, learning_rate=rate, generator=generator)
        return float(error.detach().mean())

    def _choice(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the choice (1 or `count`, levels, h, w), and the mean level that it costs."""
        if self.relaxation.method == "straight-through":
            choice = straight_through(self.numbers).movedim(-1, 0)[None]
            return choice, (choice.mean((0, 2, 3)) * _LEVELS).sum()
        first, last = self.relaxation.temperatures
        temperature = first * (last / first) ** self.spent
        choice = gumbel(self.numbers, temperature, count, generator).movedim(-1, 1)
        chances = functional.softmax(self.numbers, -1)
        return choice, (chances.mean((0, 1)) * _LEVELS).sum()

    def best_tile(self) -> NDArray[np.uint8]:
        """Return the tile (h, w) nearest to what was learned that costs the budget."""
        numbers = self.numbers.detach().double()
        if self.relaxation.method == "straight-through":
            scores = -(_position(numbers).unsqueeze(-1) - torch.arange(len(_LEVELS))).square()
        else:
            scores = functional.log_softmax(numbers, -1)
        height, width = self.relaxation.period
        reads = max(1, round(self.relaxation.budget * height * width))
        flat = scores.reshape(-1, len(_LEVELS)).numpy()
        return most_probable(flat, _LEVELS.numpy(), reads).reshape(height, width)

    def best_map(self) -> RatioMap:
        """Return `best_tile`, repeated over an array."""
        return RatioMap.from_tile(self.best_tile(), shape=(MAP_SIDE, MAP_SIDE))

    def validate(self) -> float:
        """Mean PSNR in dB under the map to deploy, on the validation windows."""
        return validation_psnr(self.learner.averaged_network(), self, OneMap(self.best_map()))

    def log_entry(self) -> dict[str, Any]:
        """Return the price and the mean levels."""
        with torch.no_grad():
            mean_level = float(self._choice(1, torch.Generator())[1])
        return {
            "price": self.price,
            "relaxed_mean": mean_level,
            "deployed_mean": float(self.best_tile().mean()),
        }

    def save(self, path: Path) -> None:
        """Write the checkpoint, and beside it the map to deploy."""
        super().save(path)
        self.best_map().save(path.with_name(RATIO_MAP))

    def state(self) -> dict[str, Tensor]:
        """Return what has been learned."""
        adam = self._optimizer.state.get(self.numbers, {})
        relaxation = {
            "numbers": self.numbers.detach(),
            "price": torch.tensor(self.price, dtype=torch.float64),
            **{f"adam.{name}": torch.as_tensor(value) for name, value in adam.items()},
        }
        return super().state() | {f"relaxation.{name}": v for name, v in relaxation.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        super().load_state(tensors)
        ours = below("relaxation.", tensors)
        self._restart(ours["numbers"])
        self.price = float(ours["price"])
        if adam := below("adam.", ours):
            self._optimizer.state[self.numbers] = adam


def straight_through(numbers: Tensor) -> Tensor:
    """Cut a sigmoid into one equal bin per level, with the gradient of the uncut sigmoid.

    Parameters
    ----------
    numbers : Tensor
        Of any shape; the lowest fifth of their sigmoid is the lowest level, and so on.

    Returns
    -------
    Tensor
        One-hot, (..., levels). Its gradient is that of linear interpolation between the two levels
        around a number, which is continued beyond the middle of the outermost bins.
    """
    position = _position(numbers)
    last = len(_LEVELS) - 1
    hard = functional.one_hot(position.detach().round().clamp(0, last).long(), last + 1)
    below_it = position.detach().floor().clamp(0, last - 1)
    share = (position - below_it).unsqueeze(-1)
    ends = (
        functional.one_hot(below_it.long(), last + 1),
        functional.one_hot(below_it.long() + 1, last + 1),
    )
    soft = (1 - share) * ends[0] + share * ends[1]
    return hard + (soft - soft.detach())  # in this order exactly one-hot


def _position(numbers: Tensor) -> Tensor:
    """Return the positions of numbers among the levels: 0.0 is the middle of the lowest bin."""
    return len(_LEVELS) * numbers.sigmoid() - 0.5


def gumbel(logits: Tensor, temperature: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw from ``softmax(logits)``, with the gradient of the tempered softmax of the same draw.

    Parameters
    ----------
    logits : Tensor
        Of shape (..., levels).
    temperature : float
        Low temperatures have less biased but noisier gradients.
    count : int
        Number of draws.
    generator : Generator
        Generator of the draws, on the CPU.

    Returns
    -------
    Tensor
        One-hot, (count, ..., levels).
    """
    uniform = torch.rand(count, *logits.shape, generator=generator).clamp(1e-10, 1 - 1e-7)
    disturbed = logits - (-uniform.log()).log()
    soft = functional.softmax(disturbed / temperature, -1)
    hard = functional.one_hot(disturbed.argmax(-1), logits.shape[-1])
    return hard + (soft - soft.detach())  # in this order exactly one-hot


def every_level(learner: Learner, scene: Tensor, generator: torch.Generator) -> Tensor:
    """Measure each pixel of `scene` at every level at once, which no sensor can do.

    Returns
    -------
    Tensor
        (N, C, H, W): the planes of `focalloop.models.networks.sensing.brightness`, none of them
        empty.
    """
    slots = scene.shape[1]
    planes = torch.zeros((), device=scene.device)
    for level in DEFAULT_LEVEL_SET[1:]:
        uniform = torch.full((1, *scene.shape[2:]), level, dtype=torch.uint8)
        measured = learner.measure(scene, uniform, None, generator)
        planes = planes + brightness(measured["reads"], measured["levels"], slots)
    return planes


def reconstruct(learner: Learner, planes: Tensor, choice: Tensor) -> Tensor:
    """Reconstruct from the reads of `every_level` that `choice` takes; differentiable in `choice`.

    Parameters
    ----------
    learner : Learner
        Its network, an edge network, reconstructs.
    planes : Tensor of float32, shape (N, C, H, W)
        What `every_level` returned.
    choice : Tensor of float32, shape (N, levels, H, W)
        One-hot, from the lowest level up.
    """
    network = learner.network
    assert isinstance(network, EdgeNetwork)
    masks = choice[:, 1:].to(planes.dtype)
    taken = planes * masks.repeat_interleave(_LEVELS[1:].to(masks.device), dim=1)
    with torch.autocast(learner.device.type, torch.bfloat16, enabled=learner.bfloat16):
        return network.from_sorted(taken, masks)


def _first_numbers(
    relaxation: RelaxationSettings, mean: float, generator: torch.Generator
) -> Tensor:
    """Return numbers whose tile costs about `mean`, with a little noise per cell."""
    spread = _START_SPREAD[relaxation.method]
    position = np.interp(mean, DEFAULT_LEVEL_SET, range(len(_LEVELS)))
    if relaxation.method == "straight-through":
        share = (position + 0.5) / len(_LEVELS)
        start = torch.full(relaxation.period, math.log(share / (1 - share)))
    else:
        distance = torch.arange(len(_LEVELS)) - position
        start = (-0.25 * distance.square()).float().expand(*relaxation.period, -1)
    return start + spread * torch.randn(start.shape, generator=generator)


def _repeated(choice: Tensor, side: int) -> Tensor:
    """Repeat (N, levels, h, w) over (N, levels, side, side), from the top left corner."""
    height, width = choice.shape[2:]
    rows = torch.arange(side, device=choice.device) % height
    columns = torch.arange(side, device=choice.device) % width
    return choice[:, :, rows][:, :, :, columns]


def _as_json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
