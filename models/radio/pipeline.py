"""From what a user asks for to a run of a radio network, or the bundle of one that has trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.radio.export import DECODER, ENCODER, export_semcom
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import BLOCK, BlockTransform, block_transform
from focalloop.models.radio.paper import PaperSemComSettings
from focalloop.models.radio.paper_run import PaperSemComRun
from focalloop.models.radio.published_run import LEARNING_RATE
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import RATES, SemCom, SemComSettings
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint, noise_from
from focalloop.models.training.learner import below
from focalloop.models.training.run import RunSettings
from focalloop.models.training.starting_weights import Start
from focalloop.models.training.training_data import TrainingData

FROM_TRANSFORM, FROM_WEIGHTS = 1.5e-3, 6e-4
"""Highest learning rates: of networks that begin as a linear transform, and of trained ones."""


@dataclass(frozen=True)
class RadioOptions:
    """One training of a network of the kind of `SemCom`.

    Attributes
    ----------
    folder, data : Path
        Folder of the run, and the windows to train on.
    link : LinkTraining
        What for.
    start : str or None
        Radio bundle, or folder of a run, whose weights it starts from; its size then holds.
    settings : RunSettings
        Budget, batch, crop and seed.
    learning_rate : float or None
        Highest learning rate; None for the default of the start.
    sensing : str
        Bundle that senses and reconstructs.
    network : {'edge', 'paper'}
        Networks of this project, or the published ones, which start at random.
    """

    folder: Path
    data: Path
    link: LinkTraining
    start: str | None
    settings: RunSettings
    learning_rate: float | None
    sensing: str
    network: Literal["edge", "paper"] = "edge"


def begin(options: RadioOptions, device: str) -> SemComRun | PaperSemComRun:
    """Make the run that the options ask for, from its start; its `train` resumes it.

    Raises
    ------
    TrainError
        If the data, the bundle or the weights to start from cannot be used.
    """
    data = TrainingData.load(options.data)
    if options.network == "paper":
        return _published(options, data, device)
    begun = options.folder / CHECKPOINT
    settings, network, start = options.settings, SemComSettings(), Start()
    if begun.exists() and options.start is None:  # goes on with the weights it has
        start = Start(str(load_checkpoint(begun)[0]["settings"]["start"]))
    elif options.start is not None:
        network, weights = starting_weights(options.start)
        start = Start.of(Path(options.start).name, weights)
    rate = FROM_WEIGHTS if start.name else FROM_TRANSFORM
    if options.learning_rate is not None:
        rate = options.learning_rate
    settings = replace(settings, learning_rate=rate, start=start.name)
    sensing = Sensing(FrozenBundle(options.sensing), settings.noise, device)
    trained = start.weights is not None or begun.exists()
    transform = no_transform(sensing) if trained else block_transform(data, sensing.reads)
    run = SemComRun(transform, options.link, network, sensing, data, settings, device)
    if start.weights is not None:
        run.learner.start_from(dict(start.weights))
    return run


def _published(options: RadioOptions, data: TrainingData, device: str) -> PaperSemComRun:
    rate = LEARNING_RATE if options.learning_rate is None else options.learning_rate
    settings = replace(options.settings, learning_rate=rate)
    sensing = Sensing(FrozenBundle(options.sensing), settings.noise, device)
    return PaperSemComRun(PaperSemComSettings(), sensing, data, settings, device)


def starting_weights(name_or_path: str) -> tuple[SemComSettings, dict[str, Tensor]]:
    """Read the averaged weights of a radio bundle, or of the folder of a run.

    Raises
    ------
    TrainError
        If there are none.
    """
    folder = Path(name_or_path)
    if (folder / CHECKPOINT).is_file():
        metadata, tensors = load_checkpoint(folder / CHECKPOINT)
        return _settings(metadata["identity"]), below("average.", tensors)
    shipped = zoo.FOLDER / name_or_path
    for place in (shipped, folder):
        if (place / ENCODER).is_file():
            return _weights_of_bundle(place)
    raise TrainError(
        f"there are no weights of a radio network in {name_or_path!r}: give the folder of a radio "
        "bundle or of a run"
    )


def trained(name_or_path: str, sensing: Sensing) -> SemCom:
    """Build a network with the averaged weights of a radio bundle or of the folder of a run.

    Raises
    ------
    TrainError
        If there are none.
    """
    settings, weights = starting_weights(name_or_path)
    network = SemCom(no_transform(sensing), settings)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def export_radio(
    run: Path, bundle: Path, method: str = "semcom", scores: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Write the radio bundle of the averaged weights of a training run; return its manifest.

    Parameters
    ----------
    run, bundle : Path
        Folder of the run, and the folder to write.
    method : str, optional
        Method of ``focalloop radio send`` that it is for.
    scores : sequence of dict, optional
        As `focalloop.models.radio.export.score_entry` makes them.

    Raises
    ------
    TrainError, ExportError
        If the run holds no radio network, or the bundle cannot be written.
    """
    metadata, _ = load_checkpoint(run / CHECKPOINT)
    sensing = Sensing(FrozenBundle(), noise_from(metadata["settings"]))
    if any(metadata["identity"].get(key) != value for key, value in sensing.identity.items()):
        raise TrainError(f"{run} was trained for another sensor than {sensing.bundle.name}")
    return export_semcom(trained(str(run), sensing), sensing, metadata, bundle, method, scores)


