"""The response: found from spans of unknown light, with intervals, and straight where it is."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration import calibrate
from tests.support.made_readings import FULL_SCALE_DN, LIGHT, S_R, S_SS, SIGNALS, make_readings

GAIN = S_SS**2 * FULL_SCALE_DN
BENDS = [(0.03, 0.0), (-0.05, 0.0), (-0.02, -0.03)]
SEVERAL = 12


def scores(found, name, truth):
    """Deviations of several estimates, in half-widths of their intervals."""
    estimates = [one.estimates[name] for one in found]
    return np.array([(e.value - truth) / (np.ptp(e.ci95) / 2) for e in estimates])


@pytest.fixture(scope="module", params=BENDS, ids=str)
def bent(request):
    bend, bend_cubic = request.param
    boards = [
        calibrate(make_readings(seed, bend=bend, bend_cubic=bend_cubic)) for seed in range(SEVERAL)
    ]
    return bend, bend_cubic, boards


def test_estimates_of_bent_boards_hold_the_truth(bent):
    bend, bend_cubic, boards = bent
    for name, truth in (
        ("gain_dn_per_electron", GAIN),
        ("s_ss", S_SS),
        ("s_r", S_R),
        ("bend", bend),
        ("bend_cubic", bend_cubic),
        ("response_bend", bend + bend_cubic),
    ):
        found = scores(boards, name, truth)
        assert (np.abs(found) < 2.5).all(), name  # almost five standard errors
        assert abs(found.mean()) < 2.5 / np.sqrt(SEVERAL), name


def test_the_profile_has_the_bend_and_nothing_is_wrong_with_that(bent):
    bend, bend_cubic, boards = bent
    e = np.linspace(0, LIGHT, 10)
    for one in boards:
        assert one.response.bent
        truth = e * (1 + bend * e + bend_cubic * e**2)
        np.testing.assert_allclose(one.profile.respond(e), truth, atol=3e-3)
        assert one.fit.p_value > 1e-4
    assert sum(bool(one.warnings) for one in boards) <= 1


def test_straight_boards_stay_straight_and_their_gain_is_as_sure_as_without_a_curve():
    boards = [calibrate(make_readings(seed)) for seed in range(SEVERAL)]
    straight = [one for one in boards if one.profile.response.straight]
    assert len(straight) >= SEVERAL - 3  # one of 20 is bent by chance
    for one in straight:
        levels = [level for level in one.levels if level.dark or level.exposure == 16]
        assert len(levels) == 2
        low, high = one.estimates["response_bend"].ci95
        assert low < 0.0015
        assert high > -0.0015
        # The standard error of the photon transfer line alone, whatever the means tell.
        known = np.sqrt(one.covariance[0, 0]) * 2 * 1.96 / S_SS
        width = np.ptp(one.estimates["gain_dn_per_electron"].ci95) / 2 / GAIN
        assert width == pytest.approx(known, rel=0.05)


def test_the_gain_is_that_along_a_bend_even_where_it_is_too_small_to_show():
    boards = [
        calibrate(make_readings(seed, bend=0.02, flicker=0.01, shape=(64, 64)))
        for seed in range(2 * SEVERAL)
    ]
    hidden = [one for one in boards if one.profile.response.straight]
    assert len(hidden) >= SEVERAL / 2
    gains = [one.estimates["gain_dn_per_electron"].value for one in hidden]
    assert abs(np.mean(gains) / GAIN - 1) < 0.045  # 0.064 for straight lines through these reads


def test_flicker_and_frame_offsets_widen_the_interval_of_the_curve():
    truth = {"bend": -0.05}
    quiet, noisy = (
        [calibrate(make_readings(seed, **truth, **noise)) for seed in range(SEVERAL)]
        for noise in ({}, {"flicker": 0.005, "frame_offset_dn": 0.3})
    )
    found = scores(noisy, "response_bend", -0.05)
    assert (np.abs(found) < 2.5).all()
    widths = [np.mean([np.ptp(one.estimates["response_bend"].ci95) for one in boards])
              for boards in (quiet, noisy)]  # fmt: skip
    assert widths[1] > 5 * widths[0]


def test_the_brightness_of_lights_need_not_be_known():
    """Four lights of two spans each, whose stated brightness is wrong or not stated at all."""
    signals = (0.0, *(light / n for light in (0.9, 0.7, 0.5, 0.3) for n in (1, 2)))
    spans = [16.0, *[16.0, 8.0] * 4]
    readings = make_readings(1, signals, spans=spans, bend=-0.05, shape=(96, 96))
    stated = {0.9: 0.8, 0.7: 0.75, 0.5: 0.3, 0.3: 0.4}
    wrong, unknown = (
        replace(
            readings,
            levels=tuple(
                level if level.dark else replace(level, light=light_of(level.light))
                for level in readings.levels
            ),
        )
        for light_of in (lambda light: stated[round(light, 6)], lambda _: None)
    )
    for one in (calibrate(wrong), calibrate(unknown)):
        assert abs(scores([one], "response_bend", -0.05)[0]) < 2.5
        assert abs(scores([one], "gain_dn_per_electron", GAIN)[0]) < 2.5
        assert one.response.bent


def test_a_light_that_was_moved_is_taken_as_another_one():
    signals = (*SIGNALS, 0.75 * LIGHT)
    readings = make_readings(2, signals, spans=[16.0, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0])
    same = tuple(level if level.dark else replace(level, light=LIGHT) for level in readings.levels)
    one = calibrate(replace(readings, levels=same))
    assert not one.response.bent
    assert len(one.response.signals) == 5


def test_means_that_scatter_about_the_curve_widen_its_interval():
    readings = make_readings(3)
    *others, top = readings.levels
    # 2 % less light at one span than at the others: more than any flicker within a level.
    low = make_readings(4, (0.98 * LIGHT / 4,), spans=[4.0]).levels[0]
    levels = (*others[:3], replace(low, light=LIGHT), *others[4:], top)
    one, undisturbed = calibrate(replace(readings, levels=levels)), calibrate(readings)
    widths = [np.ptp(each.estimates["response_bend"].ci95) for each in (one, undisturbed)]
    assert widths[0] > 5 * widths[1]


def test_dark_signal_does_not_pass_for_a_bend():
    signals = (0.0, 0.0, 0.0, *SIGNALS[1:])
    spans = [16.0, 8.0, 2.0, 1.0, 2.0, 4.0, 8.0, 16.0]
    boards = [
        calibrate(make_readings(seed, signals, spans=spans, dark_signal=0.05, bend=0.03))
        for seed in range(4)
    ]
    assert (np.abs(scores(boards, "response_bend", 0.03)) < 2.5).all()
    assert (np.abs(scores(boards, "gain_dn_per_electron", GAIN)) < 2.5).all()


def test_gains_of_pixels_are_those_before_the_response():
    boards = [calibrate(make_readings(seed, bend=-0.05, prnu=0.03)) for seed in range(4)]
    assert abs(scores(boards, "prnu", 0.03).mean()) < 2.5 / np.sqrt(4)


def test_boards_without_shot_noise_have_a_response_too():
    found = calibrate(make_readings(4, s_ss=0.0, bend=0.03))
    assert abs(scores([found], "response_bend", 0.03)[0]) < 2.5
    assert found.response.bent


@pytest.mark.parametrize("full_scale_dn", [20.0, 5000.0])
def test_a_declared_scale_far_from_that_of_the_codes_does_not_end_the_fit(full_scale_dn):
    readings = make_readings(71, shape=(40, 40), s_ss=0.0, bend=1.5, bits=12, flicker=0.02)
    found = calibrate(replace(readings, full_scale_dn=full_scale_dn))
    in_dn = found.estimates["s_r"].value * full_scale_dn
    assert in_dn == pytest.approx(S_R * FULL_SCALE_DN, rel=0.2)


def test_the_full_well_is_a_signal_and_not_a_read():
    signals = (0.0, 0.1, 0.2, 0.4, 0.8, 1.1, 1.3)
    spans = [16.0, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]
    found = calibrate(
        make_readings(
            2, signals, spans=spans, full_well=0.9, bits=10, full_scale_dn=600.0, bend=-0.05
        )
    )
    assert found.profile.full_well == pytest.approx(0.9, rel=0.005)
    assert abs(scores([found], "response_bend", -0.05)[0]) < 2.5
