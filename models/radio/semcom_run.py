"""Training of `SemCom`: nested rates, all channels, and the allocation network along with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.models.radio.klt import BLOCK, BlockTransform
from focalloop.models.radio.rate_allocation import random_rate_maps
from focalloop.models.radio.run import (
    RadioRun,
    Sensing,
    log_error,
    squared_errors,
)
from focalloop.models.radio.semcom import (
    SemCom,
    SemComSettings,
    over_the_air,
    sent_reals,
)
from focalloop.models.radio.transforms import OUTER as ENDS
from focalloop.models.training.run import RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

OUTER = (*ENDS, "allocation")
"""Layers that the optimiser treats separately: those at the ends, and the allocation network."""

_U_FLOOR = 1e-6
"""Added to a location's error before the logarithm that the allocation network learns."""
_FADING_SHARE = 0.1
"""Windows that are trained with Rayleigh fading from symbol to symbol."""
VALIDATION_SNR_DB = 10.0
VALIDATION_REALS = (72, 104)
"""Mean reals per location at which a run is validated: 9,216 and 13,312 symbols at 256x256."""


@dataclass(frozen=True)
class LinkTraining:
    """What a network of the kind of `SemCom` is trained for.

    Attributes
    ----------
    learns : {'all', 'allocation'}
        Whether all learns, or the allocation network alone.
    loss : {'video', 'reads'}
        Whether the error of the video or that of the sensor data itself is the loss (the baseline
        *Sensordata+JSCC*).
    snr_db : tuple of float
        Range of channels.
    rate : int or None
        Rate of every location, for a network of one rate; all of them by default.
    allocated : float
        Share of the windows whose rates the allocation network chooses, once it has learned for a
        twentieth of the run.
    max_papr_db : float or None
        Peak-to-average power to which symbols are clipped, dB.
    """

    learns: Literal["all", "allocation"] = "all"
    loss: Literal["video", "reads"] = "video"
    snr_db: tuple[float, float] = (0.0, 20.0)
    rate: int | None = None
    allocated: float = 0.3
    max_papr_db: float | None = None


