"""The weights that a training starts from, and the name under which they are recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from focalloop.firmware_sim.noise import PRESETS, NoiseProfile
from focalloop.models.errors import TrainError
from focalloop.models.networks.aperture import ApertureSettings
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.networks.profiles import (
    NetworkSettings,
    build_network,
    has_memory,
    is_told,
    mismatch,
)
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.weights import load_weights, shipped_weights

NONE = "none"
"""Asks for random weights."""


@dataclass(frozen=True, eq=False)
class Start:
    """Weights that a run starts from.

    Attributes
    ----------
    name : str
        Name and digest, for the record; empty for random weights.
    weights : mapping of str to Tensor or None
        By name; None for random ones, and for a run that continues from its checkpoint.
    """

    name: str = ""
    weights: Mapping[str, Tensor] | None = None

    @classmethod
    def of(cls, name: str, weights: Mapping[str, Tensor]) -> Start:
        """Record `weights` under `name` and a digest, which tells them from others of that name."""
        digest = hashlib.sha256()
        for key in sorted(weights):
            digest.update(weights[key].detach().cpu().float().numpy().tobytes())
        return cls(f"{name}@{digest.hexdigest()[:12]}", weights)


def find_start(
    wanted: str | None, network: NetworkSettings, folders: Sequence[Path], noise: NoiseProfile
) -> Start:
    """Load the weights to start from.

    Parameters
    ----------
    wanted : str or None
        A shipped name, a file, or `NONE`; None for the universal weights of the profile, if they
        are shipped and fit; of those that were told the noise, where it is not the usual one, and
        of those with memory for a network that has one.
    network : NetworkSettings
        Settings of the network that starts from them.
    folders : sequence of Path
        Folders of runs that this training may have begun. Without `wanted`, a begun run keeps the
        weights it started from.
    noise : NoiseProfile
        For a network that is told none, the noise to take of weights that were.

    Raises
    ------
    TrainError
        If the weights are missing, damaged, or of another profile, T or size.
    """
    if wanted == NONE:
        return Start()
    if wanted is not None:
        settings, weights = load_weights(wanted)
        if wrong := mismatch(_grown(settings, network), network):
            raise TrainError(f"{wanted} {wrong}: start from other weights, or from none")
        return Start.of(Path(wanted).stem, fitted(settings, weights, network, noise))
    for folder in folders:
        if (folder / CHECKPOINT).exists():
            return Start(str(load_checkpoint(folder / CHECKPOINT)[0]["settings"]["start"]))
    universal = f"{network.profile}-universal"
    told = is_told(network) or noise != PRESETS["paper"]
    for name in (
        *[f"{network.profile}-adaptive"] * has_memory(network),
        *[f"{universal}-aperture"] * network.aperture,
        *[f"{universal}-told"] * told,
        universal,
    ):
        if name in shipped_weights():
            settings, weights = load_weights(name)
            if mismatch(_grown(settings, network), network) is None:
                return Start.of(name, fitted(settings, weights, network, noise))
    return Start()


def _grown(settings: NetworkSettings, network: NetworkSettings) -> NetworkSettings:
    """Return `settings` with what `fitted` can change to be that of `network`."""
    if isinstance(network, ApertureSettings) and isinstance(settings, EdgeSettings):
        return network if replace(settings, noise=False) == network.edge else settings
    # An aperture changes what is measured, not the shape of the weights.
    grown = replace(settings, aperture=network.aperture)
    if isinstance(grown, EdgeSettings) and isinstance(network, EdgeSettings):
        coarse = max(grown.coarse, network.coarse)
        grown = replace(
            grown, coarse=coarse, noise=network.noise, memory=grown.memory or network.memory
        )
    return grown


def fitted(
    settings: NetworkSettings,
    weights: dict[str, Tensor],
    network: NetworkSettings,
    noise: NoiseProfile,
) -> dict[str, Tensor]:
    """Turn weights into those of a larger network, or of one for a single noise; same function.

    Parts that the weights lack begin such that they contribute nothing. A network that was told the
    noise becomes one for `noise` alone if `network` is told none. An edge network becomes the part
    of an aperture network that the video begins with; the stages begin as they do at random.
    """
    if is_told(settings) and not is_told(network):
        told = build_network(settings)
        assert isinstance(told, EdgeNetwork)
        told.load_state_dict(weights)
        weights = told.for_noise(*noise.shot_and_read()).state_dict()
    if isinstance(network, ApertureSettings) and isinstance(settings, EdgeSettings):
        weights = {f"edge.{name}": value for name, value in weights.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # so that their digest, and a run that resumes, is the same
        return build_network(network).state_dict() | weights
