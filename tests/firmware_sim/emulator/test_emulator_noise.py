"""Statistics of the emulator's noise: the right distributions, and no correlations."""

from statistics import NormalDist

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.emulator.random_keys import Purpose, stream_keys
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset

SIDE = 128
FINE = {"bits": 16, "black_level_dn": 32768.0, "full_scale_dn": 30000.0}
"""An ADC with margins, so that neither clipping nor rounding is visible."""


def dark(windows=1, side=SIDE):
    return np.zeros((windows, 16, side, side), np.uint8)


def normals(windows=1, level=8, seed=0, first_window=0):
    """Standardised read noise alone, (windows, count), rounded to 5e-4."""
    profile = NoiseProfile(name="read", s_r=2000 / 30000.0, **FINE)
    emulator = Emulator(RatioMap.uniform(level, (SIDE, SIDE)), profile, seed=seed)
    codes = emulator.read_out(dark(windows), first_window)
    return (codes.astype(np.float64) - 32768.0) / 2000.0


def assert_near(value, expected, standard_error, sigmas=5.0):
    assert abs(value - expected) < sigmas * standard_error, (value, expected, standard_error)


def assert_uncorrelated(a, b):
    a, b = np.ravel(a), np.ravel(b)
    assert_near(np.corrcoef(a, b)[0, 1], 0.0, 1 / np.sqrt(a.size))


@pytest.mark.parametrize("name", ["paper", "well"])
@pytest.mark.parametrize("level", [1, 2, 4, 8])
@pytest.mark.parametrize("light", [0.0, 0.3, 0.9])
def test_mean_and_variance_of_every_span_follow_the_model(name, level, light):
    """CRL section II: e + N(0, e s_ss**2) + N(0, s_r**2), with e = light L/T."""
    profile = preset("paper")
    if name == "well":  # far above the signal, so that shot and read noise are drawn apart
        profile = NoiseProfile(
            name="well", bits=16, black_level_dn=4096, full_scale_dn=49152, full_well=3.0,
            shot="gaussian", s_ss=profile.s_ss, s_r=profile.s_r,
        )  # fmt: skip
    emulator = Emulator(RatioMap.uniform(level, (SIDE, SIDE)), profile, seed=level)
    scene = np.full((8, 16, SIDE, SIDE), light, np.float32)
    signal = profile.signal(emulator.read_out(scene)).astype(np.float64)
    e = light / level
    variance = e * profile.s_ss**2 + profile.s_r**2 + (1 / 49152) ** 2 / 12
    assert_near(signal.mean(), e, np.sqrt(variance / signal.size))
    assert_near(signal.var(), variance, variance * np.sqrt(2 / signal.size))


def test_draws_are_normal_out_to_the_tails():
    sample = normals(windows=16)
    edges = np.array([NormalDist().inv_cdf(p) for p in np.linspace(0, 1, 102)[1:-1]])
    edges = np.concatenate([[-4.5, -4, -3.5, -3], edges, [3, 3.5, 4, 4.5]])
    # The codes are rounded: shift the edges to the next code boundary.
    edges = (np.floor(edges * 2000) + 0.5) / 2000
    share = np.diff([0.0, *(NormalDist().cdf(edge) for edge in edges), 1.0])
    counts = np.bincount(np.searchsorted(edges, sample.ravel()), minlength=len(share))
    expected = share * sample.size
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    freedom = len(share) - 1
    assert_near(chi_squared, freedom, np.sqrt(2 * freedom))
    assert_near((sample**3).mean(), 0, np.sqrt(15 / sample.size))
    assert_near((sample**4).mean(), 3, np.sqrt(96 / sample.size))
    assert np.abs(sample).max() > 4.9


def test_the_far_tail_has_its_share():
    beyond = 4.8
    count = sum(int((np.abs(normals(16, seed=seed)) > beyond).sum()) for seed in range(8))
    expected = 8 * 16 * 8 * SIDE**2 * 2 * NormalDist().cdf(-beyond)
    assert_near(count, expected, np.sqrt(expected))


