"""Semantic communication: reads to transmitted reals and back (CRL section 4, Fig. 6).

The encoder (SCE) turns the reads of a location into reals of falling importance. A location sends
the first of them, as many as its rate says, so one network serves all rates. They are not coded:
what the channel does to them is noise on the latent of the decoder (SCD), which first scales every
real by how much it can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.radio.power import power_limit
from focalloop.models.radio.klt import BlockTransform
from focalloop.models.radio.rate_allocation import RateAllocation, group_means
from focalloop.models.radio.transforms import Analysis, Synthesis, TransformSettings, zeroed

RATES = (8, 16, 32, 48, 72, 104, 144, 192)
"""Reals that a location of 16x16 pixels sends at each rate."""

MAX_SNR_DB = 20.0
"""Quality of the channel above which the encoder does not change any more; it begins at 0 dB."""


_EMPHASIS_RATE = 5.0
"""How much faster than other weights the emphasis is learned."""


@dataclass(frozen=True)
class SemComSettings:
    """Size of a `SemCom`.

    Attributes
    ----------
    rates : tuple of int
        Reals that a location sends at each rate, ascending.
    transform : TransformSettings
        Size of encoder and decoder; its channels are the last of the rates.
    """

    rates: tuple[int, ...] = RATES
    transform: TransformSettings = field(
        default_factory=lambda: TransformSettings(RATES[-1], blocks=(1, 2, 2))
    )


class SemanticEncoder(nn.Module):
    """SCE: cells to reals, conditioned on the channel."""

    def __init__(self, transform: BlockTransform, settings: SemComSettings) -> None:
        super().__init__()
        self.analysis = Analysis(transform, settings.transform, 1)
        self.log_gain = nn.Parameter(_log_gain(transform, settings))
        self.scale = zeroed(nn.Linear(1, settings.rates[-1]))

    def forward(self, cells: Tensor, snr_db: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness; h and w are multiples of four.
        snr_db : Tensor of float32, shape (N,)
            Of the channel, Es/N0 of a complex symbol.

        Returns
        -------
        Tensor of float32, shape (N, reals, h/4, w/4)
            Of falling importance; their power is what the window is normalised by.
        """
        quality = channel_quality(snr_db)[:, None]
        gain = (self.log_gain + self.scale(quality)).exp()
        x: Tensor = self.analysis(cells, quality) * gain[:, :, None, None]
        return x


class SemanticDecoder(nn.Module):
    """SCD: received reals to cells; it also knows the emphasis that they were sent with."""

    groups: Tensor
    table: Tensor

    def __init__(self, transform: BlockTransform, settings: SemComSettings) -> None:
        super().__init__()
        rates = settings.rates
        self.log_emphasis = nn.Parameter(torch.zeros(len(rates), rates[-1] - 1))
        self.register_buffer("groups", group_means(rates), persistent=False)
        self.register_buffer("table", torch.tensor(rates), persistent=False)
        described = len(rates) + 1
        self.synthesis = Synthesis(transform, settings.transform, described, described)
        self.log_gain = nn.Parameter(_log_gain(transform, settings))
        self.log_variance = nn.Parameter(2 * self.log_gain.detach())
        self.scale = zeroed(nn.Linear(described, rates[-1]))

    def emphasis(self, rate_map: Tensor) -> Tensor:
        """Return by what each real is multiplied on the air, (..., reals) for rates (...).

        A rate tells both ends how lively a location is, so the power that all locations share can
        follow it. The first real keeps its size: its mean travels in the header.
        """
        chosen = functional.pad(functional.embedding(rate_map.long(), self.log_emphasis), (1, 0))
        return (_EMPHASIS_RATE * chosen).exp()

    def forward(self, received: Tensor, noise: Tensor, rate_map: Tensor) -> Tensor:
        """Decode.

        Parameters
        ----------
        received : Tensor of float32, shape (N, reals, h, w)
            What the encoder returned, with emphasis and noise; zeros where nothing was sent.
        noise : Tensor of float32, shape (N, reals, h, w)
            Variance of the noise on each real; anything where nothing was sent.
        rate_map : Tensor of int, shape (N, h, w)
            Rate of every location, as an index.

        Returns
        -------
        Tensor of float32, shape (N, C, 4h, 4w)
            Reads as brightness.
        """
        emphasis = self.emphasis(rate_map).permute(0, 3, 1, 2)
        received, noise = received / emphasis, noise / emphasis.square()
        kept = self.table[rate_map.long()][:, None]
        sent = torch.arange(received.shape[1], device=kept.device)[:, None, None] < kept
        # Of every window, so that graphs keep the weight itself, from which training can start.
        power = self.log_variance.expand(len(received), -1).exp()[:, :, None, None]
        # Wiener's rule: a real of this power under that noise is worth this share of itself.
        share = torch.where(sent, power / (power + noise), 0.0)
        trusted = functional.conv2d(share, self.groups).float()
        described = torch.cat([trusted, kept / received.shape[1]], dim=1)
        condition = described.mean((2, 3))
        gain = (self.scale(condition) - self.log_gain).exp()[:, :, None, None]
        cells: Tensor = self.synthesis(received * share * gain, condition, 2 * described - 1)
        return cells


