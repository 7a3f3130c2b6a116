"""The frozen reconstruction, folded for training, against the shipped graph."""

from dataclasses import asdict

import numpy as np
import onnxruntime
import pytest
import torch

from focalloop.firmware_sim.noise import preset
from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.export.onnx_graph import to_onnx
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.radio.folded import DEFAULT_SENSING, FoldedReconstruction, FrozenBundle
from focalloop.models.radio.reads import CellReads
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def frozen():
    return FrozenBundle()


def shipped_session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(zoo.FOLDER / name / "reconstruct.onnx", options)


@pytest.mark.parametrize("name", [DEFAULT_SENSING, "edge-learned-1of16"])
def test_the_folded_network_is_the_shipped_graph_inside(name):
    frozen = FrozenBundle(name)
    tile = frozen.ratio_map.tile
    reads = CellReads(tile, preset("paper"))
    scene = torch.rand(2, 16, 64, 80, generator=torch.Generator().manual_seed(0))
    cells = reads.measure(scene, torch.Generator().manual_seed(1))
    folded = FoldedReconstruction(frozen.network, reads)
    levels = np.tile(tile, (16, 20))[None].repeat(2, 0)
    inputs = {"reads": reads.planes(cells).numpy(), "levels": levels}
    (wanted,) = shipped_session(name).run(None, inputs)
    found = folded(cells).numpy()
    # Two cells of context around the blocks, which reach six cells and the coarser grid.
    inside = np.s_[..., 28:-28, 28:-28]
    assert np.abs(found - wanted)[inside].max() < 1e-5
    assert np.abs(found - wanted).max() < 0.5


def test_the_network_is_rebuilt_from_the_graph_exactly(frozen):
    rng = np.random.default_rng(0)
    levels = np.tile(frozen.ratio_map.tile, (5, 6))[None]
    reads = rng.random((1, 8, 20, 24), np.float32) * (np.arange(8)[:, None, None] < levels[:, None])
    (wanted,) = shipped_session(DEFAULT_SENSING).run(None, {"reads": reads, "levels": levels})
    found = frozen.network(torch.from_numpy(reads), torch.from_numpy(levels)).numpy()
    assert np.abs(found - wanted).max() < 1e-5


@pytest.mark.timeout(300)  # a graph is traced
def test_a_network_that_is_exported_now_is_rebuilt_too(tmp_path):
    settings = EdgeSettings(width=16, context=8, blocks=1, coarse=1)
    torch.manual_seed(0)
    network = EdgeNetwork(settings).requires_grad_(False)
    for value in network.parameters():
        value.copy_((value + 0.03 * torch.randn_like(value)).half())
    graph, _ = to_onnx(network)
    training = {"settings": {"network": asdict(settings)}}
    path = write_tiny_bundle(tmp_path / "new", network=graph, training=training)
    rebuilt = FrozenBundle(path).network.state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(rebuilt[name], value, atol=1e-6, rtol=0)


def test_the_scene_reaches_the_video(frozen):
    reads = CellReads(frozen.ratio_map.tile, preset("paper"))
    folded = FoldedReconstruction(frozen.network, reads)
    scene = torch.full((1, 16, 32, 32), 0.4)
    assert folded(reads.measure(scene)) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("name", ["paper-learned-1of16", "edge-learned-2of16-int8", "no-such"])
def test_other_bundles_are_refused_with_what_to_do(name):
    with pytest.raises(TrainError, match="edge network with float32 weights"):
        FrozenBundle(name)
