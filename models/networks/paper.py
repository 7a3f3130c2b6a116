"""The paper network: fusion network and spectral-wise transformers (CRL section II-B).

The initial reconstruction and the map are fused pixel by pixel, then refined by three single-stage
spectral-wise transformers (MST++, Cai et al., CVPRW 2022). Attention is between *channels*: each
channel is a token with one element per pixel, so the cost grows with the area, not its square.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.sensing import MAX_READS, divisors, initial_reconstruction

PADDING = 8
"""Height and width are extended by reflection to a multiple of this many pixels."""

MIN_SQUARED_NORM = 1e-24
"""Lower limit of the squared norm of a query or key, so that a channel of zeros can be divided."""


@dataclass(frozen=True)
class PaperSettings:
    """Size of a `PaperNetwork`; the defaults are the paper's, with 447,966 parameters.

    Attributes
    ----------
    slots : int
        Frames per window, T.
    features : int
        Channels at full resolution, and the width of an attention head.
    stages : int
        Number of spectral-wise transformers in a row.
    aperture : bool
        Whether measurements are taken through a coded aperture, which is then a third input.
    profile : {'paper'}
        Distinguishes these settings from those of another profile in a file.
    """

    slots: int = 16
    features: int = 16
    stages: int = 3
    aperture: bool = False
    profile: Literal["paper"] = field(default="paper", init=False)


class SpectralAttention(nn.Module):
    """Spectral-wise multi-head self-attention, S-MSA (MST++, Eq. 1 to 4).

    Queries and keys are never computed. Attention needs only the products of their channels, summed
    over the picture; with the Gram matrix ``G = X X^T`` (C, C) these are ``K Q^T = Wk G Wq^T``, and
    the norms follow likewise. Attention and the projection after it are one C x C matrix as well.
    The result is the same, but only the Gram matrix, the values and one product remain at full
    size.

    Parameters
    ----------
    channels : int
        C, a multiple of `head`.
    head : int
        Channels per head.
    """

    def __init__(self, channels: int, head: int) -> None:
        super().__init__()
        self.heads = channels // head
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.scale = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.projection = nn.Conv2d(channels, channels, 1, bias=False)
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))
        self.position = nn.Sequential(_depthwise(channels), nn.GELU(), _depthwise(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        values: Tensor = self.value(x)
        mixed = (self.mixing(x).to(values.dtype) @ values.flatten(2)).reshape(values.shape)
        position: Tensor = self.position(values)
        return mixed + self.offset.to(values.dtype) + position

    def mixing(self, x: Tensor) -> Tensor:
        """Return projection times attention (N, C, C), in float32."""
        # In bfloat16 the norms, small differences of large sums, would be lost.
        with torch.autocast(x.device.type, enabled=False):
            channels, pixels = x.shape[1], x.float().flatten(2)
            gram = (pixels @ pixels.transpose(1, 2)).unsqueeze(1)
            query, key = self._by_head(self.query), self._by_head(self.key)
            from_query = query @ gram
            norms = [
                (product * weight).sum(-1).clamp_min(MIN_SQUARED_NORM).sqrt()
                for product, weight in ((from_query, query), (key @ gram, key))
            ]
            logits = key @ from_query.transpose(-1, -2)
            logits = logits / (norms[1].unsqueeze(-1) * norms[0].unsqueeze(-2)) * self.scale
            attention = logits.softmax(-1)
            projection = self.projection.weight.reshape(channels, self.heads, -1).transpose(0, 1)
            return torch.cat((projection @ attention).unbind(1), dim=-1)

    def _by_head(self, layer: nn.Conv2d) -> Tensor:
        return layer.weight.reshape(self.heads, -1, layer.in_channels)


class FeedForward(nn.Module):
    """Layer norm over channels, 1x1 to four times the channels, depthwise 3x3, and 1x1 back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Conv2d(channels, wide, 1, bias=False)
        self.depthwise = _depthwise(wide)
        self.reduce = nn.Conv2d(wide, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = functional.gelu(self.expand(x))
        y: Tensor = self.reduce(functional.gelu(self.depthwise(x)))
        return y


class AttentionBlock(nn.Module):
    """Spectral-wise attention block, SAB: attention and feed-forward, each with a residual."""

    def __init__(self, channels: int, head: int) -> None:
        super().__init__()
        self.attention = SpectralAttention(channels, head)
        self.feed_forward = FeedForward(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = x + self.attention(x)
        y: Tensor = x + self.feed_forward(x)
        return y


class SpectralTransformer(nn.Module):
    """Single-stage spectral-wise transformer, SST: a U-net of five blocks with a residual."""

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = (features, 2 * features)
        self.embedding = _conv3x3(features)
        self.encoders = nn.ModuleList(AttentionBlock(width, features) for width in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False) for width in widths
        )
        self.bottleneck = AttentionBlock(4 * features, features)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[::-1])
        self.fusions = nn.ModuleList(nn.Conv2d(2 * w, w, 1, bias=False) for w in widths[::-1])
        self.decoders = nn.ModuleList(AttentionBlock(w, features) for w in widths[::-1])
        self.mapping = _conv3x3(features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, features, H, W), H and W multiples of 4, to the same shape."""
        y: Tensor = self.embedding(x)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            y = encoder(y)
            skips.append(y)
            y = down(y)
        y = self.bottleneck(y)
        for up, fusion, decoder in zip(self.ups, self.fusions, self.decoders, strict=True):
            y = decoder(fusion(torch.cat([up(y), skips.pop()], dim=1)))
        mapped: Tensor = self.mapping(y)
        return x + mapped


class PaperNetwork(nn.Module):
    """Reads and levels in, video out, any height and width.

    This module is the deployed graph: initial reconstruction and padding are inside it. Untrained,
    it returns the initial reconstruction.
    """

    outer = ("fusion", "mapping")
    """First and last layers, which the optimiser treats separately."""

    def __init__(self, settings: PaperSettings | None = None) -> None:
        super().__init__()
        settings = settings or PaperSettings()
        self.settings = settings
        slots, features = settings.slots, settings.features
        entering = 2 * slots + 1 if settings.aperture else slots + 1
        self.fusion = _fusion(entering, slots)
        self.embedding = nn.Conv2d(slots, features, 3, padding=1, bias=False)
        self.stages = nn.Sequential(
            *(SpectralTransformer(features) for _ in range(settings.stages))
        )
        self.mapping = nn.Conv2d(features, slots, 3, padding=1, bias=False)
        nn.init.zeros_(self.mapping.weight)

    def forward(self, reads: Tensor, levels: Tensor, aperture: Tensor | None = None) -> Tensor:
        """Reconstruct windows.

        Parameters
        ----------
        reads : Tensor of float32, shape (N, K, H, W)
            Signal e in units of full scale; plane k holds each pixel's k-th measurement, zero where
            the pixel takes fewer.
        levels : Tensor of uint8, shape (N, H, W)
            Measurements of each pixel per window.
        aperture : Tensor or None, shape (N, T, H, W), optional
            Coded aperture, 1 where a pixel is open, for a network made for one.

        Returns
        -------
        Tensor of float32, shape (N, T, H, W)
            The video; 1.0 is white, and values are not clipped.
        """
        slots, (height, width) = self.settings.slots, levels.shape[-2:]
        first = initial_reconstruction(reads, levels, slots, aperture)
        entering = [first, level_index(levels, slots).unsqueeze(1).to(first.dtype)]
        if aperture is not None:
            entering.append(aperture.to(first.dtype))
        # Fusion works on single pixels, so its output can be padded instead of its input.
        fused: Tensor = self.fusion(torch.cat(entering, dim=1))
        fused = reflected(reflected(fused, 2), 3)
        residual: Tensor = self.mapping(self.stages(self.embedding(fused)))
        # The sum is in float32 even where training computes convolutions in bfloat16.
        video = fused.to(first.dtype) + residual.to(first.dtype)
        return video[..., :height, :width]


def level_index(levels: Tensor, slots: int) -> Tensor:
    """Replace levels (N, H, W) by their index in the level set: 0, 1, 2, 4, 8 by 0 to 4."""
    steps = [levels >= level for level in divisors(slots, MAX_READS)]
    return torch.stack(steps).sum(0)


def reflected(x: Tensor, dim: int, multiple: int = PADDING) -> Tensor:
    """Extend one dimension at its end to a multiple of `multiple`, by reflection.

    Dimensions of 4 pixels and less are reflected back and forth, which the padding of PyTorch and
    ONNX refuses.
    """
    length = x.shape[dim]
    # A quotient: the exporter would carry a remainder through every later size.
    padded = (length + multiple - 1) // multiple * multiple
    beyond = torch.arange(length, padded, device=x.device)
    # A tensor, because the ONNX exporter does not support a remainder by a dynamic size.
    period = (2 * torch.arange(length, device=x.device).amax(0)).clamp_min(1)
    place = beyond.remainder(period)
    return torch.cat([x, x.index_select(dim, torch.minimum(place, period - place))], dim)


def _fusion(entering: int, slots: int) -> nn.Sequential:
    """Build the fusion network, which starts as the identity of its first `slots` inputs."""
    first, second = nn.Conv2d(entering, 2 * slots, 1), nn.Conv2d(2 * slots, slots, 1)
    eye = torch.eye(slots)[:, :, None, None]
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.zero_()
        # gelu(x) - gelu(-x) = x
        first.weight[:, :slots] = torch.cat([eye, -eye])
        second.weight.copy_(torch.cat([eye, -eye], dim=1))
    return nn.Sequential(first, nn.GELU(), second)


def _conv3x3(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
