"""The 8-bit form of both ends: what it computes, what it leaves alone, and what it refuses."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.semcom import SemCom
from focalloop.models import zoo
from focalloop.models.errors import ExportError, TrainError
from focalloop.models.radio import int8
from focalloop.models.radio.export import DECODER, ENCODER
from focalloop.models.radio.int8 import export_int8
from focalloop.models.radio.pipeline import starting_weights
from focalloop.models.training.training_data import TrainingData

WIDE = zoo.FOLDER / "radio-semcom"


def reads_of(data, sensing):
    scene = torch.from_numpy(data.validation[:1] / np.float32(255))
    cells = sensing.reads.measure(scene, torch.Generator().manual_seed(0))
    return sensing.reads.planes(cells).numpy()


@pytest.fixture(scope="module")
def few(data):
    return TrainingData(data.training[:3], data.validation[:1], data.recipe)


@pytest.fixture(scope="module")
def narrow(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "radio-narrow"
    export_int8("radio-semcom", folder, few)
    return folder


def test_it_sends_nearly_the_same_in_less_space(narrow, data, sensing):
    ratio_map = sensing.bundle.ratio_map.tiled_to(64, 64)
    bundles = [RadioBundle.load(folder) for folder in (WIDE, narrow)]
    ends = [SemCom("semcom", bundle, ratio_map, threads=1) for bundle in bundles]
    reads = reads_of(data, sensing)[0]
    channel = Channel("awgn", 40)
    found = [end.send(reads, channel, np.random.default_rng(0), 500).reads for end in ends]
    difference = np.abs(found[0] - found[1])
    # A few small windows calibrate here, beyond whose ranges other windows are cut off.
    assert 0 < difference.mean() < 0.06 * np.abs(found[0]).mean()
    for name in (ENCODER, DECODER):
        tensors = onnx.load_from_string(bundles[1].network(name)).graph.initializer
        weights = [numpy_helper.to_array(t) for t in tensors if t.data_type == TensorProto.INT8]
        # Sums of two products fit into 16 bits, in which some processors add them.
        assert max(np.abs(each.astype(int)).max() for each in weights if each.ndim == 4) <= 64


def test_what_decides_what_is_sent_stays_in_float32(narrow, data, sensing):
    reads = reads_of(data, sensing)
    inputs = {"reads": reads, "snr_db": np.array([10], np.float32)}
    emphasis = []
    for folder in (WIDE, narrow):
        session = onnxruntime.InferenceSession(RadioBundle.load(folder).network(ENCODER))
        emphasis += session.run(["emphasis"], inputs)
    np.testing.assert_array_equal(*emphasis)
    graph = onnx.load_from_string(RadioBundle.load(narrow).network(ENCODER)).graph
    narrowed = {t.name for t in graph.initializer if t.name.endswith("_quantized")}
    assert narrowed
    assert not [name for name in narrowed if name.startswith(("allocation", "encoder.analysis.l"))]


def test_the_manifest_says_where_it_comes_from_and_what_it_costs(narrow):
    before, after = (RadioBundle.load(folder).meta for folder in (WIDE, narrow))
    assert after["name"] == "radio-narrow"
    assert abs(after["export"]["int8_loss_db"]) < int8.MAX_LOSS_DB
    for key in ("training", "sensing", "rates", "data"):
        assert after[key] == before[key]
    assert after["sha256"] != before["sha256"]


def test_what_loses_too_much_is_not_written(few, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "calibrated", lambda *_: ({}, 0.06))
    with pytest.raises(ExportError, match=r"8-bit arithmetic loses 0.06 dB"):
        export_int8(WIDE, tmp_path / "x", few)
    assert not (tmp_path / "x").exists()


def test_what_has_no_8_bit_form_is_refused(narrow, few, tmp_path):
    with pytest.raises(ExportError, match="of kind 'codec', not semcom"):
        export_int8("radio-codec-edge", tmp_path / "x", few)
    with pytest.raises(ExportError, match=r"nowhere.*No such file"):
        export_int8(tmp_path / "nowhere", tmp_path / "x", few)
    with pytest.raises(ExportError, match="in 8 bits already"):
        export_int8(narrow, tmp_path / "x", few)
    damaged = shutil.copytree(WIDE, tmp_path / "damaged")
    manifest = json.loads((damaged / "radio.json").read_text())
    manifest["sha256"][DECODER] = "0" * 64
    (damaged / "radio.json").write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match=f"{DECODER} is damaged"):
        export_int8(damaged, tmp_path / "x", few)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="is not a radio bundle"):
        export_int8(WIDE, tmp_path / "mine", few)


def test_no_training_starts_from_it(narrow):
    with pytest.raises(TrainError, match="in 8 bits; start from the bundle in float32"):
        starting_weights(str(narrow))
