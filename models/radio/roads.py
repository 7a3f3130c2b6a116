"""Roads of rate allocation to compare with the shipped one, for ends that stay as they are.

A road is a new last part of the allocation network: a policy that was rewarded, or predictions that
can follow from the codec's bits as well. It is a few kilobytes beside the ends that it is for, and
files of roads hold no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.export.bundle import data_summary
from focalloop.models.radio.codec_bits import CodecBits, Features, InformedRun, InformedSemCom
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.pipeline import RadioOptions, no_transform, starting_weights
from focalloop.models.radio.policy import Reward
from focalloop.models.radio.policy_run import PolicyRun, RatePolicy, policy_rates
from focalloop.models.radio.published_run import POLICY_RATE
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import SemCom
from focalloop.models.radio.semcom_run import encoded
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from focalloop.models.training.learner import below
from focalloop.models.training.starting_weights import Start
from focalloop.models.training.training_data import TrainingData

SHIPPED = tuple(
    zoo.FOLDER / "radio-semcom-roads" / f"{name}.safetensors"
    for name in (
        "sampled-published",
        "sampled-psnr",
        "expected-psnr",
        "regressed-reals",
        "regressed-codec",
    )
)
"""Files of roads for the ends of ``radio-semcom``."""

REGRESSION_RATE = 1e-2
"""Highest learning rate of predictions, which begin at random."""

AVERAGE_DECAY = 0.99
"""Of the average of what a road learns: within few steps, and none of it to begin with."""

Choose = Callable[[float], NDArray[Any]]
"""Takes a budget of reals, and returns the rates (h, w) of a window, as indices."""

Road = Callable[[Tensor, Tensor, float], Choose]
"""Takes the reals (1, C, h, w) of a window, its cells, and the SNR in dB."""


def begin_road(
    options: RadioOptions,
    device: str,
    *,
    reward: Reward | None = None,
    expected: bool = False,
    features: Features = "reals",
) -> PolicyRun | InformedRun:
    """Make the run of a road, for the ends of ``options.start``; its `train` resumes it.

    Parameters
    ----------
    options : RadioOptions
        As for other radio networks.
    device : str
        ``"cpu"`` or ``"cuda"``.
    reward : {'published', 'psnr'} or None, optional
        What a policy is rewarded for; None for predictions.
    expected : bool, optional
        Whether the gradient of the policy is expected, rather than sampled.
    features : {'reals', 'codec'}, optional
        What predictions follow from.

    Raises
    ------
    TrainError
        If the data, the bundle or the weights to start from cannot be used.
    """
    start = str(options.start)
    network, weights = starting_weights(start)
    rate = REGRESSION_RATE if reward is None else POLICY_RATE
    settings = replace(
        options.settings,
        learning_rate=rate if options.learning_rate is None else options.learning_rate,
        average_decay=AVERAGE_DECAY,
        start=Start.of(Path(start).name, weights).name,
    )
    sensing = Sensing(FrozenBundle(options.sensing), settings.noise, device)
    parts = network, sensing, TrainingData.load(options.data), settings, device
    run: PolicyRun | InformedRun
    if reward is None:
        run = InformedRun(features, options.link, *parts)
    else:
        run = PolicyRun(reward, no_transform(sensing), *parts, expected=expected)
    run.start_from(weights)
    return run


def trained_road(path: Path, ends: SemCom, sensing: Sensing) -> tuple[str, Road]:
    """Build the road of a run or of a file, and say which one it is.

    Parameters
    ----------
    path : Path
        Folder of a run, or a file that `keep_road` wrote.
    ends : SemCom
        The ends that it is for.
    sensing : Sensing
        The sensor that they are for.

    Raises
    ------
    TrainError
        If there is none, or it is for other ends or bits of another codec.
    """
    metadata, tensors = load_checkpoint(path / CHECKPOINT if path.is_dir() else path)
    radio = _identity(metadata, path)
    if metadata["settings"]["start"].split("@")[-1] != Start.of("", ends.state_dict()).name[1:]:
        raise TrainError(f"{path} holds a road for other ends: give the weights it started from")
    learned = below("average.allocation.", tensors)
    rates = ends.settings.rates
    if "reward" in radio:
        policy = RatePolicy(rates)
        policy.load_state_dict(ends.allocation.state_dict() | learned)
        policy.eval().requires_grad_(False)
        name = f"{radio.get('gradient', 'sampled')}-{radio['reward']}"
        return name, lambda x, cells, snr_db: partial(policy_rates, policy, x)
    bits = CodecBits(sensing) if radio["features"] == "codec" else None
    if bits is not None and bits.name != radio["bits"]:
        raise TrainError(
            f"{path} was trained with the bits of {radio['bits']}, and here is {bits.name}"
        )
    network = InformedSemCom(no_transform(sensing), ends.settings, bits)
    informed = {f"allocation.{name}": value for name, value in learned.items()}
    network.load_state_dict(ends.state_dict() | informed)
    network.eval().requires_grad_(False)

    def regressed(x: Tensor, cells: Tensor, snr_db: float) -> Choose:
        return partial(rates_for_budget, encoded(network, cells, snr_db)[1], rates)

    return f"regressed-{radio['features']}", regressed


def keep_road(run: Path, file: Path) -> None:
    """Write what the road of a run has learned to a file of its own.

    Raises
    ------
    TrainError, WriteError
        If the run holds none, or the file cannot be written.
    """
    metadata, tensors = load_checkpoint(run / CHECKPOINT)
    layer = "errors" if "reward" in _identity(metadata, run) else "informed"
    learned = {k: v for k, v in tensors.items() if k.startswith(f"average.allocation.{layer}.")}
    data = metadata["data"]
    data = {"settings": data["settings"], "sources": data_summary(data["sources"])}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(file, metadata | {"data": data}, learned)


def _identity(metadata: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return what a road was trained as."""
    radio = metadata["identity"].get("radio", {})
    if not radio.keys() & {"reward", "features"}:
        raise TrainError(
            f"{path} holds no road: train one with `radio train ran --reward` or `--features`"
        )
    return cast(dict[str, Any], radio)
