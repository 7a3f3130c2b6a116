"""The third road of rate allocation: what a codec would spend on each location, as a feature.

A codec knows where a window is hard: its entropy model says how many bits every latent takes
(NTSCC, Dai et al. 2022, lets such a model set the rates themselves). Here a small network takes the
place of the last layer of the allocation network, and sees these bits beside what that layer saw.
The same network without the bits shows what they are worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from focalloop.models import zoo
from focalloop.models.networks.interpolation import exactly
from focalloop.models.radio.codec import CodecNetwork
from focalloop.models.radio.codec_export import ENCODER, LATENTS
from focalloop.models.radio.codec_weights import codec_starting_weights
from focalloop.models.radio.klt import BlockTransform
from focalloop.models.radio.pipeline import no_transform
from focalloop.models.radio.rate_allocation import RateAllocation
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import SemCom, SemComSettings, channel_quality
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.radio.transforms import zeroed
from focalloop.models.training.run import RunSettings
from focalloop.models.training.training_data import TrainingData

Features = Literal["reals", "codec"]
"""What predictions follow from: what the last layer saw of the reals alone, or the bits as well."""

CODEC = "radio-codec-edge"
"""Shipped codec that is asked; its latents have the locations of the shipped `SemCom`."""

QUALITIES = (0.25, 0.5, 0.75)
"""Qualities at which it is asked; each takes one run of its networks."""

_WIDTH = 32


class CodecBits:
    """The bits that a frozen codec estimates for each location.

    Parameters
    ----------
    sensing : Sensing
        Whose cells it gets.
    """

    def __init__(self, sensing: Sensing) -> None:
        settings, weights = codec_starting_weights(CODEC)
        codec = CodecNetwork(no_transform(sensing), settings)
        codec.load_state_dict(weights)
        self._codec = codec.eval().requires_grad_(False).to(sensing.reads.gain.device)

    @property
    def name(self) -> str:
        """Name of the codec, and a digest of the networks that decide its bits."""
        files = (zoo.FOLDER / CODEC / name for name in (ENCODER, LATENTS))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
        return f"{CODEC}@{digest.hexdigest()[:12]}"

    @torch.no_grad()
    def __call__(self, cells: Tensor) -> Tensor:
        """Return the logarithm of each location's bits.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness; h and w are multiples of four.

        Returns
        -------
        Tensor of float32, shape (N, qualities, h/4, w/4)
            Natural logarithm of one more than the bits at each of `QUALITIES`.
        """
        bits = []
        with exactly(cells.device.type):
            for quality in QUALITIES:
                asked = torch.full((len(cells),), quality, device=cells.device)
                latent = self._codec.analysis(cells, asked[:, None])
                bits.append(self._codec.latents(latent, asked).bits_by_place)
        return torch.stack(bits, dim=1).log1p()


class InformedAllocation(RateAllocation):
    """An allocation network with a new last part, which sees the codec's bits as well.

    What leads there stays as it is.

    Parameters
    ----------
    rates : sequence of int
        Coefficients that a location sends at each rate, ascending.
    """

    def __init__(self, rates: Sequence[int]) -> None:
        super().__init__(rates)
        last = zeroed(nn.Conv2d(_WIDTH, len(rates), 1))
        last.bias = nn.Parameter(cast(Tensor, self.errors.bias).detach().clone())
        self.requires_grad_(False)
        self.informed = nn.Sequential(
            nn.Conv2d(self.errors.in_channels + len(QUALITIES), _WIDTH, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
            last,
        )

    def forward(self, x: Tensor, snr: Tensor, bits: Tensor | None = None) -> Tensor:
        """Predict as `RateAllocation` does; `bits` as `CodecBits` returns them, or none."""
        features = self.features(x, snr).float()
        if bits is None:
            bits = features.new_zeros(len(x), len(QUALITIES), *x.shape[-2:])
        found: Tensor = self.informed(torch.cat([features, bits], dim=1))
        return found.float()


class InformedSemCom(SemCom):
    """A `SemCom` of which the last part of the allocation network alone learns.

    Parameters
    ----------
    transform, settings : BlockTransform or SemComSettings
        As in `SemCom`.
    bits : CodecBits or None
        What that part sees beside what the last layer did.
    """

    def __init__(
        self, transform: BlockTransform, settings: SemComSettings, bits: CodecBits | None
    ) -> None:
        super().__init__(transform, settings)
        self.requires_grad_(False)
        self.allocation = InformedAllocation(settings.rates)
        self.bits = bits

    def predicted(self, x: Tensor, cells: Tensor, snr_db: Tensor) -> Tensor:
        """Predict as `SemCom.predicted` does."""
        allocation = cast(InformedAllocation, self.allocation)
        bits = None if self.bits is None else self.bits(cells)
        return allocation.forward(x, channel_quality(snr_db), bits)


class InformedRun(SemComRun):
    """Training of `InformedAllocation` for ends that stay as they are: a road to compare.

    Parameters
    ----------
    features : {'reals', 'codec'}
        What it learns from.
    link : LinkTraining
        What it is trained for.
    network : SemComSettings
        Size of the ends.
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    """

    def __init__(
        self,
        features: Features,
        link: LinkTraining,
        network: SemComSettings,
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        self.bits = CodecBits(sensing) if features == "codec" else None
        transform = no_transform(sensing)
        ends = InformedSemCom(transform, network, self.bits)
        super().__init__(transform, link, network, sensing, data, settings, device, ends)

    @property
    def identity(self) -> dict[str, Any]:
        """As that of a `SemComRun`, and what is seen."""
        found = super().identity
        seen = {"features": "reals"}
        if self.bits is not None:
            seen = {"features": "codec", "bits": self.bits.name}
        return found | {"radio": found["radio"] | seen}

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Start from the weights of a `SemCom`; the new part stays."""
        self.learner.start_from(self.learner.network.state_dict() | weights)
