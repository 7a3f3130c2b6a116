"""Eight-bit arithmetic for an exported edge network, where processors multiply it fastest.

The first layer and the residual blocks, which are most of the work, take 8-bit activations and
weights; everything else, above all the sum with the first guess, stays float32. The ranges of the
activations come from calibration windows, so the loss is measured on other windows; a network that
was trained with rounding (`focalloop.models.training.rounding`) brings its own. What a
convolution adds to a sum is rounded over a range of each channel, since the range of the strongest
would coarsen all others, and no later layer makes up for it.

Weights use 7 of their 8 bits: processors without VNNI instructions add two products in 16 bits,
which would saturate, and a network must reconstruct the same video on every machine.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import repeat

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.networks.edge import NOISE_SPAN, USUAL_NOISE
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.sensing import clean_reads, read_out
from focalloop.models.training.map_source import RandomTiles
from focalloop.models.training.network_run import maps_in_a_row
from focalloop.models.training.rounding import LAYERS, Ranges
from focalloop.models.training.training_data import TrainingData

Inputs = dict[str, NDArray[np.generic]]

NONE: Mapping[str, Ranges] = {}

WINDOWS = 24
"""Windows that calibrate; as many others measure the loss."""

PERCENTILE = 99.999
"""Percentile of an activation that its range covers; outliers would coarsen all other values."""


def measured(
    windows: NDArray[np.uint8], ratio_map: RatioMap, noise: NoiseProfile, *, told: bool = False
) -> list[Inputs]:
    """Measure scenes under a periodic map, and return the inputs of a network for each, by name.

    Parameters
    ----------
    windows : ndarray of uint8
        Scenes of shape (N, T, H, W); 255 is white.
    ratio_map : RatioMap
        The map, which is fitted to their size.
    noise : NoiseProfile
        Noise of the reads.
    told : bool, optional
        Whether the network is told the noise.
    """
    fitted = ratio_map.tiled_to(*windows.shape[2:])
    levels = torch.from_numpy(fitted.levels.copy())[None]
    aperture = None
    others: dict[str, NDArray[np.generic]] = {"levels": fitted.levels[None]}
    if fitted.aperture is not None:
        others["aperture"] = fitted.aperture.astype(np.uint8)[None]
        aperture = torch.from_numpy(others["aperture"]).float()
    if told:
        others["noise"] = np.array([noise.shot_and_read()], np.float32)
    generator = torch.Generator().manual_seed(0)
    inputs: list[Inputs] = []
    for window in windows:
        clean = clean_reads(torch.from_numpy(window.copy())[None].float() / 255, levels, aperture)
        reads = read_out(clean, levels, noise, slots=len(window), generator=generator)
        inputs.append({"reads": reads.numpy(), **others})
    return inputs


def mean_psnr(graph: bytes, inputs: Sequence[Inputs], windows: NDArray[np.uint8]) -> float:
    """Return the mean PSNR in dB of the reconstruction of measured `windows` (N, T, H, W)."""
    return float(np.mean(-10 * np.log10(squared_errors(loaded(graph), inputs, windows))))


def loaded(graph: bytes) -> onnxruntime.InferenceSession:
    """Load a network into ONNX Runtime."""
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def squared_errors(
    network: onnxruntime.InferenceSession, inputs: Sequence[Inputs], windows: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the mean squared error of each measured window of `windows` (N, T, H, W)."""
    errors = []
    for (_, video), window in zip(rebuilt(network, inputs), windows, strict=True):
        errors.append(np.square(np.clip(video[0], 0, 1) - window / np.float32(255)).mean())
    return np.asarray(errors, np.float64)


def rebuilt(
    network: onnxruntime.InferenceSession, inputs: Iterable[Inputs]
) -> Iterator[tuple[Inputs, NDArray[np.float32]]]:
    """Reconstruct windows; yield the inputs and the video (1, T, H, W) of each.

    For a network with memory, the last frame of the window before is put in where it is missing.
    """
    remembers = "last" in (node.name for node in network.get_inputs())
    video = np.empty(0, np.float32)
    for taken in inputs:
        if remembers and "last" not in taken:
            taken = {**taken, "last": video[:, -1].clip(0, 1)}
        (video,) = network.run(None, taken)
        yield taken, video


