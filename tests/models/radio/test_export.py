"""Exported radio networks: what ONNX Runtime computes, and what the host reads back."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.models.errors import ExportError
from focalloop.models.radio.export import DECODER, ENCODER, export_semcom, score_entry
from focalloop.models.radio.pipeline import starting_weights
from focalloop.models.radio.semcom import SemComSettings
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.run import RunSettings

SMALL = SemComSettings((8, 24, 72), TransformSettings(72, (8, 12, 16), (1, 1, 1)))


@pytest.fixture(scope="module")
def run(data, sensing, transform):
    settings = RunSettings(steps=3, batch=2, crop=32, warm_up_steps=1)
    run = SemComRun(transform, LinkTraining(), SMALL, sensing, data, settings)
    for _ in range(3):
        run.step()
        run.progress.step += 1
    emphasis = run.learner.average["decoder.log_emphasis"]
    emphasis.copy_(torch.linspace(-0.1, 0.1, emphasis.numel()).view_as(emphasis))
    return run


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "radio-small"
    export_semcom(run.averaged(), run.sensing, run.metadata(), folder)
    return folder


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "radio-small")


def session(bundle, name):
    return onnxruntime.InferenceSession(RadioBundle.load(bundle).network(name))


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 4, 3)])
def test_both_ends_compute_what_was_trained(run, bundle, sensing, size):
    count, rows, columns = size
    network = run.averaged()
    scene = torch.rand(count, 16, 16 * rows, 16 * columns)
    cells = sensing.reads.measure(scene, torch.Generator().manual_seed(0))
    snr_db = np.full(count, 12.0, np.float32)
    reads = sensing.reads.planes(cells).numpy()
    x, log_error, emphasis = session(bundle, ENCODER).run(None, {"reads": reads, "snr_db": snr_db})
    wanted = network.encoder(cells, torch.from_numpy(snr_db))
    # Weights are stored in half precision.
    assert np.abs(x - wanted.numpy()).max() < 0.02
    assert log_error.shape == (count, 3, rows, columns)
    np.testing.assert_allclose(emphasis[-1], network.decoder.emphasis(torch.arange(3)), rtol=1e-3)
    rate_map = np.random.default_rng(0).integers(0, 3, (count, rows, columns)).astype(np.uint8)
    sent = np.arange(72)[:, None, None] < np.array(SMALL.rates)[rate_map][:, None]
    inputs = {"received": x * sent, "noise": np.full_like(x, 0.01), "rate_map": rate_map}
    (found,) = session(bundle, DECODER).run(None, inputs)
    rebuilt = network.decoder(*(torch.from_numpy(value) for value in inputs.values()))
    assert np.abs(found - sensing.reads.planes(rebuilt).numpy()).max() < 0.01


def test_a_training_can_start_from_a_bundle(run, bundle):
    settings, weights = starting_weights(str(bundle))
    assert settings == SMALL
    wanted = run.averaged().state_dict()
    assert weights.keys() == wanted.keys()
    for name in ("decoder.log_emphasis", "decoder.log_variance", "encoder.log_gain"):
        torch.testing.assert_close(weights[name], wanted[name], atol=2e-3, rtol=1e-3)


def test_the_manifest_says_what_it_is(bundle, run):
    loaded = RadioBundle.load(bundle)
    assert loaded.name == "radio-small"
    assert loaded.kind == loaded.method == "semcom"
    assert loaded.rates == (8, 24, 72)
    assert loaded.location == 16
    assert loaded.sensing == "edge-learned-2.5of16"
    assert loaded.meta["training"]["result"]["step"] == 3
    assert loaded.meta["export"]["largest_difference"] < 1e-4
    loaded.check_fits(run.sensing.bundle.ratio_map.tiled_to(34, 50))


def test_another_map_is_refused(bundle):
    with pytest.raises(RadioError, match="under the map of edge-learned"):
        RadioBundle.load(bundle).check_fits(RatioMap.uniform(2, (16, 16)))


def test_another_kind_is_refused(bundle):
    with pytest.raises(RadioError, match="of kind codec is needed"):
        RadioBundle.load(bundle, ("codec",))


@pytest.mark.parametrize("name", [ENCODER, DECODER])
def test_a_damaged_network_is_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RadioError, match="is not the file of this bundle"):
        RadioBundle.load(copy)


@pytest.mark.parametrize("name", [ENCODER, "radio.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(RadioError, match=f"{name} cannot be read"):
        RadioBundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 9}, "schema 9"),
        ({"rates": [8, 8]}, "numbers that ascend"),
        ({"rates": ["8"]}, "numbers that ascend"),
        ({"sensing": {}}, "needs str as 'bundle'"),
        ({"location": 0}, "location of 0 pixels"),
        ({"location": "16"}, "needs int as 'location'"),
        ({"sha256": {"../x": ""}}, "not a plain file name"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(copy, change, message):
    meta = json.loads((copy / "radio.json").read_text()) | change
    (copy / "radio.json").write_text(json.dumps(meta))
    with pytest.raises(RadioError, match=message):
        RadioBundle.load(copy)


def test_names_that_are_not_there_list_what_is():
    with pytest.raises(RadioError, match="give a folder, or a shipped name"):
        RadioBundle.load("no-such-bundle")


def test_export_replaces_bundles_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ExportError, match="is not a radio bundle"):
        export_semcom(run.averaged(), run.sensing, run.metadata(), tmp_path / "mine")


def test_scores_keep_the_command_that_printed_them():
    printed = {"method": "semcom", "channel": "awgn", "snr": 10.0, "psnr": 25.5, "ssim": 0.8}
    entry = score_entry("clips/set.npz --symbols 8600", printed | {"symbols": 8598.0, "clips": []})
    assert entry["set"] == "set.npz"
    assert entry["command"] == "focalloop radio send clips/set.npz --symbols 8600 --json"
    assert entry["symbols"] == 8598.0
    with pytest.raises(ExportError, match="not what"):
        score_entry("set.npz", printed)
