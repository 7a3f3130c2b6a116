"""Roads of rate allocation: what each is measured by, and in which order they must come."""

import numpy as np
import pytest
import torch

from benchmarks.radio.allocation import LOG_REWARD, ORACLE, REGRESSED, UNIFORM, compared, measured
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.pipeline import trained
from focalloop.models.radio.policy_run import RatePolicy
from focalloop.models.radio.run import Sensing
from focalloop.models.training.training_data import TrainingData


@pytest.fixture(scope="module")
def points():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    # One half of each window is flat, so there is something to allocate.
    clips = rng.integers(0, 256, (3, 16, 24, 24), np.uint8).repeat(4, 2).repeat(4, 3)
    clips[..., 48:] = 90
    data = TrainingData(clips[:1], clips[1:], {})
    sensing = Sensing(FrozenBundle())
    return measured(trained("radio-semcom", sensing), sensing, data, 2, 10.0)


def test_all_roads_are_measured_at_the_same_budgets(points):
    assert set(points) == {UNIFORM, LOG_REWARD, REGRESSED, ORACLE}
    assert list(points[REGRESSED]) == list(points[ORACLE]) == [16, 32, 48, 72, 104, 144]
    assert all(len(pairs) == 2 for road in points.values() for pairs in road.values())
    # 36 locations of 72 reals, on 65,536 pixels instead of 9,216.
    assert points[UNIFORM][72][0][0] == pytest.approx(256 * 36)
    for reals, pairs in points[REGRESSED].items():
        payload = 128 * reals
        assert all(0.9 * payload < symbols < 1.3 * payload + 300 for symbols, _ in pairs)


def test_knowing_the_errors_helps_where_some_locations_are_flat(points):
    document = compared(points)
    mean, low, high = document[ORACLE]["bd_rate"]
    assert low <= mean <= high
    assert mean < -0.15
    assert document[REGRESSED]["bd_rate"][0] < -0.1
    assert "bd_rate" not in document[UNIFORM]


def test_a_policy_that_chooses_the_same_at_all_budgets_is_one_point(points):
    same = dict.fromkeys(points[REGRESSED], points[UNIFORM][48])
    document = compared({UNIFORM: points[UNIFORM], "sampled-psnr": same})
    assert len(document["sampled-psnr"]["points"]) == 1
    assert "bd_rate" not in document["sampled-psnr"]


def test_policies_are_a_road(tmp_path):
    sensing = Sensing(FrozenBundle())
    network = trained("radio-semcom", sensing)
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32), np.uint8)
    data = TrainingData(clips[:1], clips[1:], {})
    policy = RatePolicy(network.settings.rates)  # without training: the first of equals
    found = measured(network, sensing, data, 1, 10.0, {"sampled-psnr": policy})
    assert [symbols for symbols, _ in found["sampled-psnr"][48]] == pytest.approx(
        [64 * 4 * 8 / 2], abs=200
    )
