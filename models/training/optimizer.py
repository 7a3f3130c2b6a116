"""The optimiser: orthogonalised momentum for the convolutions, Adam for the rest.

Muon (Jordan et al., 2024): the momentum of a weight matrix is replaced by the nearest orthogonal
matrix, so that every direction learns at the same rate; a few Newton-Schulz iterations suffice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
WEIGHT_DECAY = 0.01
ADAM_SHARE = 0.2
"""Adam's learning rate, relative to that of the convolutions."""
ADAM_BETAS = (0.9, 0.98)
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration; they trade exactness for speed (Jordan et al.)."""


def orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Return roughly ``U V^T`` of the singular value decomposition ``U S V^T`` of `matrix`.

    Parameters
    ----------
    matrix : Tensor of float32, shape (rows, columns)
        Preferably with rows <= columns.
    iterations : int, optional
        Newton-Schulz iterations; five bring the singular values to about 0.7 to 1.2.
    """
    a, b, c = NEWTON_SCHULZ
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    # All steps are polynomials in one small Gram matrix, so the large one is multiplied only twice.
    gram = x @ x.T
    product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(iterations):
        step = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal().add_(a)
        product = step @ product
        gram = step @ gram @ step
    return product @ x


class Optimizer(Protocol):
    """What updates the weights of a run from their gradients."""

    def step(self, learning_rate: float) -> None:
        """Update every parameter."""

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load_state` needs, as named tensors."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what the `state` of another optimiser returned."""


class Muon:
    """Muon for the weights of inner convolutions, Adam for everything else and the outer layers.

    Parameters
    ----------
    parameters : iterable of tuple of (str, nn.Parameter)
        Name and parameter, as ``module.named_parameters()`` gives them.
    outer : collection of str, optional
        Names of the first and the last layers, whose weights Adam suits better; each holds for any
        part of a dotted name.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], outer: Collection[str] = ()
    ) -> None:
        self._matrices: dict[str, nn.Parameter] = {}
        self._others: dict[str, nn.Parameter] = {}
        for name, parameter in parameters:
            # A depthwise convolution has one kernel per channel, which do not form a matrix.
            matrix = parameter.dim() == 4 and parameter.shape[1] > 1
            inner = matrix and not set(name.split(".")).intersection(outer)
            (self._matrices if inner else self._others)[name] = parameter
        self._momentum = {name: torch.zeros_like(p) for name, p in self._matrices.items()}
        self._mean = {name: torch.zeros_like(p) for name, p in self._others.items()}
        self._square = {name: torch.zeros_like(p) for name, p in self._others.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter from its gradient."""
        self._steps += 1
        for name, parameter in self._matrices.items():
            gradient, momentum = _gradient(parameter), self._momentum[name]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, MOMENTUM).flatten(1))
            # The usual factor that makes the update as large as one of Adam.
            scale = 0.2 * max(update.shape) ** 0.5
            parameter.mul_(1 - learning_rate * WEIGHT_DECAY)
            parameter.add_(update.view_as(parameter), alpha=-learning_rate * scale)
        beta_mean, beta_square = ADAM_BETAS
        for name, parameter in self._others.items():
            gradient = _gradient(parameter)
            mean = self._mean[name].lerp_(gradient, 1 - beta_mean)
            square = self._square[name].lerp_(gradient.square(), 1 - beta_square)
            size = (square / (1 - beta_square**self._steps)).sqrt_().add_(1e-8)
            correction = 1 - beta_mean**self._steps
            parameter.addcdiv_(mean, size, value=-learning_rate * ADAM_SHARE / correction)

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load_state` needs, as named tensors."""
        state = {f"momentum.{name}": value for name, value in self._momentum.items()}
        state |= {f"mean.{name}": value for name, value in self._mean.items()}
        state |= {f"square.{name}": value for name, value in self._square.items()}
        return state | {"steps": torch.tensor(self._steps)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what the `state` of another optimiser returned."""
        self._momentum = {name: state[f"momentum.{name}"] for name in self._matrices}
        self._mean = {name: state[f"mean.{name}"] for name in self._others}
        self._square = {name: state[f"square.{name}"] for name in self._others}
        self._steps = int(state["steps"])


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise RuntimeError("a parameter has no gradient: the network does not use it")
    return parameter.grad