class SemCom(nn.Module):
    """Both ends, and the network that allocates rates.

    Parameters
    ----------
    transform : BlockTransform
        What encoder and decoder begin as.
    settings : SemComSettings or None, optional
        Size.
    """

    def __init__(self, transform: BlockTransform, settings: SemComSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SemComSettings()
        self.encoder = SemanticEncoder(transform, self.settings)
        self.decoder = SemanticDecoder(transform, self.settings)
        self.allocation = RateAllocation(self.settings.rates)

    def predicted(self, x: Tensor, cells: Tensor, snr_db: Tensor) -> Tensor:
        """Predict the log errors (N, rates, h, w) that follow from the reals `x` of `cells`."""
        found: Tensor = self.allocation(x, channel_quality(snr_db))
        return found

    def emphasised(self, x: Tensor, rate_map: Tensor) -> Tensor:
        """Return the reals (N, reals, h, w) as they are sent under a rate map (N, h, w)."""
        return x * self.decoder.emphasis(rate_map).permute(0, 3, 1, 2)


def channel_quality(snr_db: Tensor) -> Tensor:
    """Return 0 to 1 for an SNR of 0 dB to `MAX_SNR_DB`."""
    return (snr_db / MAX_SNR_DB).clamp(0, 1)


def sent_reals(rate_map: Tensor, rates: Tensor) -> Tensor:
    """Return which reals are sent: 1 or 0, (N, reals, h, w), for a rate map (N, h, w)."""
    kept = rates[rate_map.long()][:, None]
    order = torch.arange(int(rates[-1]), device=kept.device)[:, None, None]
    return (order < kept).float()


def over_the_air(
    x: Tensor,
    sent: Tensor,
    noise_variance: Tensor,
    generator: torch.Generator,
    max_papr_db: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Send reals through noise at unit power per window, as training does.

    A complex symbol carries two reals, each with half of its power and half of its noise, so the
    variance relative to the reals' mean square is that of the symbols, N0. Every location sends
    its first real.

    Parameters
    ----------
    x, sent : Tensor of float32, shape (N, reals, h, w)
        Reals, and which are sent.
    noise_variance : Tensor of float32, shape (N, 1, 1, 1) or (N, reals, h, w)
        N0 of the symbol of each real, after equalisation.
    generator : Generator
        Of the noise, on the CPU.
    max_papr_db : float or None, optional
        Peak-to-average power to which the symbols of each window are clipped, dB.

    Returns
    -------
    tuple of Tensor
        Received reals in the units of `x`, zero where unsent, and the variance of their noise.
    """
    x = x.float()
    # The mean of the first reals travels in the header (`firmware_sim.radio.transmission`).
    offset = functional.pad(x[:, :1].mean((2, 3), keepdim=True), (0, 0, 0, 0, 0, x.shape[1] - 1))
    if max_papr_db is not None:
        x = offset + _clipped(x - offset, sent, max_papr_db)
    energy = ((x - offset).square() * sent).sum((1, 2, 3), keepdim=True)
    power = energy / sent.sum((1, 2, 3), keepdim=True)
    variance = (power * noise_variance).expand_as(x)
    noise = torch.randn(x.shape, generator=generator).to(x)
    return (x + variance.sqrt() * noise) * sent, variance


def _clipped(x: Tensor, sent: Tensor, max_papr_db: float) -> Tensor:
    """Limit the symbols of each window, pairs of reals in the order in which they are sent."""
    windows = []
    for values, where in zip(x, sent.bool(), strict=True):
        pairs = functional.pad(values[where], (0, int(where.sum()) % 2)).view(-1, 2)
        power = pairs.square().sum(1)
        limit = power_limit(power.detach().double().cpu().numpy(), max_papr_db)
        limited = pairs * (limit / power.clamp_min(limit)).sqrt()[:, None]
        windows.append(torch.zeros_like(values).masked_scatter(where, limited.view(-1)))
    return torch.stack(windows)


def _log_gain(transform: BlockTransform, settings: SemComSettings) -> Tensor:
    """Gain of each real of unit variance at first.

    The least total noise at a given power is reached where the powers of the coefficients are the
    square roots of their variances (Lee and Petersen, 1976; SoftCast).
    """
    return 0.25 * transform.first(settings.rates[-1]).variance.log()
