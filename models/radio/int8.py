"""Eight-bit arithmetic for both ends of semantic communication: ``focalloop radio bundle --int8``.

The convolutions of the branch of either end take 8-bit activations and weights. The linear
transform beside it, the power of every real and the allocation of rates, which decide what is sent,
stay float32. Ranges come from training windows that are sent over noise, and what is lost is
measured on validation windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.models import zoo
from focalloop.models.errors import ExportError
from focalloop.models.export.int8 import WINDOWS, Inputs, in_int8
from focalloop.models.export.onnx_graph import store_weights_as_half
from focalloop.models.radio.export import (
    DECODER,
    ENCODER,
    MANIFEST,
    refuse_anything_but_a_radio_bundle,
    write_files,
)
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import BLOCK
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import over_the_air, sent_reals
from focalloop.models.training.checkpoint import noise_from
from focalloop.models.training.training_data import TrainingData

MAX_LOSS_DB = 0.05
"""Limit of the PSNR that 8-bit arithmetic may cost."""

LAYERS = tuple(
    f"{transform}.{part}."
    for transform in ("encoder.analysis", "decoder.synthesis")
    for part in ("stem", "coarse", "middle", "fine", "to_middle", "to_coarse", "beside", "head")
)
"""Prefixes of the weights that become 8-bit."""

_MEASURED_SNR_DB = 10.0
"""Where the loss is measured."""


class _Link:
    """Both ends in ONNX Runtime, and noise between them."""

    def __init__(self, graphs: Mapping[str, bytes], rates: Sequence[int]) -> None:
        self.rates = tuple(rates)
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(graphs[name], providers=["CPUExecutionProvider"])
            for name in (ENCODER, DECODER)
        )

    def sent(self, transmitted: Inputs, reals: float, seed: int) -> Inputs:
        """Return what the decoder takes of a window that is sent with so many reals."""
        x, log_error, emphasis = self._encoder.run(None, dict(transmitted))
        rate_map = rates_for_budget(log_error[0], self.rates, reals)
        levels = torch.from_numpy(rate_map)[None]
        values = torch.from_numpy(x * emphasis[0][rate_map].transpose(2, 0, 1))
        noise = Channel("awgn", float(transmitted["snr_db"][0])).noise_variance
        received, variance = over_the_air(
            values,
            sent_reals(levels, torch.tensor(self.rates)),
            torch.full((1, 1, 1, 1), noise),
            torch.Generator().manual_seed(seed),
        )
        return {
            "received": received.numpy(),
            "noise": np.ascontiguousarray(variance.numpy()),
            "rate_map": rate_map[None],
        }

    def decoded(self, received: Inputs) -> Tensor:
        """Return the measurements that come out, (1, K, H, W)."""
        (reads,) = self._decoder.run(None, dict(received))
        return torch.from_numpy(reads)


def calibrated(
    graphs: Mapping[str, bytes], rates: Sequence[int], sensing: Sensing, data: TrainingData
) -> tuple[dict[str, bytes], float]:
    """Calibrate the 8-bit form of both ends on training windows, and measure what it costs.

    Parameters
    ----------
    graphs : mapping of str to bytes
        `ENCODER` and `DECODER` in float32.
    rates : sequence of int
        Reals that a location sends at each rate, ascending.
    sensing : Sensing
        What measures and rebuilds the windows.
    data : TrainingData
        Training windows calibrate, at any rate and 0 to 20 dB; validation windows measure the loss,
        at 10 dB and with as many reals for both forms.

    Returns
    -------
    tuple
        The graphs, and the loss of mean PSNR in dB.

    """
    rng = np.random.default_rng(0)
    wide = _Link(graphs, rates)
    windows = data.training[:WINDOWS]
    transmitted = _measured(windows, sensing, rng.uniform(0, 20, len(windows)))
    received = [
        wide.sent(inputs, rng.uniform(rates[0], rates[-1]) * _locations(inputs), number)
        for number, inputs in enumerate(transmitted)
    ]
    narrow = {}
    for name, inputs in ((ENCODER, transmitted), (DECODER, received)):
        model = onnx.load_from_string(in_int8(graphs[name], inputs, LAYERS))
        store_weights_as_half(model)  # as they were: calibration widens them
        narrow[name] = model.SerializeToString()
    found = _mean_psnr(wide, sensing, data), _mean_psnr(_Link(narrow, rates), sensing, data)
    return narrow, found[0] - found[1]


def export_int8(
    source: str | Path, bundle: Path, data: TrainingData, scores: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Write the 8-bit form of a radio bundle in float32, replacing an older one.

    Parameters
    ----------
    source : str or Path
        Name of a shipped radio bundle of semantic communication, or folder of any.
    bundle : Path
        Folder to write; its name becomes that of the bundle.
    data : TrainingData
        Windows to calibrate and to measure on.
    scores : sequence of dict, optional
        As `focalloop.models.radio.export.score_entry` makes them.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError
        `source` is no such bundle, its 8-bit form loses more than `MAX_LOSS_DB`, or `bundle` exists
        and is no radio bundle.
    """
    refuse_anything_but_a_radio_bundle(bundle)
    shipped = zoo.FOLDER / str(source)
    folder = shipped if (shipped / MANIFEST).is_file() else Path(source)
    try:
        manifest = parse_json((folder / MANIFEST).read_bytes())
        if manifest["kind"] != "semcom":
            raise ValueError(f"it is of kind {manifest['kind']!r}, not semcom")
        if "int8_loss_db" in manifest["export"]:
            raise ValueError("it is in 8 bits already")
        graphs = {name: (folder / name).read_bytes() for name in (ENCODER, DECODER)}
        for name, graph in graphs.items():
            if hashlib.sha256(graph).hexdigest() != manifest["sha256"][name]:
                raise ValueError(f"{name} is damaged")
        sensing = Sensing(
            FrozenBundle(manifest["sensing"]["bundle"]),
            noise_from(manifest["training"]["settings"]),
        )
        export, rates = dict(manifest["export"]), tuple(manifest["rates"])
    except (OSError, ValueError, KeyError, TypeError, FocalloopError) as error:
        raise ExportError(f"no 8-bit form can be made of {source}: {error}") from None
    narrow, loss_db = calibrated(graphs, rates, sensing, data)
    if not loss_db <= MAX_LOSS_DB:
        raise ExportError(
            f"8-bit arithmetic loses {loss_db:.2f} dB on the validation windows, more than "
            f"{MAX_LOSS_DB:g}: keep float32"
        )
    made: dict[str, Any] = manifest | {
        "name": bundle.name,
        "sha256": {name: hashlib.sha256(graph).hexdigest() for name, graph in narrow.items()},
        "export": export | {"int8_loss_db": loss_db},
        "scores": list(scores),
    }
    write_files(bundle, narrow, made)
    return made


