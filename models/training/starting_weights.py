"""The weights that a training starts from, and the name under which they are recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from focalloop.models.errors import TrainError
from focalloop.models.networks.profiles import NetworkSettings, mismatch
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


def find_start(wanted: str | None, network: NetworkSettings, folders: Sequence[Path]) -> Start:
    """Load the weights to start from.

    Parameters
    ----------
    wanted : str or None
        A shipped name, a file, or `NONE`; None for the universal weights of the profile, if they
        are shipped and fit.
    network : NetworkSettings
        Settings of the network that starts from them.
    folders : sequence of Path
        Folders of runs that this training may have begun. Without `wanted`, a begun run keeps the
        weights it started from.

    Raises
    ------
    TrainError
        If the weights are missing, damaged, or of another profile, T or size.
    """
    if wanted == NONE:
        return Start()
    if wanted is not None:
        settings, weights = load_weights(wanted)
        # An aperture changes what is measured, not the shape of the weights.
        if wrong := mismatch(replace(settings, aperture=network.aperture), network):
            raise TrainError(f"{wanted} {wrong}: start from other weights, or from none")
        return Start.of(Path(wanted).stem, weights)
    for folder in folders:
        if (folder / CHECKPOINT).exists():
            return Start(str(load_checkpoint(folder / CHECKPOINT)[0]["settings"]["start"]))
    universal = f"{network.profile}-universal"
    for name in [f"{universal}-aperture"] * network.aperture + [universal]:
        if name in shipped_weights():
            settings, weights = load_weights(name)
            if mismatch(replace(settings, aperture=network.aperture), network) is None:
                return Start.of(name, weights)
    return Start()
