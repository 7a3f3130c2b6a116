"""Task-aware compression of sensor data (CRL Fig. 5): transforms and entropy models, one network.

The loss is the rebuilt video's error plus the bits, for a quality that is drawn for each window:
one network serves all rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from focalloop.models.networks.interpolation import exactly
from focalloop.models.radio.klt import BlockTransform
from focalloop.models.radio.latent_network import CodedLatents, LatentNetwork, LatentSettings
from focalloop.models.radio.transforms import OUTER, Analysis, Synthesis, TransformSettings

QUALITIES = 128
"""Settings of the quality that can be asked for, 0 to 127."""


@dataclass(frozen=True)
class CodecSettings:
    """Size of a `CodecNetwork`, and the rates that it serves.

    Attributes
    ----------
    transform : TransformSettings
        Of g_a and g_s.
    latent : LatentSettings
        Of h_a, h_s and what predicts Y.
    dear, cheap : float
        What a bit per pixel costs at the lowest and the highest quality, in mean squared error
        where 1.0 is white.
    """

    transform: TransformSettings = field(default_factory=TransformSettings)
    latent: LatentSettings = field(default_factory=LatentSettings)
    dear: float = 2.5e-2
    cheap: float = 6e-4


class CodecNetwork(nn.Module):
    """Cells to latents and back.

    Parameters
    ----------
    transform : BlockTransform
        What the transforms begin as.
    settings : CodecSettings
        Size and rates.
    """

    outer = OUTER

    def __init__(self, transform: BlockTransform, settings: CodecSettings) -> None:
        super().__init__()
        self.settings = settings
        self.analysis = Analysis(transform, settings.transform, 1)
        self.synthesis = Synthesis(transform, settings.transform, 1)
        deviations = transform.first(settings.transform.channels).variance.sqrt()
        self.latents = LatentNetwork(deviations, settings.latent)

    def forward(
        self, cells: Tensor, quality: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, CodedLatents]:
        """Code windows and decode them again.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness; h and w are multiples of four.
        quality : Tensor of float32, shape (N,)
            0 to 1.
        generator : Generator or None, optional
            As in `LatentNetwork.forward`.

        Returns
        -------
        tuple
            Cells as the receiver has them, and what was sent.
        """
        latent = self.analysis(cells, quality[:, None])
        with exactly(cells.device.type):  # what is quantised has no digits to spare
            coded = self.latents(latent, quality, generator)
        return self.synthesis(coded.latent, quality[:, None]), coded

    def price(self, quality: Tensor) -> Tensor:
        """Return what a bit per pixel costs at each quality."""
        dear, cheap = math.log(self.settings.dear), math.log(self.settings.cheap)
        return (dear + quality * (cheap - dear)).exp()


def codec_settings_of(stored: Mapping[str, Any]) -> CodecSettings:
    """Rebuild the settings that a checkpoint or a manifest holds."""
    transform, latent = dict(stored["transform"]), dict(stored["latent"])
    for key in ("widths", "blocks"):
        transform[key] = tuple(transform[key])
    latent["steps"] = tuple(tuple(step) for step in latent["steps"])
    return CodecSettings(
        TransformSettings(**transform), LatentSettings(**latent), stored["dear"], stored["cheap"]
    )
