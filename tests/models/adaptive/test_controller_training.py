"""Training of the controller: what it regresses, and the file that comes of it."""

import json

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.noise import preset
from focalloop.host.adaptive.controller import Seen
from focalloop.host.adaptive.controller_file import ControllerError, load_controller
from focalloop.host.adaptive.network import BlockNetwork
from focalloop.models.adaptive.controller_training import train_controller
from focalloop.models.adaptive.palette import TILES, shipped_map
from focalloop.models.adaptive.regression import ErrorNetwork, FitSettings, fit
from focalloop.models.adaptive.samples import Samples, draw_samples, random_grid
from focalloop.models.errors import TrainError


def test_it_regresses_the_expected_error_not_its_logarithm():
    """Errors that are 1e-4 or 1e-2 by chance, under one tile; 1e-4 under the other."""
    generator = torch.Generator().manual_seed(0)
    tile = torch.randint(2, (200, 4, 4), generator=generator)
    surprise = torch.randint(2, (200, 4, 4), generator=generator).bool()
    error = torch.where(tile == 1, 1e-4, torch.where(surprise, 1e-2, 1e-4))
    samples = Samples(torch.ones(200, 3, 4, 4), tile, error)
    found = fit(samples, samples, 2, FitSettings(steps=300, width=8, learning_rate=0.02))
    predicted = found.network(torch.ones(1, 3, 4, 4)).exp().mean(dim=(0, 2, 3))
    assert predicted[0].item() == pytest.approx(float(error[tile == 0].mean()), rel=0.2)
    assert predicted[1].item() == pytest.approx(1e-4, rel=0.5)


def test_the_host_computes_what_was_trained():
    torch.manual_seed(0)
    network = ErrorNetwork(5, 3, 6)
    layers = tuple(
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network.layers
    )
    features = torch.randn(1, 5, 6, 7)
    with torch.inference_mode():
        expected = network(features)[0].numpy()
    np.testing.assert_allclose(BlockNetwork(layers)(features[0].numpy()), expected, atol=1e-5)


def test_samples_are_the_errors_under_the_tiles_that_blocks_had():
    """With a reconstruction that tells how often each pixel was read."""
    palette = shipped_map(32)
    sequences = np.zeros((2, 64, 32, 32), np.uint8)

    def counts(reads, levels):
        return (levels.float() / 8)[:, None].expand(-1, 16, -1, -1)

    samples = draw_samples(sequences, palette, counts, preset("paper"), seed=3)
    squares = torch.tensor((palette.tiles / 8.0) ** 2).mean(dim=(1, 2))
    assert samples.features.shape == (12, 16, 2, 2)
    torch.testing.assert_close(samples.error.double(), squares[samples.tile], rtol=1e-4, atol=1e-6)
    again = draw_samples(sequences, palette, counts, preset("paper"), seed=3)
    assert torch.equal(samples.features, again.features)


def test_random_grids_use_the_whole_palette():
    rng, palette = np.random.default_rng(0), shipped_map(64)
    grids = [random_grid(rng, palette) for _ in range(50)]
    assert {grid.shape for grid in grids} == {(4, 4)}
    assert set(np.unique(grids)) == set(range(len(TILES)))


def sequences_file(path, frames=64):
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 200, size=(3, 1, 40, 40)).astype(np.uint8)
    clips = np.stack([np.roll(noise[:, 0], slot // 4, axis=2) for slot in range(frames)], axis=1)
    np.savez(
        path,
        clips=clips,
        validation=np.array([True, False, False]),
        recipe=np.array(json.dumps({"settings": {}, "sources": []})),
    )
    return path


def test_a_training_gives_a_controller(tmp_path):
    data, path = sequences_file(tmp_path / "sequences.npz"), tmp_path / "controller.npz"
    made = [
        train_controller(data, "edge-universal", preset("paper"), FitSettings(steps=3, width=8))
        for _ in range(2)
    ]
    made[0].save(path)
    controller = load_controller(path).fitted_to(64, 48)
    assert controller.meta["reconstruction"] == "edge-universal"
    window = Seen(np.zeros((16, 64, 48), np.float32), np.zeros((4, 3), np.uint8))
    assert controller.next_grid(window, window, 64 * 48).shape == (4, 3)
    for one, other in zip(*(list(m.fit.network.parameters()) for m in made), strict=True):
        assert torch.equal(one, other)


def test_windows_of_one_are_no_sequences(tmp_path):
    data = sequences_file(tmp_path / "windows.npz", 16)
    with pytest.raises(TrainError, match=r"sequences of 16 frames, .* learns from 64: make some"):
        train_controller(data, "edge-universal", preset("paper"), FitSettings(steps=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": np.array('{"version": 99}')}, "of another version"),
        ({"meta": np.array('{"version": 1, "margin": 2.0}')}, "margin"),
        ({"meta": np.array("{")}, "damaged metadata"),
        ({"weight1": np.zeros((2, 2, 3, 3), np.float32)}, "layer 1 of the wrong shape"),
        ({"bias0": np.full(32, np.nan, np.float32)}, "not finite in layer 0"),
        ({"palette": np.zeros(3, np.uint8)}, "palette"),
    ],
)
def test_a_damaged_controller_is_refused(tmp_path, change, message):
    from focalloop.models import zoo

    with np.load(zoo.FOLDER / f"{zoo.DEFAULT_CONTROLLER}.npz") as shipped:
        arrays = dict(shipped)
    np.savez(tmp_path / "damaged.npz", **arrays | change)
    with pytest.raises(ControllerError, match=message):
        load_controller(tmp_path / "damaged.npz")


def test_an_unknown_controller_names_those_shipped():
    with pytest.raises(ControllerError, match=r"no controller 'nothing': .*adaptive-1of16"):
        load_controller("nothing")