class SemComRun(RadioRun[SemCom]):
    """Training of encoder, decoder and allocation network.

    The allocation network learns to predict the errors that it sees, from reals that it does not
    change.

    Parameters
    ----------
    transform : BlockTransform
        What the network begins as.
    link : LinkTraining
        What it is trained for.
    network : SemComSettings
        Its size.
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    ends : SemCom or None, optional
        What learns, if not all of a new one.
    """

    def __init__(
        self,
        transform: BlockTransform,
        link: LinkTraining,
        network: SemComSettings,
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
        ends: SemCom | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        if ends is None:
            ends = SemCom(transform, network)
            if link.learns == "allocation":
                ends.requires_grad_(False)
                ends.allocation.requires_grad_(True)
        super().__init__(ends, OUTER, sensing, data, settings, device)
        self.link, self.network_settings = link, network
        self.rates = torch.tensor(network.rates, device=device)
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, what it is trained for, and what is frozen."""
        link = asdict(self.link)
        if self.link.max_papr_db is None:  # so that older runs go on
            del link["max_papr_db"]
        return {
            "radio": {"network": asdict(self.network_settings), "link": link},
            **self.sensing.identity,
        }

    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the loss of both ends plus that of the predictions."""
        network = self.learner.network
        snr_db = torch.from_numpy(rng.uniform(*self.link.snr_db, len(cells))).to(cells)
        x = network.encoder(cells, snr_db)
        predicted = network.predicted(x.detach(), cells, snr_db)
        rate_map = self._rate_maps(predicted, rng)
        sent = sent_reals(rate_map, self.rates)
        variance = self._noise_variance(snr_db, x, generator)
        x = network.emphasised(x, rate_map)
        received, noise = over_the_air(x, sent, variance, generator, self.link.max_papr_db)
        rebuilt = network.decoder(received, noise, rate_map)
        errors = squared_errors(self.sensing.video(rebuilt), scene)
        wanted = (errors.detach() + _U_FLOOR).log()
        found = predicted.gather(1, rate_map[:, None])[:, 0]
        prediction = (found - wanted).square().mean()
        if self.link.loss == "reads":
            fidelity = log_error(squared_errors(rebuilt, cells, BLOCK // self.sensing.reads.side))
        else:
            fidelity = log_error(errors)
        loss = prediction if self.link.learns == "allocation" else fidelity + prediction
        return loss, float(errors.detach().mean())

    def _rate_maps(self, predicted: Tensor, rng: np.random.Generator) -> Tensor:
        count, levels, height, width = predicted.shape
        if self.link.rate is not None:
            return torch.full((count, height, width), self.link.rate, device=predicted.device)
        maps = random_rate_maps(rng, count, height, width, levels)
        table = self.network_settings.rates
        log_errors = predicted.detach().cpu().numpy()
        for place in range(count):
            budget = rng.triangular(table[0], 0.4 * table[-1], table[-1]) * height * width
            if rng.random() < self.link.allocated and self.spent > 0.05:
                maps[place] = rates_for_budget(log_errors[place], table, budget)
        return torch.from_numpy(maps).to(predicted.device)

    def _noise_variance(self, snr_db: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
        """N0 of every real, divided by the power of the fading where there is any."""
        variance = (10 ** (-snr_db / 10))[:, None, None, None]
        # |h|^2 of h ~ CN(0, 1) has an exponential distribution.
        fading = torch.empty(x.shape).exponential_(generator=generator).to(x).float()
        fades = torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device) < _FADING_SHARE
        return torch.where(fades, variance / fading.clamp_min(1e-4), variance)

    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows, at 10 dB.

        Of allocated rates over `VALIDATION_REALS`; `log_entry` then has that of uniform ones too. A
        network of one rate has one number.
        """
        network = self.averaged()
        table, rate = self.network_settings.rates, self.link.rate
        plans = {
            f"uniform_{table[k]}_psnr": k
            for k in range(len(table))
            if (table[k] in VALIDATION_REALS if rate is None else k == rate)
        }
        found: dict[str, list[float]] = {}
        generator = torch.Generator().manual_seed(1)
        for scene, cells in self.validation_batches():
            x, predicted = encoded(network, cells, VALIDATION_SNR_DB)
            maps = {name: np.full(predicted[0].shape, k) for name, k in plans.items()}
            if rate is None:
                for reals in VALIDATION_REALS:
                    chosen = rates_for_budget(predicted, table, reals * predicted[0].size)
                    maps[f"allocated_{reals}_psnr"] = chosen
            for name, rate_map in maps.items():
                cells = rebuilt(
                    network, x, rate_map, VALIDATION_SNR_DB, generator, self.link.max_papr_db
                )
                error = functional.mse_loss(self.sensing.video(cells).clamp(0, 1), scene)
                found.setdefault(name, []).append(decibels(float(error)))
        self.validated = {name: float(np.mean(values)) for name, values in found.items()}
        allocated = [psnr for name, psnr in self.validated.items() if name.startswith("allocated")]
        return float(np.mean(allocated or [*self.validated.values()]))

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validations."""
        return dict(self.validated)


@torch.no_grad()
def encoded(network: SemCom, cells: Tensor, snr_db: float) -> tuple[Tensor, NDArray[np.float32]]:
    """Return the reals (1, C, h, w) of one window, and its predicted log errors (L, h, w)."""
    snr = torch.full((1,), snr_db, device=cells.device)
    x = network.encoder(cells, snr)
    return x, network.predicted(x, cells, snr)[0].cpu().numpy()


@torch.no_grad()
def rebuilt(
    network: SemCom,
    x: Tensor,
    rate_map: NDArray[Any],
    snr_db: float,
    generator: torch.Generator,
    max_papr_db: float | None = None,
) -> Tensor:
    """Send the reals of one window over an AWGN channel, and decode them to cells."""
    chosen = torch.from_numpy(rate_map.astype(np.int64))[None].to(x.device)
    rates = torch.tensor(network.settings.rates, device=x.device)
    variance = torch.full((1, 1, 1, 1), 10 ** (-snr_db / 10), device=x.device)
    x, sent = network.emphasised(x, chosen), sent_reals(chosen, rates)
    received, noise = over_the_air(x, sent, variance, generator, max_papr_db)
    cells: Tensor = network.decoder(received, noise, chosen)
    return cells