@pytest.mark.parametrize("lag", [1, 2, 3, 16, SIDE - 1, SIDE, SIDE + 1, SIDE * SIDE, 4096])
def test_reads_and_pixels_are_independent(lag):
    """In the readout of a uniform map, these lags connect neighbours, rows and reads of a pixel."""
    sample = normals(windows=8)
    assert_uncorrelated(sample[:, lag:], sample[:, :-lag])
    assert_uncorrelated(sample[:, lag:] ** 2, sample[:, :-lag] ** 2)


def test_windows_are_independent():
    sample = normals(windows=24)
    correlation = np.corrcoef(sample)[np.triu_indices(24, 1)]
    standard_error = 1 / np.sqrt(sample.shape[1])
    assert np.abs(correlation).max() < 5 * standard_error
    assert_near(np.mean(correlation**2), standard_error**2, standard_error**2 / np.sqrt(138))


def test_seeds_are_independent():
    sample = np.concatenate([normals(seed=seed) for seed in (0, 1, 2, 3, 2**32, 2**63, 2**64 - 1)])
    correlation = np.corrcoef(sample)[np.triu_indices(len(sample), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(sample.shape[1])


def test_window_numbers_may_be_large():
    assert_uncorrelated(normals(first_window=2**40), normals(first_window=2**40 + 1))
    assert (normals(first_window=2**40) == normals(2, first_window=2**40 - 1)[1]).all()


@pytest.mark.parametrize("electrons", [0.5, 4.0, 9.9, 10.1, 50.0, 3000.0])
def test_poisson_shot_noise_counts_electrons(electrons):
    """Counts are whole, and their probabilities those of Poisson's distribution."""
    full_scale = 4000.0 if electrons > 100 else 100.0  # electrons at signal 1.0
    profile = NoiseProfile(
        name="poisson", bits=16, full_scale_dn=full_scale, shot="poisson", s_ss=full_scale**-0.5
    )
    emulator = Emulator(RatioMap.uniform(1, (SIDE, SIDE)), profile, seed=3)
    scene = np.full((8, 16, SIDE, SIDE), electrons / full_scale, np.float32)
    counts = emulator.read_out(scene).ravel().astype(np.int64)
    mean = electrons
    assert_near(counts.mean(), mean, np.sqrt(mean / counts.size))
    fourth = mean + 3 * mean**2
    assert_near(counts.var(), mean, np.sqrt((fourth - mean**2) / counts.size))
    third = ((counts - mean) ** 3).mean()
    assert_near(third, mean, np.sqrt((15 * mean**3 + 50 * mean**2 + 60 * mean) / counts.size))
    if electrons < 100:
        k = np.arange(counts.max() + 1)
        log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
        expected = np.exp(k * np.log(mean) - mean - log_factorial) * counts.size
        enough = expected > 20
        found = np.bincount(counts)[enough]
        chi_squared = ((found - expected[enough]) ** 2 / expected[enough]).sum()
        assert_near(chi_squared, enough.sum(), np.sqrt(2 * enough.sum()))


def term(**terms):
    profile = NoiseProfile(name="term", **FINE, **terms)
    emulator = Emulator(RatioMap.uniform(4, (SIDE, SIDE)), profile, seed=11)
    signal = profile.signal(emulator.read_out(dark(6))).astype(np.float64)
    return signal.reshape(6, 4, SIDE, SIDE)  # window, slot, y, x


def test_row_noise_is_one_draw_a_row_and_slot():
    signal = term(row_noise=0.05)
    rows = signal[..., 0]
    assert (signal == rows[..., None]).all()
    assert_near(rows.std(), 0.05, 0.05 / np.sqrt(2 * rows.size))
    assert_uncorrelated(rows[:, 1:], rows[:, :-1])
    assert_uncorrelated(rows[..., 1:], rows[..., :-1])


def test_frame_offset_is_one_draw_a_slot():
    signal = term(frame_offset=0.05)
    frames = signal[..., 0, 0]
    assert (signal == frames[..., None, None]).all()
    assert_near(frames.std(), 0.05, 0.05 / np.sqrt(2 * frames.size))
    assert len(np.unique(frames)) == frames.size


def test_fixed_pattern_repeats_and_has_its_column_part():
    signal = term(pixel_offset=0.03, column_offset=0.04)
    pattern = signal[0, 0]
    assert (signal == pattern).all()
    columns = pattern.mean(axis=0)
    assert_near(columns.std(), 0.04, 0.05 / np.sqrt(2 * SIDE))
    assert_near((pattern - columns).std(), 0.03, 0.03 / np.sqrt(2 * SIDE**2))


def test_gains_spread_with_the_light_and_dark_signal_with_the_span():
    profile = NoiseProfile(name="gain", **FINE, prnu=0.02, dark_signal=0.2)
    for level in (1, 4):
        emulator = Emulator(RatioMap.uniform(level, (SIDE, SIDE)), profile, seed=2)
        signal = profile.signal(emulator.read_out(np.full((16, SIDE, SIDE), 0.8, np.float32)))
        planes = emulator.plan.planes(signal)[:level]
        assert_near(planes.mean(), 1.0 / level, 0.016 / level / SIDE)
        assert_near(planes[0].std(), 0.016 / level, 0.016 / level / np.sqrt(2 * SIDE**2))
        assert (planes == planes[0]).all()


def test_scamp5_has_its_published_figures():
    """Temporal 0.8 DN, fixed pattern 3.0 DN of which 2.3 DN by column, frame offset 0.39 DN."""
    emulator = Emulator(RatioMap.uniform(8, (SIDE, SIDE)), preset("scamp5"), seed=21)
    codes = emulator.read_out(dark(24)).astype(np.float64)
    reads = codes.reshape(24 * 8, SIDE, SIDE)
    frames = reads.mean(axis=(1, 2))
    assert_near(frames.mean(), 20.0, 3.0 / np.sqrt(SIDE))
    assert_near(frames.std(), 0.39, 0.39 / np.sqrt(2 * 192))
    pattern = reads.mean(axis=0)
    assert_near(pattern.std(), 3.0, 3.0 / np.sqrt(SIDE))
    assert_near(pattern.mean(axis=0).std(), 2.3, 2.3 / np.sqrt(2 * SIDE))
    temporal = (reads - frames[:, None, None]).std(axis=0)
    assert_near(np.sqrt((temporal**2).mean()), np.sqrt(0.8**2 + 1 / 12), 0.01)


def test_full_well_saturates_before_read_noise():
    profile = NoiseProfile(name="well", **FINE, full_well=0.5, s_r=0.01)
    emulator = Emulator(RatioMap.uniform(1, (SIDE, SIDE)), profile, seed=1)
    signal = profile.signal(emulator.read_out(np.ones((16, SIDE, SIDE), np.float32)))
    assert_near(signal.mean(), 0.5, 0.01 / SIDE)
    assert_near(signal.std(), 0.01, 0.01 / np.sqrt(2 * SIDE**2))


@pytest.mark.parametrize("light", [0.2, 0.9])
def test_a_bent_response_scales_shot_noise_by_its_slope_and_leaves_read_noise(light):
    profile = NoiseProfile(
        name="bent", **FINE, shot="gaussian", s_ss=0.01, s_r=0.005, bend=-0.1, bend_cubic=0.03
    )
    emulator = Emulator(RatioMap.uniform(1, (SIDE, SIDE)), profile, seed=7)
    scene = np.full((16, 16, SIDE, SIDE), light, np.float32)
    signal = profile.signal(emulator.read_out(scene)).astype(np.float64)
    slope = 1 - 0.2 * light + 0.09 * light**2
    variance = slope**2 * light * 0.01**2 + 0.005**2 + (1 / 30000) ** 2 / 12
    curved = light * (1 - 0.1 * light + 0.03 * light**2)
    assert_near(signal.mean(), curved, np.sqrt(variance / signal.size), 6.0)
    assert_near(signal.var(), variance, variance * np.sqrt(2 / signal.size))


def test_keys_differ_for_every_purpose_seed_and_window():
    keys = np.concatenate(
        [
            stream_keys(seed, purpose, np.arange(1000))
            for seed in (0, 1, 2**64 - 1)
            for purpose in Purpose
        ]
    )
    assert len(np.unique(keys[:, :2], axis=0)) == len(keys)
    ones = np.unpackbits(keys.view(np.uint8)).mean()
    assert_near(ones, 0.5, 0.5 / np.sqrt(keys.size * 32))
