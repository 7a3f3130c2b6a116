"""Round trips: known noise in, the same noise out, inside its intervals."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cramer_rao import cramer_rao
from focalloop.calibration import CalibrationError, Level, Readings, Settings, calibrate
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from tests.support.made_readings import (
    BLACK_DN,
    FULL_SCALE_DN,
    LIGHT,
    S_R,
    S_SS,
    SIGNALS,
    make_readings,
)

DISTURBED = {
    "prnu": 0.01,
    "dsnu_dn": 1.0,
    "column_dn": 0.5,
    "row_noise_dn": 0.3,
    "frame_offset_dn": 0.3,
    "flicker": 0.005,
}
SEVERAL = 8


def scores(found, name, truth):
    """Deviations of several estimates, in half-widths of their intervals."""
    estimates = [one.estimates[name] for one in found]
    return np.array([(e.value - truth) / (np.ptp(e.ci95) / 2) for e in estimates])


@pytest.fixture(scope="module")
def disturbed():
    return [calibrate(make_readings(seed, **DISTURBED)) for seed in range(SEVERAL)]


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("s_ss", S_SS),
        ("s_r", S_R),
        ("gain_dn_per_electron", S_SS**2 * FULL_SCALE_DN),
        ("black_level_dn", BLACK_DN),
        ("dark_noise_dn", np.sqrt((S_R * FULL_SCALE_DN) ** 2 + 0.09 + 1 / 12)),
        ("dsnu_pixel_dn", 1.0),
        ("dsnu_column_dn", 0.5),
        ("dsnu_dn", np.hypot(1.0, 0.5)),
        ("prnu", 0.01),
        ("row_noise_dn", 0.3),
    ],
)
def test_estimates_hold_the_truth(disturbed, name, truth):
    found = scores(disturbed, name, truth)
    assert (np.abs(found) < 2.5).all()  # almost five standard errors
    assert abs(found.mean()) < 2.5 / np.sqrt(SEVERAL)


def test_the_offset_of_frames_is_measured(disturbed):
    # Three degrees of freedom a trial: the mean of the variances tells more than each.
    variances = [one.estimates["frame_offset_dn"].value ** 2 for one in disturbed]
    assert 0.03 < np.mean(variances) < 0.25


def test_spread_is_near_the_bound():
    bound = cramer_rao(SIGNALS, 4, 64 * 64, s_ss=S_SS, s_r=S_R, full_scale_dn=FULL_SCALE_DN)
    found = [calibrate(make_readings(seed)).estimates for seed in range(20)]
    for name, truth, least in (("s_ss", S_SS, bound.s_ss), ("s_r", S_R, bound.s_r)):
        errors = np.array([one[name].value / truth - 1 for one in found])
        # Three standard errors of a root mean square of 20.
        assert np.sqrt(np.mean(errors**2)) < 1.5 * least


def test_the_profile_runs_the_emulator(disturbed):
    profile = disturbed[0].profile
    assert (profile.bits, profile.full_scale_dn) == (8, FULL_SCALE_DN)
    assert profile.prnu == pytest.approx(0.01, rel=0.1)
    assert profile.row_noise == pytest.approx(0.3 / FULL_SCALE_DN, rel=0.2)
    assert profile.column_offset == pytest.approx(0.5 / FULL_SCALE_DN, rel=0.4)
    emulator = Emulator(RatioMap.uniform(4, (64, 64)), profile)
    codes = emulator.read_out(np.full((16, 64, 64), 0.5, np.float32))
    assert codes.mean() == pytest.approx(BLACK_DN + FULL_SCALE_DN / 8, abs=1.5)


def test_the_document_is_a_noise_profile(disturbed):
    document = json.loads(json.dumps(disturbed[0].as_dict(), allow_nan=False))
    assert NoiseProfile.from_dict(document) == disturbed[0].profile
    s_ss = document["estimates"]["s_ss"]
    assert s_ss["ci95"][0] < s_ss["value"] < s_ss["ci95"][1]
    assert document["dng_noise_profile"] == [s_ss["value"] ** 2, disturbed[0].profile.s_r ** 2]
    assert document["fit"]["dof"] == len(SIGNALS) - 2
    assert document["provenance"]["made"] == 0
    covariance = np.array(document["covariance"]["values"])
    half = np.ptp(s_ss["ci95"]) / 2
    assert np.sqrt(covariance[0, 0]) == pytest.approx(half / 1.96, rel=0.05)


def test_the_emulator_s_own_captures_give_its_profile_back():
    board = NoiseProfile(
        name="board",
        bits=8,
        black_level_dn=BLACK_DN,
        full_scale_dn=FULL_SCALE_DN,
        shot="poisson",
        s_ss=S_SS,
        s_r=S_R,
        dark_signal=0.05,
    )
    levels = []
    for number, (span, light) in enumerate([(16, 0.0), (2, 0.0), (16, 0.8), (8, 0.8), (2, 0.8)]):
        emulator = Emulator(RatioMap.uniform(16 // span, (64, 64)), board, seed=3)
        scene = np.full((6, 16, 64, 64), light, np.float32)
        planes = emulator.plan.planes(emulator.read_out(scene, first_window=100 * number))
        codes = planes[:, : 16 // span].reshape(-1, 64, 64)[:6]
        levels.append(Level(codes, light == 0, float(span), light or None))
    found = calibrate(Readings(tuple(levels), 8, FULL_SCALE_DN, BLACK_DN, 16, "slots", {}))
    for name, truth in (
        ("s_ss", S_SS),
        ("s_r", S_R),
        ("black_level_dn", BLACK_DN),
        ("dark_signal", 0.05),
    ):
        assert abs(scores([found], name, truth)[0]) < 2.5, name
    assert found.profile.dark_signal == found.estimates["dark_signal"].value


def test_tiled_spans_give_the_same_estimates_as_whole_frames():
    whole = make_readings(5, shape=(96, 96), prnu=0.01)
    quadrant = (np.arange(96)[:, None] % 2) * 2 + np.arange(96) % 2
    tiled = tuple(
        replace(level, pixels=None if level.dark else quadrant == index % 4)
        for index, level in enumerate(whole.levels)
    )
    found = calibrate(replace(whole, levels=tiled))
    assert abs(scores([found], "s_ss", S_SS)[0]) < 2.5
    assert abs(scores([found], "s_r", S_R)[0]) < 2.5
    assert abs(scores([found], "prnu", 0.01)[0]) < 2.5


def test_a_dark_level_clipped_at_0_is_measured_without_bias():
    found = [
        calibrate(make_readings(seed, black_dn=0.0, dsnu_dn=1.0, row_noise_dn=0.3))
        for seed in range(SEVERAL)
    ]
    for name, truth in (("s_ss", S_SS), ("s_r", S_R), ("black_level_dn", 0.0), ("dsnu_dn", 1.0)):
        assert abs(scores(found, name, truth).mean()) < 2.5 / np.sqrt(SEVERAL), name
    assert np.mean([one.estimates["s_r"].value for one in found]) == pytest.approx(S_R, rel=0.01)
    assert any("clipped at code 0" in text for text in found[0].warnings)


def test_noise_under_half_a_code_is_measured_without_bias():
    signals = (0.0, 0.001, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 0.8)
    sensor = {"bits": 12, "full_scale_dn": 3800.0, "black_dn": 10.3, "s_ss": 4e-3}
    s_r = 0.35 / 3800
    found = [
        calibrate(make_readings(seed, signals, 2, **sensor, s_r=s_r, dsnu_dn=0.15, prnu=0.003))
        for seed in range(SEVERAL)
    ]
    for name, truth in (("s_ss", 4e-3), ("s_r", s_r), ("dsnu_dn", 0.15), ("prnu", 0.003)):
        assert abs(scores(found, name, truth).mean()) < 2.5 / np.sqrt(SEVERAL), name


@pytest.mark.parametrize("protocol", ["weighted", "emva"])
def test_a_dark_variance_below_emva_s_least_is_resolved_all_the_same(protocol):
    signals = tuple(0.08 * k for k in range(9))
    readings = make_readings(
        4, signals, bits=12, full_scale_dn=3800.0, black_dn=10.3, s_ss=4e-3, s_r=0.3 / 3800,
        dsnu_dn=0.3, spans=[16.0] * 9,
    )  # fmt: skip
    found = calibrate(readings, Settings(protocol=protocol))
    assert abs(scores([found], "s_r", 0.3 / 3800)[0]) < 2.5
    assert abs(scores([found], "dark_noise_dn", np.sqrt(0.09 + 1 / 12))[0]) < 2.5
    assert any("below 0.24 DN²" in text for text in found.warnings)


def test_the_uncertainty_of_the_full_scale_is_carried_on():
    readings = make_readings(1)
    sure, unsure = (
        calibrate(replace(readings, full_scale_relative_error=error)) for error in (0.0, 0.02)
    )
    half_of = {
        name: [np.ptp(one.estimates[name].ci95) / 2 for one in (sure, unsure)]
        for name in ("s_ss", "s_r", "gain_dn_per_electron")
    }
    for name, share in (("s_ss", 0.01), ("s_r", 0.02)):
        extra = 1.96 * share * sure.estimates[name].value
        assert half_of[name][1] == pytest.approx(np.hypot(half_of[name][0], extra), rel=0.01)
    assert half_of["gain_dn_per_electron"][0] == half_of["gain_dn_per_electron"][1]
    common = [0.01 * sure.estimates["s_ss"].value, 0.02 * sure.estimates["s_r"].value]
    np.testing.assert_allclose(unsure.covariance - sure.covariance, np.outer(common, common))


def test_saturated_levels_are_left_out_and_the_full_well_is_found():
    signals = (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 1.1, 1.3)
    found = calibrate(
        make_readings(2, signals, full_well=0.9, bits=10, full_scale_dn=600.0, prnu=0.01)
    )
    assert [level.used for level in found.levels] == [True] * 6 + [False] * 2
    assert all(level.why_not for level in found.levels[6:])
    assert found.profile.full_well == pytest.approx(0.9, rel=0.005)
    low, high = found.estimates["saturation_dn"].ci95
    assert low <= BLACK_DN + 0.9 * 600 <= high + 1
    assert abs(scores([found], "s_ss", S_SS)[0]) < 2.5


def test_emva_1288_s_own_fit_agrees_with_ours():
    signals = tuple(LIGHT * k / 10 for k in range(11))
    readings = make_readings(6, signals, 2, row_noise_dn=0.4, spans=[16.0] * 11)
    ours, standard = (calibrate(readings, Settings(protocol=p)) for p in ("weighted", "emva"))
    gain = S_SS**2 * FULL_SCALE_DN
    assert abs(scores([standard], "gain_dn_per_electron", gain)[0]) < 2.5
    assert abs(scores([standard], "s_r", S_R)[0]) < 2.5
    dark = np.sqrt((S_R * FULL_SCALE_DN) ** 2 + 0.16 + 1 / 12)
    assert abs(scores([standard], "dark_noise_dn", dark)[0]) < 2.5
    width = [np.ptp(one.estimates["gain_dn_per_electron"].ci95) for one in (ours, standard)]
    assert width[0] < width[1]
    assert [level.used for level in standard.levels].count(False) == 2  # above 70 % of the codes


def test_quantum_efficiency_needs_photons():
    signals = (0.0, 0.2, 0.4, 0.6, 0.8)
    readings = make_readings(7, signals)
    photons = tuple(
        replace(level, light=None if level.dark else signal / S_SS**2 / 0.6)
        for level, signal in zip(readings.levels, signals, strict=True)
    )
    assert "quantum_efficiency" not in calibrate(readings).estimates
    found = calibrate(replace(readings, levels=photons, exposure_unit="s", slots=None))
    assert abs(scores([found], "quantum_efficiency", 0.6)[0]) < 2.5


def test_the_curves_to_draw_are_those_that_were_measured(disturbed):
    one = disturbed[0]
    quantiles = one.read_noise_quantiles
    inner = np.abs(quantiles.x) < 2
    np.testing.assert_allclose(quantiles.y[inner], quantiles.x[inner], atol=0.15)
    assert one.offset.values.std() == pytest.approx(np.hypot(1.1, 0.8), rel=0.1)
    assert one.offset.rows.shape == one.gain.columns.shape == (64,)
    assert [point.used for point in one.linearity] == [True] * 5
    expected = 0.5 / np.hypot(S_R, S_SS * np.sqrt(0.5))
    assert np.interp(0.5, one.snr.x, one.snr.y) == pytest.approx(expected, rel=0.05)


def test_levels_of_a_tiled_map_count_the_offsets_of_a_slot_once():
    """Level 4 is read with every second read of level 8, so it says nothing more of offsets."""
    plain = make_readings(
        signals=(0.0, 0.45, 0.9), reads=8, row_noise_dn=0.5, frame_offset_dn=1.0
    ).levels
    eights = np.indices((64, 64)).sum(0) % 2 == 0
    most = tuple(replace(level, pixels=eights) for level in plain)
    fours = tuple(replace(at, reads=at.reads[1::2], pixels=~eights, name="4") for at in plain)
    alone, tiled = (
        calibrate(replace(make_readings(), levels=levels)).estimates
        for levels in (most, most + fours)
    )
    for name in ("frame_offset_dn", "row_noise_dn"):
        assert tiled[name].ci95 == pytest.approx(alone[name].ci95, rel=0.02), name


STEPS = (0.0, 0.0, 0.0, 0.0, LIGHT, LIGHT / 2, LIGHT / 4, LIGHT / 8, 0.75 * LIGHT)
SPANS = (16.0, 8.0, 4.0, 2.0, 16.0, 8.0, 4.0, 2.0, 12.0)


@pytest.mark.parametrize("seed", range(8))
def test_from_the_first_light_on_there_is_a_fit(seed):
    readings = make_readings(seed, STEPS, shape=(24, 24), spans=SPANS)
    widths = []
    for count in range(1, len(STEPS) + 1):
        part = replace(readings, levels=readings.levels[:count])
        if count <= 4:
            with pytest.raises(CalibrationError, match="all levels are dark"):
                calibrate(part)
            continue
        estimate = calibrate(part).estimates["s_r"]
        assert estimate.value == pytest.approx(S_R, rel=0.1)
        widths.append(estimate.ci95[1] - estimate.ci95[0])
    assert widths[-1] < widths[0]


@pytest.mark.parametrize("seed", range(8))
def test_flat_fields_that_no_light_reached_are_refused(seed):
    readings = make_readings(seed, STEPS[:4], shape=(24, 24), frame_offset_dn=0.4)
    dark, *others = readings.levels
    flats = [replace(level, dark=False, light=LIGHT) for level in others]
    with pytest.raises(CalibrationError, match="no two levels of different light"):
        calibrate(replace(readings, levels=(dark, *flats)))
