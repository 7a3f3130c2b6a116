"""The checkpoint of a run: one safetensors file with everything that resuming the run needs.

Tensors hold what has been learned; the metadata, each entry as JSON, say how far the run has come
and what it was made with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.noise import SCHEMA_VERSION, NoiseProfile, NoiseProfileError, preset
from focalloop.models.errors import TrainError
from focalloop.models.networks.profiles import mismatch, settings_from

CHECKPOINT = "checkpoint.safetensors"

_REQUIRED = {"settings", "progress", "data", "identity"}


def save_checkpoint(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    metadata : mapping of str to any
        ``settings`` and ``progress`` of the run, the ``identity`` of what it learns, the recipe of
        its ``data``, and the ``command``; anything that JSON can hold.
    tensors : mapping of str to Tensor
        What has been learned, by name.

    Raises
    ------
    TrainError, WriteError
        If the file cannot be written.
    """
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    on_cpu = {name: value.cpu().contiguous() for name, value in tensors.items()}
    with written_whole(path) as partial:
        try:
            save_file(on_cpu, partial, texts)
        except SafetensorError as error:
            raise TrainError(f"{path} cannot be written: {error}") from None


def load_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the metadata and the tensors of a checkpoint, as `save_checkpoint` took them.

    Raises
    ------
    TrainError
        If the file is missing, truncated, or not a checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise TrainError(f"{path} is not a checkpoint: {error}") from None
    if missing := _REQUIRED - metadata.keys():
        raise TrainError(
            f"{path} is not a checkpoint of focalloop: it lacks {', '.join(sorted(missing))}"
        )
    # Older files lack the name of the network's profile, and what there was no choice of.
    settings = metadata["settings"]
    if not isinstance(settings, dict) or not settings.keys() >= {"network", "noise"}:
        raise TrainError(f"{path} is no checkpoint of ours: its settings lack network or noise")
    settings["network"] = asdict(settings_from(settings["network"]))
    settings["noise"] = asdict(noise_from(settings))
    settings.setdefault("schedule", "cosine")
    settings.setdefault("rounded", False)
    return metadata, tensors


def noise_from(settings: Mapping[str, Any]) -> NoiseProfile:
    """Return the noise that the settings of a run name; in older files, it is a preset's name.

    Raises
    ------
    NoiseProfileError
        If it is none.
    """
    stated = settings["noise"]
    if isinstance(stated, str):
        return preset(stated)
    if not isinstance(stated, Mapping):
        raise NoiseProfileError(f"{stated!r} is not the noise of a run")
    parameters = {key: value for key, value in stated.items() if key != "name"}
    name = stated.get("name")
    document = {"schema_version": SCHEMA_VERSION, "name": name, "parameters": parameters}
    return NoiseProfile.from_dict(document)


def refuse_another_run(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Compare the metadata of the checkpoint at `path` with those of the run that would continue.

    Raises
    ------
    TrainError
        If the network, a setting, the map or the data differ, naming what does.
    """
    ours = json.loads(json.dumps(ours))  # tuples are lists in a file
    had, wanted = theirs["settings"], ours["settings"]
    wrong = mismatch(settings_from(had["network"]), settings_from(wanted["network"]))
    if wrong:
        raise TrainError(f"{path} {wrong}: use another folder")
    had, wanted = _flat(had), _flat(wanted)
    if other := sorted(key for key in wanted if had.get(key) != wanted[key]):
        differences = ", ".join(f"{key} {had.get(key)}, not {wanted[key]}" for key in other)
        raise TrainError(f"{path} was made with other settings ({differences}): use another folder")
    if differing := _differing(theirs["identity"], ours["identity"]):
        raise TrainError(f"{path} was made with {differing}: use another folder")
    if theirs["data"] != ours["data"]:
        raise TrainError(f"{path} was trained on other data: use another folder")


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parts of settings that have some, so that only those that differ are told."""
    parts = {f"{k} {part}": v for k in ("network", "noise") for part, v in settings[k].items()}
    return {k: v for k, v in settings.items() if k not in ("network", "noise")} | parts


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """Say what the identities of two runs do not share; None if they are equal."""
    if theirs.keys() != ours.keys():
        return "another kind of training"
    names = {"maps": "ratio map"}
    return next((f"another {names.get(k, k)}" for k in ours if theirs[k] != ours[k]), None)
