"""From what a user asks for to a joint run, or to the two bundles of one that has trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.export.bundle import write_bundle
from focalloop.models.networks.profiles import build_network, settings_from
from focalloop.models.radio.any_tile import JointSensing, lifted
from focalloop.models.radio.codec import CodecNetwork, codec_settings_of
from focalloop.models.radio.codec_export import export_codec
from focalloop.models.radio.codec_run import CodecRun
from focalloop.models.radio.codec_weights import codec_starting_weights
from focalloop.models.radio.export import export_semcom
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.joint_run import RECONSTRUCTION, JointMethod, JointRun, OneRateRun
from focalloop.models.radio.pipeline import blank_transform, settings_of, starting_weights
from focalloop.models.radio.run import RadioRun
from focalloop.models.radio.semcom import SemCom
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint, noise_from
from focalloop.models.training.learner import below
from focalloop.models.training.map_source import RATIO_MAP
from focalloop.models.training.run import RunSettings
from focalloop.models.training.starting_weights import Start
from focalloop.models.training.training_data import TrainingData

STARTS: dict[JointMethod, str] = {
    "semcom": "radio-semcom",
    "semcom-noran": "radio-semcom",
    "compr": "radio-codec-edge",
}
"""Radio bundle that each method starts from unless another is given."""


@dataclass(frozen=True)
class JointOptions:
    """One joint training.

    Attributes
    ----------
    data : Path
        The windows to train on.
    method : {'semcom', 'semcom-noran', 'compr'}
        What the link is.
    start : str or None
        Radio bundle or folder of a run whose weights the link starts from; `STARTS` by default.
    settings : RunSettings
        Budget, batch, crop, learning rate and seed.
    sensing : str
        Bundle whose tile and reconstruction the run starts from.
    """

    data: Path
    method: JointMethod
    start: str | None
    settings: RunSettings
    sensing: str


def begin_joint(options: JointOptions, device: str) -> JointRun:
    """Make the run that the options ask for, from its start; `JointRun.train` resumes it.

    Raises
    ------
    TrainError
        If the data, the bundle or the weights to start from cannot be used.
    """
    data, method = TrainingData.load(options.data), options.method
    sensing = JointSensing(FrozenBundle(options.sensing), options.settings.noise, device)
    name = options.start or STARTS[method]
    reads, spans = (
        blank_transform(len(sensing.reads.exposure)),
        blank_transform(sensing.reads.count),
    )
    link: RadioRun[Any]
    old: nn.Module
    if method == "compr":
        size, weights = codec_starting_weights(name)
        old = CodecNetwork(reads, size)
    else:
        network, weights = starting_weights(name)
        old = SemCom(reads, network)
    settings = replace(options.settings, start=Start.of(Path(name).name, weights).name)
    parts = sensing, data, settings, device
    if method == "compr":
        link = CodecRun(spans, size, *parts)
    else:
        kind = SemComRun if method == "semcom" else OneRateRun
        link = kind(spans, LinkTraining(), network, *parts)
    try:
        old.load_state_dict(weights)
    except RuntimeError:
        raise TrainError(
            f"{name} was not trained for the reads of {options.sensing}: start from a link that was"
        ) from None
    link.learner.start_from(lifted(old, sensing.reads))
    return JointRun(method, link, sensing)


def holds_joint(run: Path) -> bool:
    """Return whether a folder holds a joint run."""
    identity = load_checkpoint(run / CHECKPOINT)[0]["identity"]
    return isinstance(identity, dict) and "joint" in identity.get("radio", {})


def export_joint(run: Path, bundle: Path, scores: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Write the radio bundle of a joint run and, beside it, that of its sensing.

    Parameters
    ----------
    run, bundle : Path
        Folder of the run, and the folder of the radio bundle. Tile and reconstruction become the
        bundle ``NAME-sensing`` in the same place.
    scores : sequence of dict, optional
        As in `focalloop.models.radio.pipeline.export_radio`.

    Returns
    -------
    dict
        The manifest of the radio bundle.

    Raises
    ------
    TrainError, ExportError
        If the run is no joint run, or a bundle cannot be written.
    """
    metadata, tensors = load_checkpoint(run / CHECKPOINT)
    average = below("average.", tensors)
    radio, method = metadata["identity"]["radio"], metadata["identity"]["radio"]["joint"]["method"]
    ends = {k: v for k, v in average.items() if not k.startswith(f"{RECONSTRUCTION}.")}
    reconstruction = build_network(settings_from(metadata["settings"]["network"]))
    reconstruction.load_state_dict(below(f"{RECONSTRUCTION}.", average))
    folder = bundle.with_name(f"{bundle.name}-sensing")
    write_bundle(folder, reconstruction.eval(), RatioMap.load(run / RATIO_MAP), metadata)
    sensing = JointSensing(FrozenBundle(folder), noise_from(metadata["settings"]))
    spans = blank_transform(sensing.reads.count)
    if method == "compr":
        codec = CodecNetwork(spans, codec_settings_of(radio["codec"]))
        codec.load_state_dict(ends)
        return export_codec(codec.eval(), sensing, metadata, bundle, scores)
    link = SemCom(spans, settings_of(radio["network"]))
    link.load_state_dict(ends)
    link.eval().requires_grad_(False)
    return export_semcom(link, sensing, metadata, bundle, method, scores)
