"""Training of the controller: what it regresses, and the file that comes of it."""

import json

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.block_features import FEATURES
from focalloop.firmware_sim.noise import preset
from focalloop.host.adaptive.controller import Seen
from focalloop.host.adaptive.controller_file import ControllerError, load_controller
from focalloop.models.adaptive.controller_training import train_controller
from focalloop.models.adaptive.drawn_samples import DrawnSamples, draw
from focalloop.models.adaptive.palette import TILES, random_grid, shipped_map
from focalloop.models.adaptive.policy import policy_loss
from focalloop.models.adaptive.regression import FitSettings, fit
from focalloop.models.adaptive.samples import WAYS, Samples, draw_samples, has_cut
from focalloop.models.errors import TrainError


def two_tiles():
    """Errors that are 1e-4 or 1e-2 by chance under one tile, and 2e-3 under the other."""
    rng = np.random.default_rng(0)
    chance = np.where(rng.random((200, 1, 4, 4)) < 0.5, 1e-2, 1e-4)
    error = np.concatenate([chance, np.full_like(chance, 2e-3)], axis=1).astype(np.float32)
    return Samples(np.ones((200, 3, 4, 4), np.float32), error, np.ones(2, np.float32))


def learned(**changes):
    """Return what each member says of both tiles."""
    settings = FitSettings(
        **{"steps": 300, "width": 8, "learning_rate": 0.02, "members": 1} | changes
    )
    found = fit(two_tiles(), two_tiles(), settings)
    return [member(torch.ones(1, 3, 4, 4)).mean(dim=(0, 2, 3)) for member in found.members]


def test_it_regresses_the_expected_error_not_its_logarithm():
    one, other = learned(members=2)
    for predicted in (one.exp(), other.exp()):
        expected = float(two_tiles().error[:, 0].mean())
        assert predicted[0].item() == pytest.approx(expected, rel=0.2)
        assert predicted[1].item() == pytest.approx(2e-3, rel=0.2)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("learn", ["policy", "sampled-policy"])
def test_a_policy_prefers_the_tile_of_the_least_expected_error(learn):
    """Not the one that is better more often; both cost the same."""
    (preferred,) = learned(learn=learn, steps=100)
    assert preferred[1] < preferred[0] - 0.5


@pytest.mark.parametrize("drawn", [True, False])
def test_a_policy_that_runs_away_does_not_overflow(drawn):
    found = torch.zeros(1, 2, 3, 3)
    found[:, 1] = 200  # whose exponential is none
    found.requires_grad_()
    generator = torch.Generator().manual_seed(0) if drawn else None
    loss = policy_loss(found, torch.ones(1, 2, 3, 3), torch.ones(2), generator)
    loss.backward()
    assert loss.isfinite()
    assert found.grad.isfinite().all()