def calibrated(
    graph: bytes,
    data: TrainingData,
    ratio_map: RatioMap,
    noise: NoiseProfile,
    for_any: RandomTiles | None = None,
    *,
    told: bool = False,
    ranges: Mapping[str, Ranges] = NONE,
) -> tuple[bytes, float]:
    """Calibrate the 8-bit form of a network on training windows, and measure what it costs.

    Parameters
    ----------
    graph : bytes
        An exported network (`focalloop.models.export.onnx_graph.to_onnx`).
    data : TrainingData
        Training windows calibrate, validation windows measure the loss; for a network with memory,
        its windows hold several of the network in a row.
    ratio_map : RatioMap
        The map that measures the windows.
    noise : NoiseProfile
        Noise of the reads.
    for_any : RandomTiles or None, optional
        For a network of any map: gives another tile for each window instead.
    told : bool, optional
        Whether the network is told the noise; it is then calibrated under noise of its whole range.
    ranges : mapping of str to Ranges, optional
        As for `in_int8`.

    Returns
    -------
    tuple
        The graph of `in_int8`, and the loss of mean PSNR in dB.
    """
    rng = np.random.default_rng(0)
    # Windows of a network with memory come in a row.
    in_a_row = data.slots // ratio_map.slots
    learning, fresh = (
        part[:WINDOWS].reshape(-1, ratio_map.slots, *part.shape[2:])
        for part in (data.training, data.validation)
    )

    def taken(windows: NDArray[np.uint8], noises: Iterable[NoiseProfile]) -> Iterator[Inputs]:
        side = windows.shape[2]
        maps: Iterable[RatioMap] = repeat(ratio_map)
        if for_any is not None:
            fitted = ratio_map.tiled_to(side, side)
            tiles = maps_in_a_row(rng, for_any, len(windows) // in_a_row, side, in_a_row)
            # Of a window that nothing was measured of, any video is as good.
            maps = [replace(fitted, levels=t) if t.any() else fitted for t in tiles]
        for number, (window, own_map, own_noise) in enumerate(
            zip(windows, maps, noises, strict=False)
        ):
            (inputs,) = measured(window[None], own_map, own_noise, told=told)
            if in_a_row > 1 and number % in_a_row == 0:
                inputs |= {"last": np.full((1, side, side), NOTHING, np.float32)}
            yield inputs

    noises = [noise] * len(learning)
    if told:
        factors = NOISE_SPAN ** rng.uniform(-1, 1, (len(learning), 2))
        pairs = (np.array(USUAL_NOISE) * factors).tolist()
        noises = [replace(noise, s_ss=s_ss, s_r=s_r) for s_ss, s_r in pairs]
    complete = [inputs for inputs, _ in rebuilt(loaded(graph), taken(learning, noises))]
    narrow = in_int8(graph, complete, ranges=ranges)
    inputs = list(taken(fresh, repeat(noise)))
    return narrow, mean_psnr(graph, inputs, fresh) - mean_psnr(narrow, inputs, fresh)


def in_int8(
    graph: bytes,
    windows: Sequence[Inputs],
    layers: tuple[str, ...] = LAYERS,
    ranges: Mapping[str, Ranges] = NONE,
) -> bytes:
    """Convert convolutions of a network to 8-bit weights and activations.

    Parameters
    ----------
    graph : bytes
        An exported network (`focalloop.models.export.onnx_graph.exported`).
    windows : sequence of Inputs
        Inputs to calibrate on, by name.
    layers : tuple of str, optional
        Prefixes of the weights that become 8-bit; by default those of an edge network.
    ranges : mapping of str to Ranges, optional
        What inputs and outputs are rounded over, by layer; found on `windows` by default.

    Returns
    -------
    bytes
        A graph with the same inputs and outputs; `graph` itself if it has no such layers.
    """
    # Calibration prints its progress to standard output, which is for one JSON document.
    with scratch_folder() as folder, redirect_stdout(StringIO()):
        (folder / "float.onnx").write_bytes(graph)
        logging.disable(logging.WARNING)  # advice that does not apply
        try:
            # Folds the casts of the stored weights, so that they are constants again.
            quant_pre_process(
                str(folder / "float.onnx"), str(folder / "folded.onnx"), skip_symbolic_shape=True
            )
            model = onnx.load(folder / "folded.onnx")
            convolutions = [
                node
                for node in model.graph.node
                if node.op_type == "Conv" and node.input[1].startswith(layers)
            ]
            if not convolutions:
                return graph
            nodes = [node.name for node in convolutions]
            rectified = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
            summed = [node for node in convolutions if node.output[0] not in rectified]
            outputs: list[NDArray[np.float32]] = []
            overrides = {}
            if not ranges:
                outputs = _channel_ranges(model, [node.output[0] for node in summed], windows)
            for node in convolutions if ranges else ():
                own = ranges[node.input[1].removesuffix(".weight")]
                overrides[node.input[0]] = [dict(zip(("rmin", "rmax"), own.inputs, strict=True))]
                if own.outputs is not None:
                    outputs.append(own.outputs)
            _round_channels(model, summed, outputs)
            onnx.save(model, folder / "folded.onnx")
            quantize_static(
                str(folder / "folded.onnx"),
                str(folder / "int8.onnx"),
                _Reader(windows),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=nodes,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "CalibPercentile": PERCENTILE,
                    "TensorQuantOverrides": overrides,
                    # They are rounded already, or a ReLU follows, whose result is rounded instead.
                    "OpTypesToExcludeOutputQuantization": ["Conv"],
                },
            )
        finally:
            logging.disable(logging.NOTSET)
        return (folder / "int8.onnx").read_bytes()


