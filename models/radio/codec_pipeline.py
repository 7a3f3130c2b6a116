"""From what a user asks for to a run of the codec, or the bundle of one that has trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from focalloop.models.errors import TrainError
from focalloop.models.radio.codec import CodecNetwork, CodecSettings, codec_settings_of
from focalloop.models.radio.codec_export import export_codec
from focalloop.models.radio.codec_run import CodecRun
from focalloop.models.radio.codec_weights import codec_starting_weights
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import block_transform
from focalloop.models.radio.paper_codec_run import PaperCodecRun
from focalloop.models.radio.pipeline import no_transform
from focalloop.models.radio.run import Sensing
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint, noise_from
from focalloop.models.training.learner import below
from focalloop.models.training.run import RunSettings
from focalloop.models.training.starting_weights import Start
from focalloop.models.training.training_data import TrainingData


@dataclass(frozen=True)
class CodecOptions:
    """One training of a codec.

    Attributes
    ----------
    folder, data : Path
        Folder of the run, and the windows to train on.
    start : str or None
        Radio bundle, or folder of a run, whose weights it starts from; its size then holds.
    prices : tuple of float
        What a bit per pixel costs at the lowest and the highest quality.
    settings : RunSettings
        Budget, batch, crop, learning rate and seed.
    sensing : str
        Bundle that senses and reconstructs.
    """

    folder: Path
    data: Path
    start: str | None
    prices: tuple[float, float]
    settings: RunSettings
    sensing: str


def begin_codec(options: CodecOptions, device: str) -> CodecRun:
    """Make the run that the options ask for, from its start; `CodecRun.train` resumes it.

    Raises
    ------
    TrainError
        If the data, the bundle or the weights to start from cannot be used.
    """
    data = TrainingData.load(options.data)
    begun, start, network = options.folder / CHECKPOINT, Start(), CodecSettings()
    if begun.exists():  # goes on with the weights it has
        start = Start(str(load_checkpoint(begun)[0]["settings"]["start"]))
    elif options.start is not None:
        network, weights = codec_starting_weights(options.start)
        start = Start.of(Path(options.start).name, weights)
    settings = replace(options.settings, start=start.name)
    sensing = Sensing(FrozenBundle(options.sensing), settings.noise, device)
    trained = start.weights is not None or begun.exists()
    transform = no_transform(sensing) if trained else block_transform(data, sensing.reads)
    dear, cheap = options.prices
    network = replace(network, dear=dear, cheap=cheap)
    run = CodecRun(transform, network, sensing, data, settings, device)
    if start.weights is not None:
        try:
            run.learner.start_from(dict(start.weights))
        except RuntimeError as error:
            raise TrainError(f"{options.start} holds no weights of a codec: {error}") from None
    return run


def begin_published_codec(options: CodecOptions, device: str) -> PaperCodecRun:
    """Make the run of the published networks; they start at random and have their own prices.

    Raises
    ------
    TrainError
        If the data or the bundle cannot be used.
    """
    data = TrainingData.load(options.data)
    sensing = Sensing(FrozenBundle(options.sensing), options.settings.noise, device)
    return PaperCodecRun(sensing, data, options.settings, device)


def holds_codec(run: Path) -> bool:
    """Return whether a folder holds a run of a codec, rather than of another radio network."""
    identity = load_checkpoint(run / CHECKPOINT)[0]["identity"]
    return isinstance(identity, dict) and "codec" in identity.get("radio", {})


def export_codec_run(
    run: Path, bundle: Path, scores: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Write the radio bundle of the averaged weights of a run; return its manifest.

    Parameters
    ----------
    run, bundle : Path
        Folder of the run, and the folder to write.
    scores : sequence of dict, optional
        Scores, each with the command that printed it.

    Raises
    ------
    TrainError, ExportError
        If the run holds no codec, or the bundle cannot be written.
    """
    metadata, tensors = load_checkpoint(run / CHECKPOINT)
    sensing = Sensing(FrozenBundle(), noise_from(metadata["settings"]))
    if any(metadata["identity"].get(key) != value for key, value in sensing.identity.items()):
        raise TrainError(f"{run} was trained for another sensor than {sensing.bundle.name}")
    try:
        settings = codec_settings_of(metadata["identity"]["radio"]["codec"])
        network = CodecNetwork(no_transform(sensing), settings)
        network.load_state_dict(below("average.", tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainError(f"{run} holds no codec: {error}") from None
    return export_codec(network, sensing, metadata, bundle, scores)