def test_samples_are_the_errors_under_every_tile():
    """With a reconstruction that tells how often each pixel was read, and how many windows before.

    Nothing is known before the first, and what is told adds up from window to window.
    """
    palette = shipped_map(32)
    sequences = np.zeros((1, 64, 32, 32), np.uint8)

    def counts(reads, levels, last):
        passed = last.clamp_min(0) + 0.1 * (last >= 0)
        video = (levels.float() / 16)[:, None].repeat(1, 16, 1, 1)
        video[:, :-1] += passed[:, None]
        video[:, -1] = passed
        return video

    samples = draw_samples(sequences, palette, counts, preset("paper"), seed=3)
    shown = palette.tiles[:, None] / 16 + np.where(np.arange(16) < 15, 0.3, 0)[:, None, None]
    shown[:, -1] = 0.3  # three windows passed before
    squares = (shown**2).mean(axis=(1, 2, 3))
    rows = 2 * WAYS
    assert samples.features.shape == (rows, FEATURES, 2, 2)
    expected = np.broadcast_to(squares[None, :, None, None], (rows, len(squares), 2, 2))
    np.testing.assert_allclose(samples.error, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(samples.reads, palette.tiles.mean(axis=(1, 2)))
    again = draw_samples(sequences, palette, counts, preset("paper"), seed=3)
    assert np.array_equal(samples.features, again.features)


def test_a_cut_is_found():
    rng = np.random.default_rng(0)
    one, other = rng.integers(256, size=(2, 16, 16), dtype=np.uint8).repeat(2, 1).repeat(2, 2)
    still, moving = np.stack([one] * 8), np.stack([np.roll(one, k, axis=0) for k in range(8)])
    assert has_cut(np.concatenate([still, np.stack([other] * 8)]))
    assert not has_cut(still)
    assert not has_cut(moving)


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


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Samples of two files of sequences."""
    path = sequences_file(tmp_path_factory.mktemp("data") / "sequences.npz")
    return draw([path, path], "edge-universal", preset("paper"), 0)


def test_a_training_gives_a_controller(drawn, tmp_path):
    settings, path = FitSettings(steps=3, width=8, members=2), tmp_path / "controller.npz"
    drawn.save(tmp_path / "samples.npz")
    for samples in (drawn, DrawnSamples.load(tmp_path / "samples.npz")):
        trained = train_controller(samples, settings)
        trained.save(path)
        controller = load_controller(path).fitted_to(64, 48)
        assert controller.meta["reconstruction"] == "edge-universal"
        features = drawn.validation.features[0]
        with torch.inference_mode():
            told = [member(torch.from_numpy(features[None]))[0] for member in trained.fit.members]
        np.testing.assert_allclose(
            controller.network(features), torch.stack(told).mean(dim=0), rtol=1e-4, atol=1e-4
        )
        window = Seen(np.zeros((16, 64, 48), np.float32), np.zeros((4, 3), np.uint8))
        assert controller.next_grid([window, window], 64 * 48).shape == (4, 3)


def test_all_sequences_of_all_files_count(drawn):
    assert len(drawn.training.error) == 2 * 2 * 2 * WAYS
    assert len(drawn.validation.error) == 2 * 1 * 2 * WAYS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": np.array('{"version": 1}')}, "other features than those of version"),
        ({"reads": np.ones(3, np.float32)}, "another palette"),
        ({"training_error": np.zeros((2, 3), np.float32)}, "has samples of"),
        ({"validation_features": np.zeros(3, np.float32)}, "has samples of"),
    ],
)
def test_damaged_samples_are_refused(drawn, tmp_path, change, message):
    drawn.save(tmp_path / "samples.npz")
    with np.load(tmp_path / "samples.npz") as saved:
        arrays = dict(saved)
    np.savez(tmp_path / "damaged.npz", **arrays | change)
    with pytest.raises(TrainError, match=f"{message}.*draw samples anew"):
        DrawnSamples.load(tmp_path / "damaged.npz")


def test_windows_of_one_are_no_sequences(tmp_path):
    data = sequences_file(tmp_path / "windows.npz", 16)
    with pytest.raises(TrainError, match=r"sequences of 16 frames, .* learns from 64: make some"):
        draw([data], "edge-universal", preset("paper"), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": np.array('{"version": 99}')}, "of another version"),
        ({"meta": np.array('{"version": 1, "margin": 2.0}')}, "margin"),
        ({"meta": np.array("{")}, "damaged metadata"),
        ({"weight1": np.zeros((3, 2, 2, 3, 3), np.float32)}, "layer 1 of the wrong shape"),
        ({"weight1": np.zeros((2, 32, 32, 3, 3), np.float32)}, "layer 1 of the wrong shape"),
        ({"bias0": np.full((3, 32), np.nan, np.float32)}, "not finite in layer 0"),
        ({"meta": np.array('{"version": 2, "margin": 0.1, "cautious": 11}')}, "tile 11, which"),
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


def test_a_file_of_version_1_has_one_network_and_no_cautious_tile(tmp_path):
    from focalloop.models import zoo

    with np.load(zoo.FOLDER / f"{zoo.DEFAULT_CONTROLLER}.npz") as shipped:
        arrays = dict(shipped)
    for name, values in arrays.items():
        if name.startswith(("weight", "bias")):
            arrays[name] = values[0]
    arrays["weight0"] = arrays["weight0"][:, :16]
    arrays["meta"] = np.array('{"version": 1, "margin": 0.02}')
    np.savez(tmp_path / "old.npz", **arrays)
    controller = load_controller(tmp_path / "old.npz").fitted_to(64, 48)
    assert (controller.network.inputs, controller.cautious) == (16, None)
    window = Seen(np.zeros((16, 64, 48), np.float32), np.zeros((4, 3), np.uint8))
    assert controller.next_grid([window, window], 64 * 48).shape == (4, 3)


def test_an_unknown_controller_names_those_shipped():
    with pytest.raises(ControllerError, match=r"no controller 'nothing': .*adaptive-1of16"):
        load_controller("nothing")
