"""What is said where the noise of a sensor is not that of a bundle."""

from dataclasses import replace

import pytest

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.bundle import Bundle, BundleError
from focalloop.host.reconstruction.noise_fit import noise_note
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
