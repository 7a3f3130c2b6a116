"""What other noise costs a network is measured beside the shipped one that is told it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import PRESETS
from focalloop.host.reconstruction.noise_cost import NoiseCost
from focalloop.models import zoo
from focalloop.models.export.int8 import loaded, measured, squared_errors
from focalloop.models.export.noise_cost import READ_NOISES, SHOT_NOISES, noise_cost
from focalloop.models.training.training_data import TrainingData
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle

MAP = RatioMap.uniform(1, (16, 16))
GAIN = 10.0
"""What the network that is told the noise multiplies by the sum of both."""


@pytest.fixture
def universal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    limits = {"s_ss": [1e-3, 2.5e-2], "s_r": [1.5e-3, 3.5e-2]}
    network = tiny_network(noise=True, factor=GAIN)
    write_tiny_bundle(tmp_path / zoo.TOLD_BUNDLE, network=network, noise_range=limits)


@pytest.mark.usefixtures("universal")
def test_losses_are_those_against_the_network_that_is_told_the_noise(training_file: Path) -> None:
    data, paper = TrainingData.load(training_file), PRESETS["paper"]
    alone = tiny_network(factor=GAIN * (paper.s_ss + paper.s_r))  # what the other one is for paper
    cost = NoiseCost.from_manifest(noise_cost(alone, MAP, data)["noise_cost"])
    assert cost.against == zoo.TOLD_BUNDLE
    assert (cost.s_ss[1], cost.s_r[2]) == pytest.approx((paper.s_ss, paper.s_r))
    losses = np.array(cost.loss_db)
    assert losses.shape == (SHOT_NOISES, READ_NOISES) == (3, 5)
    assert losses[1, 2] == 0
    assert np.count_nonzero(losses) >= losses.size - 3
    assert cost.low_db is not None
    assert cost.high_db is not None
    assert np.all(np.array(cost.low_db) <= np.array(cost.high_db))


@pytest.mark.usefixtures("universal")
def test_the_loss_is_that_of_the_mean_squared_error(training_file: Path) -> None:
    data, loud = TrainingData.load(training_file), 0.1
    alone = tiny_network(factor=GAIN * loud)
    cost = NoiseCost.from_manifest(noise_cost(alone, MAP, data)["noise_cost"])
    noise = replace(PRESETS["paper"], s_ss=cost.s_ss[1], s_r=cost.s_r[2])
    windows = data.validation
    errors = []
    for factor in (GAIN * loud, GAIN * sum(noise.shot_and_read())):
        network = loaded(tiny_network(factor=factor))
        errors.append(squared_errors(network, measured(windows, MAP, noise), windows).mean())
    assert cost.loss_db[1][2] == pytest.approx(10 * np.log10(errors[0] / errors[1]), abs=0.01)


@pytest.mark.usefixtures("universal")
@pytest.mark.parametrize("inputs", ["aperture", "noise"])
def test_a_network_with_other_inputs_is_not_measured(training_file: Path, inputs: str) -> None:
    data = TrainingData.load(training_file)
    assert noise_cost(tiny_network(**{inputs: True}), MAP, data) == {}
    assert noise_cost(tiny_network(), MAP, None) == {}