def _round_channels(
    model: ModelProto, convolutions: Sequence[NodeProto], ranges: Sequence[NDArray[np.float32]]
) -> None:
    """Round the outputs of convolutions to 8 bits, over the range (2, channels) of each.

    The convolution itself is scaled to yield the codes, so that ONNX Runtime rounds them in its
    kernel, and a `DequantizeLinear` of one scale and zero point per channel follows.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    unit, nothing = np.float32(1), np.uint8(0)
    for node, (lowest, highest) in zip(convolutions, ranges, strict=True):
        span = highest - lowest
        scale = np.where(span > 0, span / 255, 1)
        zero_point = np.rint(-lowest / scale)
        (name,) = node.output
        if len(node.input) < 3:
            constants[f"{name}.bias"] = model.graph.initializer.add(name=f"{name}.bias")
            _set(constants[f"{name}.bias"], np.zeros(len(scale)))
            node.input.append(f"{name}.bias")
        weights, bias = (constants[each] for each in node.input[1:3])
        _set(weights, numpy_helper.to_array(weights) / scale[:, None, None, None])
        _set(bias, numpy_helper.to_array(bias) / scale + zero_point)
        node.output[0] = f"{name}.real_codes"
        added = {"unit": unit, "nothing": nothing, "scale": np.float32(scale)}
        added["zero_point"] = zero_point.astype(np.uint8)
        model.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), f"{name}.{key}")
            for key, value in added.items()
        )
        after = list(model.graph.node).index(node) + 1
        for operation, (taken, by, zero), given in (
            ("DequantizeLinear", ("codes", "scale", "zero_point"), name),
            ("QuantizeLinear", ("real_codes", "unit", "nothing"), f"{name}.codes"),
        ):
            inputs = [f"{name}.{part}" for part in (taken, by, zero)]
            model.graph.node.insert(after, helper.make_node(operation, inputs, [given]))


def _channel_ranges(
    model: ModelProto, outputs: Sequence[str], windows: Sequence[Inputs]
) -> list[NDArray[np.float32]]:
    """Return the lowest and highest value (2, channels) of each output on `windows`, and zero."""
    watched = ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    network = loaded(watched.SerializeToString())
    ranges: list[NDArray[np.float32]] = []
    for inputs in windows:
        values = network.run(list(outputs), inputs)
        found = [np.stack([v.min((0, 2, 3)), v.max((0, 2, 3))]) for v in values]
        ranges = ranges or [np.zeros_like(each) for each in found]
        for both, (low, high) in zip(ranges, found, strict=True):
            np.minimum(both[0], low, out=both[0])
            np.maximum(both[1], high, out=both[1])
    return ranges


def _set(tensor: onnx.TensorProto, values: NDArray[np.floating]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, windows: Sequence[Inputs]) -> None:
        self._rest = iter(windows)

    def get_next(self) -> Inputs | None:
        return next(self._rest, None)
