"""The codec's bits of each location, and predictions that learn from them."""

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.radio.codec import Codec
from focalloop.models.radio.codec import QUALITIES as SETTINGS
from focalloop.models.radio.codec_bits import QUALITIES, CodecBits, InformedRun
from focalloop.models.radio.pipeline import starting_weights, trained
from focalloop.models.radio.run import noisy_windows
from focalloop.models.radio.semcom_run import LinkTraining, encoded
from focalloop.models.training.run import RunSettings


@pytest.fixture(scope="module")
def bits(sensing):
    return CodecBits(sensing)


@pytest.fixture(scope="module")
def ends(sensing):
    return trained("radio-semcom", sensing)


def a_run(features, ends, sensing, data):
    settings = RunSettings(steps=2, batch=2, crop=32, warm_up_steps=1, learning_rate=5e-3)
    link = LinkTraining("allocation")
    run = InformedRun(features, link, ends.settings, sensing, data, settings)
    run.start_from(ends.state_dict())
    return run


def test_they_add_up_to_what_the_codec_writes(bits, data, sensing):
    """Of 3x4 locations: the last row shares a value of Z with none."""
    codec = Codec.load(threads=1)
    estimated, written = np.zeros(len(QUALITIES)), np.zeros(len(QUALITIES))
    for scene, _ in noisy_windows(data.validation, sensing, 4):
        cells = sensing.reads.measure(scene[:, :, :48], torch.Generator().manual_seed(0))
        found = bits(cells)
        assert found.shape == (1, len(QUALITIES), 3, 4)
        estimated += found[0].expm1().sum((1, 2)).numpy()
        reads = sensing.reads.planes(cells)[0].numpy()
        asked = (round(quality * (SETTINGS - 1)) for quality in QUALITIES)
        written += [codec.encode(reads, quality).bits for quality in asked]
    np.testing.assert_allclose(estimated, written, rtol=0.05)


def test_a_location_that_moves_takes_more(bits, sensing):
    scene = torch.full((1, 16, 64, 128), 0.4)
    moving = torch.rand(1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    scene[..., 64:] = moving.repeat_interleave(4, 2).repeat_interleave(4, 3)
    found = bits(sensing.reads.measure(scene))
    assert (found[..., 5:].amin((2, 3)) > 1 + found[..., :3].amax((2, 3))).all()


@pytest.mark.parametrize("features", ["reals", "codec"])
def test_only_the_last_part_of_the_allocation_network_learns(
    data, sensing, ends, tmp_path, features
):
    run = a_run(features, ends, sensing, data)
    (_, cells), *_ = noisy_windows(data.validation, sensing, 1)
    x, predicted = encoded(run.averaged(), cells, 10.0)
    np.testing.assert_array_equal(x, encoded(ends, cells, 10.0)[0])
    before = {name: value.clone() for name, value in run.learner.network.state_dict().items()}
    run.train(tmp_path)
    after = run.learner.network.state_dict()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all(name.startswith("allocation.informed.") for name in changed)
    assert not np.array_equal(encoded(run.averaged(), cells, 10.0)[1], predicted)
    with pytest.raises(FocalloopError, match="a road of rate allocation"):
        starting_weights(str(tmp_path))


def test_predictions_from_other_features_are_another_run(data, sensing, ends, tmp_path):
    a_run("reals", ends, sensing, data).train(tmp_path)
    with pytest.raises(FocalloopError, match="another radio"):
        a_run("codec", ends, sensing, data).train(tmp_path)