def _measured(
    windows: NDArray[np.uint8], sensing: Sensing, snr_db: NDArray[np.float64]
) -> list[Inputs]:
    """Measure scenes (N, T, H, W), as far as they have whole locations, for channels (N,).

    Returns
    -------
    list of Inputs
        What the encoder takes of each.
    """
    generator = torch.Generator().manual_seed(0)
    reads = [
        sensing.reads.planes(sensing.reads.measure(_scene(window), generator)).numpy()
        for window in windows
    ]
    return [
        {"reads": each, "snr_db": np.array([db], np.float32)}
        for each, db in zip(reads, snr_db, strict=True)
    ]


def _scene(window: NDArray[np.uint8]) -> Tensor:
    height, width = (side // BLOCK * BLOCK for side in window.shape[1:])
    return torch.from_numpy(window[None, :, :height, :width] / np.float32(255))


def _locations(inputs: Inputs) -> int:
    height, width = inputs["reads"].shape[2:]
    return int(height * width) // BLOCK**2


def _mean_psnr(link: _Link, sensing: Sensing, data: TrainingData) -> float:
    """Return the mean PSNR in dB of validation windows that were sent over a link."""
    errors = []
    windows, reals = data.validation[:WINDOWS], (link.rates[0] + link.rates[-1]) / 2
    transmitted = _measured(windows, sensing, np.full(len(windows), _MEASURED_SNR_DB))
    for number, (window, inputs) in enumerate(zip(windows, transmitted, strict=True)):
        reads = link.decoded(link.sent(inputs, reals * _locations(inputs), number))
        video = sensing.video(sensing.reads.gathered(reads)).clamp(0, 1)
        errors.append(float((video - _scene(window)).square().mean()))
    return float(np.mean(-10 * np.log10(errors)))
