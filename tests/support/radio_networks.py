"""Networks of a radio link with a known transform, for tests: the KLT of blocks of reads.

The encoder projects blocks of 16x16 pixels onto the eigenvectors of synthetic scenes' reads, and
knows the exact error of leaving coefficients out; the decoder is the linear estimator.
"""

import hashlib
import json
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.reconstruction.evaluate import capture_clips

RATES = (8, 16, 32, 48, 72, 104, 144, 192)
_BLOCK = 16

EMPHASIS = np.linspace(1.3, 0.7, len(RATES))[:, None].repeat(RATES[-1], axis=1)
"""By what reals are multiplied on the air at each rate; the first keeps its size."""
EMPHASIS[:, 0] = 1


def blocks_of(reads):
    """Cut reads (8, H, W) into blocks (n, 2048), in the order of ONNX' SpaceToDepth."""
    planes, height, width = reads.shape
    cut = reads.reshape(planes, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return cut.transpose(1, 3, 2, 4, 0).reshape(-1, planes * _BLOCK**2)


@cache
def transform(ratio_map):
    """Mean (2048,), eigenvectors (2048, 192) and deviations (192,) of blocks under a map."""
    ratio_map = ratio_map.tiled_to(96, 96)
    scenes = [SyntheticScene(96, 96, seed=seed) for seed in range(8)]
    clips = np.stack([scene.window(number) for number, scene in enumerate(scenes)])
    reads = capture_clips(clips, ratio_map, preset("paper"))
    blocks = np.concatenate([blocks_of(each) for each in reads])
    mean = blocks.mean(axis=0)
    _, spread, rows = np.linalg.svd(blocks - mean, full_matrices=False)
    deviation = spread[: RATES[-1]] / np.sqrt(len(blocks)) + 1e-3
    return mean, rows[: RATES[-1]].T, deviation


def encoder(ratio_map):
    """Serialised ``semcom_encoder.onnx``."""
    mean, vectors, deviation = transform(ratio_map)
    weights = (vectors / deviation).T
    tail = np.array([np.arange(RATES[-1]) >= kept for kept in RATES]) * deviation**2
    return _model(
        "encoder",
        {"reads": (TensorProto.FLOAT, ["N", 8, "H", "W"]), "snr_db": (TensorProto.FLOAT, ["N"])},
        {
            "x": (TensorProto.FLOAT, ["N", RATES[-1], "h", "w"]),
            "log_error": (TensorProto.FLOAT, ["N", len(RATES), "h", "w"]),
            "emphasis": (TensorProto.FLOAT, [1, *EMPHASIS.shape]),
        },
        [
            helper.make_node("SpaceToDepth", ["reads"], ["blocks"], blocksize=_BLOCK),
            helper.make_node("Conv", ["blocks", "weights", "bias"], ["x"]),
            helper.make_node("Mul", ["x", "x"], ["energy"]),
            helper.make_node("Conv", ["energy", "tail", "floor"], ["error"]),
            helper.make_node("Log", ["error"], ["log_error"]),
            helper.make_node("Identity", ["table"], ["emphasis"]),
        ],
        weights=weights[..., None, None],
        bias=-weights @ mean,
        tail=tail[..., None, None],
        floor=np.full(len(RATES), 1e-3),
        table=EMPHASIS[None],
    )


def decoder(ratio_map):
    """Serialised ``semcom_decoder.onnx``."""
    mean, vectors, deviation = transform(ratio_map)
    shape = ["N", RATES[-1], "h", "w"]
    return _model(
        "decoder",
        {
            "received": (TensorProto.FLOAT, shape),
            "noise": (TensorProto.FLOAT, shape),
            "rate_map": (TensorProto.UINT8, ["N", "h", "w"]),
        },
        {"reads": (TensorProto.FLOAT, ["N", 8, "H", "W"])},
        [
            helper.make_node("Cast", ["rate_map"], ["rates"], to=TensorProto.INT32),
            helper.make_node("Gather", ["table", "rates"], ["by_place"]),
            helper.make_node("Transpose", ["by_place"], ["emphasis"], perm=[0, 3, 1, 2]),
            helper.make_node("Div", ["received", "emphasis"], ["plain"]),
            helper.make_node("Mul", ["emphasis", "emphasis"], ["squared"]),
            helper.make_node("Div", ["noise", "squared"], ["plain_noise"]),
            helper.make_node("Add", ["plain_noise", "one"], ["power"]),
            helper.make_node("Div", ["plain", "power"], ["x"]),
            helper.make_node("Conv", ["x", "weights", "bias"], ["blocks"]),
            helper.make_node("DepthToSpace", ["blocks"], ["reads"], blocksize=_BLOCK, mode="DCR"),
        ],
        weights=(vectors * deviation)[..., None, None],
        bias=mean,
        one=np.ones(1),
        table=EMPHASIS,
    )


def write_radio_bundle(folder, ratio_map, *, kind="semcom", method="semcom", **changes):
    """Write a radio bundle for a map; `changes` replace keys of radio.json, None removes one."""
    folder.mkdir(parents=True)
    (folder / "semcom_encoder.onnx").write_bytes(encoder(ratio_map))
    (folder / "semcom_decoder.onnx").write_bytes(decoder(ratio_map))
    meta = {
        "schema": 1,
        "name": folder.name,
        "kind": kind,
        "method": method,
        "location": _BLOCK,
        "rates": list(RATES),
        "sensing": {
            "bundle": "tiny",
            "map": ratio_map.hash_hex,
            "tile": ratio_map.tile.tolist(),
            "reconstruction_sha256": "0" * 64,
        },
        "sha256": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()
        },
        "training": {},
        "data": [],
        "scores": [],
        "licence": "Apache-2.0",
    } | changes
    meta = {key: value for key, value in meta.items() if value is not None}
    (folder / "radio.json").write_text(json.dumps(meta))
    return folder


def _model(name, inputs, outputs, nodes, **constants):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, *value) for key, value in inputs.items()],
        [helper.make_tensor_value_info(key, *value) for key, value in outputs.items()],
        [
            numpy_helper.from_array(np.asarray(value, np.float32), key)
            for key, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model.SerializeToString()
