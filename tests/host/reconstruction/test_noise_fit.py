"""What is said where the noise of a sensor is not that of a bundle."""

import math
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.bundle import Bundle, BundleError
from focalloop.host.reconstruction.noise_cost import NoiseCost
from focalloop.host.reconstruction.noise_fit import noise_note, told_note
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle

PAPER = preset("paper")
RANGE = {"s_ss": [1e-3, 2.5e-2], "s_r": [1.5e-3, 3.5e-2]}


@pytest.fixture
def plain(tmp_path):
    return Bundle.load(write_tiny_bundle(tmp_path / "tiny"))


@pytest.fixture
def told(tmp_path):
    network = tiny_network(noise=True)
    return Bundle.load(write_tiny_bundle(tmp_path / "told", network=network, noise_range=RANGE))


def scaled(factor):
    return replace(PAPER, name="mine", s_ss=PAPER.s_ss * factor, s_r=PAPER.s_r * factor)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_nothing_is_said_of_the_noise_that_a_network_learned_from(plain, factor):
    assert noise_note(plain, scaled(factor)) is None


def test_a_network_for_other_noise_is_told_apart(plain):
    assert "3.0 times as noisy as those that tiny learned from" in noise_note(plain, scaled(3))
    quiet = noise_note(plain, scaled(0.25))
    assert "tiny learned from reads 4.0 times as noisy as those of mine" in quiet
    assert "with noise, unlike those of ideal" in noise_note(plain, preset("ideal"))


def test_a_fixed_pattern_counts_as_noise_until_it_is_corrected(plain):
    assert "of scamp5 are" in noise_note(plain, preset("scamp5"))
    assert "as those of scamp5, so it smooths" in noise_note(plain, corrected(preset("scamp5")))


def test_a_network_that_is_told_the_noise_suits_all_of_its_range(told):
    assert all(noise_note(told, scaled(factor)) is None for factor in (0.25, 1, 4))
    edge = replace(PAPER, name="mine", s_r=RANGE["s_r"][1] * 1.01)
    assert noise_note(told, edge) is None  # figures that read the same


def test_beyond_the_range_the_nearest_noise_is_named(told):
    note = noise_note(told, replace(PAPER, name="mine", s_ss=0.05, s_r=1e-3))
    assert "tiny was trained for noise of s_ss 0.001 to 0.025, s_r 0.0015 to 0.035" in note
    assert "of mine, s_ss 0.05 is above that, and 0.025 is taken instead" in note
    assert "s_r 0.001 is below that, and 0.0015 is taken instead" in note


@pytest.mark.parametrize(
    "wrong",
    [3, {"s_ss": [0.1, 0.2]}, RANGE | {"s_r": [0.2, 0.1]}, RANGE | {"s_r": [0.0, 0.1]},
     RANGE | {"s_r": [0.1]}, RANGE | {"s_r": ["0.1", "0.2"]}, RANGE | {"s_r": [0.1, 1e999]}],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(BundleError, match="noise_range"):
        Bundle.load(write_tiny_bundle(tmp_path / "wrong", noise_range=wrong))


COST = {
    "against": "edge-universal-int8",
    "s_ss": [1e-3, 5e-3, 2.5e-2],
    "s_r": [1.5e-3, 3.5e-2],
    "loss_db": [[0.5, 1.5], [-0.2, 2.0], [1.0, 3.0]],
}


@pytest.fixture
def measured(tmp_path):
    return Bundle.load(write_tiny_bundle(tmp_path / "measured", noise_cost=COST))


def test_the_cost_of_other_noise_is_said_in_decibels(measured):
    loud = noise_note(measured, replace(PAPER, name="mine", s_ss=2.5e-2, s_r=3.5e-2))
    assert loud.endswith(
        "; this costs about 3.0 dB against edge-universal-int8, which is told the noise"
    )
    calm = noise_note(measured, replace(PAPER, name="mine", s_ss=5e-3, s_r=1.5e-3))
    assert calm.endswith("; it is still no worse than edge-universal-int8, which is told the noise")
    assert noise_note(measured, PAPER) is None


def test_a_cost_lies_between_the_measured_ones_by_the_logarithm_of_the_noise(measured):
    at = measured.noise_cost.at
    assert at(1e-3, 1.5e-3) == pytest.approx(0.5)
    assert at(math.sqrt(1e-3 * 5e-3), math.sqrt(1.5e-3 * 3.5e-2)) == pytest.approx(0.95)
    assert at(1.0, 1.0) == pytest.approx(3.0)
    assert at(0.0, 0.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"against": 1},
        {"s_ss": [5e-3, 1e-3, 2.5e-2]},
        {"s_ss": [0.0, 1e-3, 2.5e-2]},
        {"s_r": "ab"},
        {"loss_db": [[0.5, 1.5], [0.0, 2.0]]},
        {"loss_db": [[0.5], [0.0], [1.0]]},
        {"loss_db": [[0.5, "1"], [0.0, 2.0], [1.0, 3.0]]},
        {"loss_db": 3},
        {"low_db": COST["loss_db"]},
        {"low_db": COST["loss_db"], "high_db": [[0.5, 1.5], [0.0, 2.0]]},
        {"more": 1},
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, changes):
    with pytest.raises(BundleError, match="'noise_cost' is no table of losses"):
        Bundle.load(write_tiny_bundle(tmp_path / "wrong", noise_cost=COST | changes))


def test_the_cost_names_the_scenes_that_it_depends_on(tmp_path):
    spread = {"low_db": [[0.0, 0.5]] * 3, "high_db": [[2.5, 8.0]] * 3}
    measured = Bundle.load(write_tiny_bundle(tmp_path / "spread", noise_cost=COST | spread))
    loud = noise_note(measured, replace(PAPER, name="mine", s_ss=2.5e-2, s_r=3.5e-2))
    assert "about 3.0 dB (0.5 to 8.0 in eight of ten validation scenes) against" in loud


def test_a_network_that_is_told_the_noise_is_named_where_it_is_better(measured, plain, told):
    loud = replace(PAPER, name="mine", s_ss=2.5e-2, s_r=3.5e-2)
    assert measured.told_instead(loud) == "edge-universal-int8"
    assert "that of mine would cost tiny about 3.0 dB" in told_note(measured, loud)
    calm = replace(PAPER, name="mine", s_ss=5e-3, s_r=1.5e-3)
    assert measured.told_instead(calm) is None
    assert told_note(measured, calm) is None
    assert measured.told_instead(PAPER) is not None  # better, but nothing to explain
    assert told_note(measured, PAPER) is None
    assert plain.told_instead(loud) is told.told_instead(loud) is None


def test_a_network_that_is_not_shipped_is_not_named(tmp_path):
    cost = COST | {"against": "nowhere"}
    other = Bundle.load(write_tiny_bundle(tmp_path / "other", noise_cost=cost))
    assert other.told_instead(replace(PAPER, s_ss=2.5e-2, s_r=3.5e-2)) is None


def test_a_cost_stays_flat_where_the_network_learned():
    steep = NoiseCost("told", (5e-3,), (1e-3, 2e-3, 4e-3, 8e-3), ((0.1, 0.0, 4.0, 8.0),))
    assert 0 <= steep.at(5e-3, 2.4e-3) < 0.6  # on the straight line 1.05
    along = [steep.at(5e-3, s_r) for s_r in np.geomspace(2e-3, 1e-2, 20)]
    assert along == sorted(along)
    assert along[-1] == pytest.approx(8.0)
    assert NoiseCost("told", (5e-3,), (1e-3,), ((0.3,),)).at(1.0, 1.0) == pytest.approx(0.3)
