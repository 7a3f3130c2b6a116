"""Files of weights alone, from which another training can start; small enough to ship.

A file holds the averaged weights of a network as float16, its settings, and their origin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from focalloop.firmware_sim.files import exists, written_whole
from focalloop.firmware_sim.json_text import parse_json
from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.networks.profiles import (
    NetworkSettings,
    build_network,
    mismatch,
    settings_from,
)

SUFFIX = ".safetensors"


def save_weights(
    path: Path,
    settings: NetworkSettings,
    weights: Mapping[str, Tensor],
    origin: Mapping[str, Any],
) -> None:
    """Write the weights of a network, rounded to float16, atomically.

    Parameters
    ----------
    path : Path
        File to write, ending in `SUFFIX`.
    settings : NetworkSettings
        Settings of the network.
    weights : mapping of str to Tensor
        Its weights, by name.
    origin : mapping of str to any
        How and on what they were trained; anything that JSON can hold.
    """
    metadata = {"network": json.dumps(asdict(settings)), "origin": json.dumps(origin)}
    rounded = {name: value.detach().cpu().half().contiguous() for name, value in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_bytes(save(rounded, metadata))


def load_weights(
    name_or_path: str | Path, wanted: NetworkSettings | None = None
) -> tuple[NetworkSettings, dict[str, Tensor]]:
    """Read weights: shipped ones by name, or a file.

    Parameters
    ----------
    name_or_path : str or Path
        Such as ``edge-universal``, or the path of a file that `save_weights` wrote.
    wanted : NetworkSettings or None, optional
        Settings of the network that they must fit, if any.

    Returns
    -------
    tuple
        Settings of their network, and the weights by name as float32.

    Raises
    ------
    TrainError
        If the file is missing, damaged or of another kind, or does not fit `wanted`.
    """
    path = _find(name_or_path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        settings = settings_from(parse_json(metadata["network"]))
    except KeyError:
        raise TrainError(
            f"{path} does not hold weights to start from: make some with `focalloop export RUN -o "
            f"NAME{SUFFIX}`"
        ) from None
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainError(f"the weights in {path} cannot be read: {error}") from None
    if wanted is not None and (wrong := mismatch(settings, wanted)):
        raise TrainError(f"{path} {wrong}: start from other weights")
    with torch.device("meta"):
        expected = {
            name: value.shape for name, value in build_network(settings).state_dict().items()
        }
    if {name: value.shape for name, value in weights.items()} != expected:
        raise TrainError(
            f"{path} is damaged, or of another version: its weights do not match its settings"
        )
    return settings, weights


def shipped_weights() -> list[str]:
    """Names of the weights that come with the package, sorted."""
    return sorted(zoo.WEIGHTS)


def _find(name_or_path: str | Path) -> Path:
    shipped = zoo.FOLDER / f"{name_or_path}{SUFFIX}"
    path = shipped if str(name_or_path) in zoo.WEIGHTS else Path(name_or_path)
    if not (exists(path) and path.is_file()):
        names = ", ".join(shipped_weights()) or "none"
        raise TrainError(
            f"there are no weights {str(name_or_path)!r}: give a file, or a shipped name ({names})"
        )
    return path