def _settings(identity: Mapping[str, Any]) -> SemComSettings:
    radio = identity.get("radio", {})
    kinds = {
        "paper": "the published networks",
        "reward": "a policy",
        "features": "a road of rate allocation",
    }
    for key, kind in kinds.items():
        if key in radio:
            raise TrainError(f"this is a run of {kind}, which is to compare with and no more")
    if "joint" in radio:
        raise TrainError("this is a joint run, whose link is for a sensor of its own")
    try:
        return settings_of(radio["network"])
    except (KeyError, TypeError) as error:
        raise TrainError(f"this is no run of a radio network ({error})") from None


def settings_of(network: Mapping[str, Any]) -> SemComSettings:
    """Rebuild the settings that a checkpoint or a manifest holds."""
    size = network["transform"]
    widths, blocks = tuple(size["widths"]), tuple(size["blocks"])
    transform = TransformSettings(size["channels"], widths, blocks)
    return SemComSettings(tuple(network["rates"]), transform)


def _weights_of_bundle(folder: Path) -> tuple[SemComSettings, dict[str, Tensor]]:
    """Read weights from the graphs of a bundle, whose initialisers keep their names."""
    import json

    try:
        manifest = json.loads((folder / "radio.json").read_text("utf-8"))
        settings = settings_of(manifest["training"]["radio"]["network"])
        if "int8_loss_db" in manifest["export"]:
            raise ValueError("in 8 bits; start from the bundle in float32 that it was made of")
        found: dict[str, Tensor] = {}
        for name in (ENCODER, DECODER):
            for tensor in onnx.load(folder / name).graph.initializer:
                values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
                found[tensor.name.removesuffix(".half")] = values
        network = SemCom(blank_transform(len(found["encoder.analysis.mean"])), settings)
        # The graphs hold linear transforms as they had become, and nothing for their change.
        weights = {
            name: found[name].float().view_as(value) if name in found else torch.zeros_like(value)
            for name, value in network.state_dict().items()
            if name in found or name.endswith(("linear.change", "log_emphasis"))
        }
        network.load_state_dict(weights)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainError(f"the networks in {folder} cannot be read: {error}") from None
    return settings, dict(network.state_dict())


def no_transform(sensing: Sensing) -> BlockTransform:
    """Stand in for the transform of a network whose weights are loaded."""
    return blank_transform(sensing.reads.count, BLOCK // sensing.reads.side)


def blank_transform(reads: int, side: int = 4) -> BlockTransform:
    """Stand in for a transform of blocks of ``side`` x ``side`` cells, each of so many reads."""
    rows = torch.zeros(RATES[-1], reads, side, side)
    return BlockTransform(torch.zeros(reads), rows, rows, torch.ones(RATES[-1]))
