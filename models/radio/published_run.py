"""What training runs by the published schedule share: optimisers, rates, and when these fall."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from focalloop.models.radio.run import RadioRun
from focalloop.models.training.learner import AnyNetwork, below

LEARNING_RATE = 5e-5
"""Of Adam, for all but the last part of a run; then it is a tenth of that."""

POLICY_RATE, MOMENTUM = 5e-3, 0.9
"""Of the stochastic gradient descent of a policy, as of the map's in CRL section III."""

_FINE = 0.8
"""Share of the run after which rates are a tenth."""


class PublishedRun(RadioRun[AnyNetwork]):
    """A run whose learning rate is constant, then a tenth; parameters as in `RadioRun`."""

    @property
    def learning_rate(self) -> float:
        """Learning rate of this step."""
        return self.settings.learning_rate * (1.0 if self.spent < _FINE else 0.1)


class TorchOptimizers:
    """Optimisers of PyTorch, each for some of the parameters, as one `Optimizer`.

    Parameters without a gradient stay as they are.

    Parameters
    ----------
    parts : mapping of str to tuple of (torch.optim.Optimizer, float)
        By name, each with its learning rate relative to that of the run.
    """

    def __init__(self, parts: Mapping[str, tuple[torch.optim.Optimizer, float]]) -> None:
        self._parts = parts

    def step(self, learning_rate: float) -> None:
        """Update every parameter that has a gradient."""
        for optimizer, share in self._parts.values():
            optimizer.param_groups[0]["lr"] = share * learning_rate
            optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load_state` needs, as named tensors."""
        return {
            f"{part}.{place}.{name}": value
            for part, (optimizer, _) in self._parts.items()
            for place, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what the `state` of another optimiser returned."""
        for part, (optimizer, _) in self._parts.items():
            values: dict[int, dict[str, Tensor]] = {}
            for key, value in below(f"{part}.", state).items():
                place, name = key.split(".")
                values.setdefault(int(place), {})[name] = value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": values})
