"""A network that learns: one gradient step on one batch, on any device and in several processes.

A step is the same whether it measures one map, random tiles or maps sampled from a policy; the
loops that choose the maps are `focalloop.models.training.network_run` and
`focalloop.models.map_learning.map_run`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.networks.edge import NOISE_SPAN, USUAL_NOISE
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.profiles import (
    Network,
    NetworkSettings,
    build_network,
    has_memory,
    is_told,
)
from focalloop.models.networks.sensing import add_noise, clean_reads, read_out
from focalloop.models.training import distributed
from focalloop.models.training.optimizer import Muon, Optimizer
from focalloop.models.training.rounding import NAME, Rounding

ERROR_FLOOR = 1e-5
"""Added to squared errors before the logarithm, so that nothing is gained beyond 50 dB."""

Batch = tuple[Tensor, Tensor, Tensor | None]
"""Scene, levels and aperture."""

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


class NotFiniteError(Exception):
    """The loss of a step is not finite; nothing was updated."""


class WeightLearner(Generic[AnyNetwork]):
    """A network, its optimiser and the moving average of its weights, whatever it learns.

    Parameters
    ----------
    network : nn.Module
        On the device that it learns on; parameters that need no gradient stay as they are.
    outer : collection of str
        Its first and last layers (`focalloop.models.training.optimizer.Muon`).
    average_decay : float, optional
        Decay per step of the exponential moving average of the weights, which is what is validated
        and exported.
    bfloat16 : bool, optional
        Compute convolutions in bfloat16 where the device supports it.
    averages_gradients : bool, optional
        Average gradients over all processes, for a network that nothing else averages them for.
    """

    def __init__(
        self,
        network: AnyNetwork,
        outer: Collection[str],
        *,
        average_decay: float = 0.998,
        bfloat16: bool = True,
        averages_gradients: bool = False,
    ) -> None:
        self.network = network
        self._averages_gradients = averages_gradients
        self.device = next(network.parameters()).device
        self.average_decay = average_decay
        self.bfloat16 = bfloat16 and has_bfloat16(self.device)
        learning = [(k, value) for k, value in network.named_parameters() if value.requires_grad]
        self.optimizer: Optimizer = Muon(learning, outer=outer)
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.steps = 0

    def update(self, loss: Tensor, learning_rate: float) -> None:
        """Take one step down the gradient of `loss`.

        Raises
        ------
        NotFiniteError
            If the loss is not finite, in this or any other process.
        """
        if distributed.anywhere(not torch.isfinite(loss)):
            raise NotFiniteError
        torch.autograd.backward(loss)
        if self._averages_gradients:
            distributed.average_gradients(self.network)
        self.optimizer.step(learning_rate)
        self.network.zero_grad(set_to_none=True)
        self.steps += 1
        # A short memory at first, or the average would retain the random start.
        decay = min(self.average_decay, self.steps / (self.steps + 10))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Start from the weights of another network of the same settings."""
        steps = {k: v for k, v in self.network.state_dict().items() if k.startswith(f"{NAME}.")}
        self.network.load_state_dict(steps | weights)
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load_state` needs, as named tensors."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        return tensors | {"steps": torch.tensor(self.steps)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what the `state` of another learner returned."""
        self.network.load_state_dict(below("network.", tensors))
        moved = {name: value.to(self.device) for name, value in tensors.items()}
        self.average = below("average.", moved)
        self.optimizer.load_state(below("optimizer.", moved))
        self.steps = int(tensors["steps"])


class Learner(WeightLearner[Network]):
    """Learns to reconstruct.

    Parameters
    ----------
    settings : NetworkSettings
        Profile and size of the network.
    noise : NoiseProfile
        Noise of the reads. A network that is told the noise learns from other shot and read noise
        in every window, over the range of `focalloop.models.networks.edge.NOISE_SPAN`; most of it
        is near the usual noise.
    average_decay, bfloat16 : float or bool, optional
        As in `WeightLearner`.
    device : str, optional
        ``"cpu"`` or ``"cuda"``.
    rounded : bool, optional
        Round as an 8-bit bundle does (`focalloop.models.training.rounding`), for an edge network.
    alone : bool, optional
        Share nothing with the other processes of a distributed run.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        noise: NoiseProfile,
        *,
        average_decay: float = 0.998,
        bfloat16: bool = True,
        device: str = "cpu",
        rounded: bool = False,
        alone: bool = False,
    ) -> None:
        self.settings = settings
        self.noise = noise
        self.rounded = rounded
        network = self._built().to(device)
        super().__init__(network, network.outer, average_decay=average_decay, bfloat16=bfloat16)
        # Averages the gradients of all processes.
        together = distributed.active() and not alone
        self._parallel: nn.Module = (
            DistributedDataParallel(self.network) if together else self.network
        )

    def step(
        self,
        scene: Tensor,
        levels: Tensor,
        aperture: Tensor | None,
        *,
        learning_rate: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Take one step on one batch.

        The loss is the mean over the batch of the *logarithm* of each window's squared error, where
        CRL Eq. 8 has the squared error itself: a set is scored by its mean PSNR, and a few windows
        with fast fine texture would otherwise outweigh all others.

        Parameters
        ----------
        scene : Tensor of float32, shape (N, T, H, W)
            Radiance in [0, 1]; for a network with memory, (N, M T, H, W): windows in a row.
        levels : Tensor of uint8, shape (N, H, W)
            Measurements of each pixel per window; with memory, (N, M, H, W).
        aperture : Tensor or None, shape (1 or N, T, H, W)
            Coded aperture, 1 where a pixel is open.
        learning_rate : float
            Of the inner convolutions.
        generator : Generator
            Of the noise, on the CPU.

        Returns
        -------
        Tensor of float32, shape (N, H, W), or (N M, H, W) with memory
            Squared error of each pixel before the step, averaged over its window.

        Raises
        ------
        NotFiniteError
            If the loss is not finite, in this or any other process.
        """
        noise = self._drawn_noise(len(scene), generator)
        errors = self._errors(self._parallel, scene, levels, aperture, generator, noise)
        loss = (errors.mean((1, 2)) + ERROR_FLOOR).log().mean()
        self.update(loss, learning_rate)
        return errors.detach()

    def _drawn_noise(self, windows: int, generator: torch.Generator) -> Tensor | None:
        """Draw s_ss and s_r (N, 2) to tell the network, if it is told any."""
        if not is_told(self.settings):
            return None
        exponent = 2 * torch.rand(windows, 2, generator=generator) - 1
        return torch.tensor(USUAL_NOISE) * NOISE_SPAN ** (exponent * exponent.abs())

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch], *, generator: torch.Generator) -> None:
        """Begin to round over ranges that `batches` fill, each of which `step` would take."""
        rounding = self.network.get_submodule(NAME)
        assert isinstance(rounding, Rounding)
        with rounding.calibrating():
            for scene, levels, aperture in batches:
                noise = self._drawn_noise(len(scene), generator)
                self._errors(self.network, scene, levels, aperture, generator, noise)
        self.average |= {f"{NAME}.{k}": v.clone() for k, v in rounding.state_dict().items()}

    @torch.no_grad()
    def errors(
        self,
        scene: Tensor,
        levels: Tensor,
        aperture: Tensor | None,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the errors (N, H, W) as `step` does, without learning."""
        return self._errors(self.network, scene, levels, aperture, generator)

    def _errors(
        self,
        network: nn.Module,
        scene: Tensor,
        levels: Tensor,
        aperture: Tensor | None,
        generator: torch.Generator,
        noise: Tensor | None = None,
    ) -> Tensor:
        scene = scene.to(self.device)
        if has_memory(self.settings):
            return self._errors_in_a_row(network, scene, levels, generator, noise)
        inputs = self.measure(scene, levels, aperture, generator, noise)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            video: Tensor = network(**inputs)
        return (video.float() - scene).square().mean(1)

    def _errors_in_a_row(
        self,
        network: nn.Module,
        scene: Tensor,
        levels: Tensor,
        generator: torch.Generator,
        noise: Tensor | None,
    ) -> Tensor:
        """Rebuild windows one after the other; the first remembers nothing."""
        errors, last = [], None
        windows = torch.split(scene, self.settings.slots, dim=1)
        for shown, taken in zip(windows, levels.unbind(1), strict=True):
            inputs = self.measure(shown, taken, None, generator, noise, last)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                video = network(**inputs).float()
            last = video.detach()[:, -1].clamp(0, 1)
            errors.append((video - shown).square().mean(1))
        return torch.cat(errors)

    def measure(
        self,
        scene: Tensor,
        levels: Tensor,
        aperture: Tensor | None,
        generator: torch.Generator,
        noise: Tensor | None = None,
        last: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the inputs of the network by name: the noisy reads of `scene`, and the others.

        `noise` is s_ss and s_r of each window (N, 2), the learner's own noise by default; `last`
        (N, H, W) is the frame before, for a network with memory.
        """
        levels = levels.to(self.device).expand(len(scene), -1, -1)
        if aperture is None and self.settings.aperture:
            aperture = torch.ones(1, *scene.shape[1:])  # always open
        if aperture is not None:
            aperture = aperture.to(self.device, scene.dtype).expand(len(scene), -1, -1, -1)
        # Noise is drawn on the CPU, so that a seed gives the same noise on every device.
        reads, taken = clean_reads(scene, levels, aperture).cpu(), levels.cpu()
        if noise is None:
            slots = self.settings.slots
            noisy = read_out(reads, taken, self.noise, slots=slots, generator=generator)
            noise = torch.tensor([self.noise.shot_and_read()]).expand(len(scene), 2)
        else:
            s_ss, s_r = noise[:, :, None, None, None].unbind(1)
            noisy = add_noise(reads, taken, s_ss=s_ss, s_r=s_r, generator=generator)
        inputs = {"reads": noisy.to(self.device), "levels": levels}
        if aperture is not None:
            inputs["aperture"] = aperture
        if is_told(self.settings):
            inputs["noise"] = noise.to(self.device)
        if has_memory(self.settings):
            nothing = torch.full_like(scene[:, 0], NOTHING)
            inputs["last"] = nothing if last is None else last
        return inputs

    def averaged_network(self) -> Network:
        """Return a copy of the network with averaged weights, for validation; it rounds too."""
        network = self._built()
        network.load_state_dict(self.average)
        return network.to(self.device).eval()

    def _built(self) -> Network:
        network = build_network(self.settings)
        if self.rounded:
            network.add_module(NAME, Rounding(network))
        return network


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 natively; emulation is far slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
