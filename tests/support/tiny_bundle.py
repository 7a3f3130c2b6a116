"""A complete bundle with a network of a few nodes, for tests."""

import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset


def tiny_network(
    *,
    slots=16,
    aperture=False,
    noise=False,
    memory=False,
    levels_type=TensorProto.UINT8,
    factor=1.0,
):
    """A network with a bundle's interface: in every slot, the sum of the reads plus the level.

    All of it is multiplied by `factor`, and by the sum of the noise that it is told, if any. With
    memory, a quarter of the last frame is added.
    """
    free = ["N", None, "H", "W"]
    inputs = [
        helper.make_tensor_value_info("reads", TensorProto.FLOAT, ["N", 8, "H", "W"]),
        helper.make_tensor_value_info("levels", levels_type, ["N", "H", "W"]),
    ]
    one, repeats = np.array([1]), np.array([1, slots, 1, 1])
    nodes = [
        helper.make_node("ReduceSum", ["reads", "one"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["levels"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["as_float", "one"], ["plane"]),
        helper.make_node("Add", ["sum", "plane"], ["both"]),
        helper.make_node("Mul", ["both", "factor"], ["loud" if noise else "scaled"]),
        helper.make_node("Tile", ["scaled", "repeats"], ["tiled"]),
    ]
    if noise:
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["N", 2]))
        nodes[-1:] = [
            helper.make_node("ReduceSum", ["noise", "one"], ["of_window"], keepdims=1),
            helper.make_node("Unsqueeze", ["of_window", "last_axes"], ["strength"]),
            helper.make_node("Mul", ["loud", "strength"], ["scaled"]),
            nodes[-1],
        ]
    if aperture:
        inputs.append(
            helper.make_tensor_value_info("aperture", TensorProto.UINT8, ["N", slots, "H", "W"])
        )
        nodes += [
            helper.make_node("Cast", ["aperture"], ["open"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["tiled", "open"], ["video"]),
        ]
    elif memory:
        inputs.append(helper.make_tensor_value_info("last", TensorProto.FLOAT, ["N", "H", "W"]))
        nodes += [
            helper.make_node("Unsqueeze", ["last", "one"], ["frame"]),
            helper.make_node("Mul", ["frame", "quarter"], ["kept"]),
            helper.make_node("Add", ["tiled", "kept"], ["video"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["tiled"], ["video"]))
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in (("one", one), ("repeats", repeats), ("last_axes", np.array([2, 3])))
    ]
    constants += [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("factor", factor), ("quarter", 0.25))
    ]
    output = helper.make_tensor_value_info("video", TensorProto.FLOAT, free)
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_tiny_bundle(folder, ratio_map=None, *, network=None, name="tiny", **changes):
    """Write a bundle into `folder`; `changes` replace keys of bundle.json, None removes one."""
    folder.mkdir(parents=True)
    if ratio_map is None:
        ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (16, 16))
    ratio_map.save(folder / "ratio_map.npz")
    (folder / "reconstruct.onnx").write_bytes(tiny_network() if network is None else network)
    meta = {
        "schema": 1,
        "name": name,
        "slots": ratio_map.slots,
        "level_set": list(ratio_map.level_set),
        "ratio_map": "ratio_map.npz",
        "network": "reconstruct.onnx",
        "sha256": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()
        },
        "noise_profile": preset("paper").as_dict(),
        "training": {},
        "data": [],
        "scores": [],
        "licence": "Apache-2.0",
    } | changes
    meta = {key: value for key, value in meta.items() if value is not None}
    (folder / "bundle.json").write_text(json.dumps(meta))
    return folder
