"""Roads of rate allocation: what each is measured by, and in which order they must come."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.radio.allocation import (
    LOG_REWARD,
    ORACLE,
    REGRESSED,
    UNIFORM,
    WITH_BITS,
    WITHOUT_BITS,
    compared,
    markdown,
    measured,
)
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.pipeline import trained
from focalloop.models.radio.policy_run import RatePolicy, policy_rates
from focalloop.models.radio.run import Sensing


@pytest.fixture(scope="module")
def points():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    # One half of each window is flat, so there is something to allocate.
    clips = rng.integers(0, 256, (3, 16, 24, 24), np.uint8).repeat(4, 2).repeat(4, 3)
    clips[..., 48:] = 90
    sensing = Sensing(FrozenBundle())
    return measured(trained("radio-semcom", sensing), sensing, clips[1:], 2, 10.0)


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


def test_what_the_bits_are_worth_is_told_beside_what_is_saved(points):
    same = {WITHOUT_BITS: points[REGRESSED], WITH_BITS: points[REGRESSED]}
    document = compared(points | same)
    assert document[WITH_BITS]["bd_rate_of_bits"] == pytest.approx([0, 0, 0])
    table = markdown(document)
    rows = [line.split(" | ")[0] for line in table.splitlines()[2:] if line.startswith("|")]
    assert rows[0] == "| uniform"
    assert rows[-1] == "| oracle"
    assert f"{WITH_BITS} over {WITHOUT_BITS}: BD-rate +0.0 % [+0.0, +0.0]" in table


def test_other_roads_are_measured_beside_these():
    sensing = Sensing(FrozenBundle())
    network = trained("radio-semcom", sensing)
    windows = np.random.default_rng(0).integers(0, 256, (1, 16, 40, 24), np.uint8)
    policy = RatePolicy(network.settings.rates)  # without training: the first of equals

    def road(x, cells, snr_db):
        assert cells.shape[-2:] == (8, 4)  # whole locations
        return lambda budget: policy_rates(policy, x, budget)

    found = measured(network, sensing, windows, 1, 10.0, {"sampled-psnr": road})
    (symbols, _), *others = found["sampled-psnr"][48]
    # On 65,536 pixels instead of 512; the coded map of two locations takes more than they do.
    assert symbols >= 128 * 2 * 8 / 2
    assert not others


def test_a_user_gets_the_roads_of_the_shipped_ends_for_clips(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "clips.npz", clips=rng.integers(0, 256, (2, 16, 32, 32), np.uint8))
    command = [sys.executable, "-m", "benchmarks.radio.allocation", "--clips"]
    run = subprocess.run(
        [*command, tmp_path / "clips.npz", "--json"], capture_output=True, text=True, check=True
    )
    document = json.loads(run.stdout)
    assert set(document["roads"]) > {UNIFORM, WITHOUT_BITS, WITH_BITS, ORACLE, "sampled-psnr"}
    assert document["milliseconds"]["the codec's bits"] > document["milliseconds"]["RAN"] > 0
    failed = subprocess.run([*command, tmp_path / "nowhere.npz"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
