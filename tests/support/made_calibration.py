"""A calibration made by hand, so that what the report must show is known exactly."""

from dataclasses import replace

import numpy as np

from focalloop.calibration.result import (
    Calibration,
    Curve,
    Estimate,
    Fit,
    LevelSummary,
    LinearityPoint,
    MeasuredResponse,
    Pattern,
)
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile

SHAPE = (48, 64)
BLACK_DN, FULL_SCALE_DN = 12.0, 220.0
S_SS, S_R = 4.95e-3, 7.25e-3

PROFILE = NoiseProfile(
    name="bench",
    bits=8,
    black_level_dn=BLACK_DN,
    full_scale_dn=FULL_SCALE_DN,
    shot="gaussian",
    s_ss=S_SS,
    s_r=S_R,
)


def make_level(signal, *, used=True, why_not="", off=0.0):
    """A level whose variance is `off` standard errors above the model."""
    model = FULL_SCALE_DN**2 * (S_R**2 + S_SS**2 * signal)
    error = 0.01 * model
    return LevelSummary(
        name=f"series {signal:g}",
        dark=signal == 0,
        exposure=16 * signal or 1.0,
        light=None if signal == 0 else 0.9,
        reads=4,
        pixels=SHAPE[0] * SHAPE[1],
        mean_dn=BLACK_DN + FULL_SCALE_DN * signal,
        signal=signal,
        variance_dn2=model + off * error,
        variance_error_dn2=error,
        dof=9216.0,
        model_variance_dn2=model,
        row_noise_dn2=0.01,
        zero_fraction=0.0,
        saturated_fraction=0.25 if why_not else 0.0,
        used=used,
        why_not=why_not,
    )


LEVELS = (
    make_level(0.0, off=0.3),
    make_level(0.0563, off=-0.9),
    make_level(0.1125, off=1.1),
    make_level(0.225, off=-0.2),
    make_level(0.45, off=0.6),
    make_level(0.9, off=-0.4),
    make_level(1.08, used=False, why_not="a quarter of its codes are saturated", off=-30.0),
)


def make_pattern(scale, seed):
    rng = np.random.default_rng(seed)
    columns = rng.normal(0, 1, SHAPE[1])
    values = (scale * (rng.normal(0, 1, SHAPE) + columns)).astype(np.float32)
    values -= values.mean()
    return Pattern(values, values.mean(1, dtype=np.float64), values.mean(0, dtype=np.float64))


def make_response(*, bent=False):
    """A response that reads 4 % of full scale low, or straight; levels half an error above it."""
    at, signals = np.linspace(0, 1, 101), np.array([level.signal for level in LEVELS[1:6]])
    bend = -0.04 if bent else 0.0
    errors = np.full(5, 1e-3)
    return MeasuredResponse(
        names=tuple(level.name for level in LEVELS[1:6]),
        signals=signals,
        reads=signals + bend * signals**2 + errors / 2,
        errors=errors,
        curve=Curve(at, bend * at**2),
        half=2e-3 * at**2,
        bent=bent,
    )


def make_calibration(**changes):
    """The calibration, with some of its fields replaced."""
    signal = np.geomspace(1e-3, 1.0, 60)
    noise = np.sqrt(S_R**2 + S_SS**2 * signal)
    normal = np.linspace(-3.5, 3.5, 61)
    made = Calibration(
        profile=PROFILE,
        estimates={
            "s_ss": Estimate(S_SS, (4.90e-3, 5.00e-3), ""),
            "s_r": Estimate(S_R, (7.235e-3, 7.265e-3), ""),
            "gain_dn_per_electron": Estimate(5.3906e-3, (5.28e-3, 5.50e-3), "DN/e-"),
            "dark_noise_dn": Estimate(1.6211, (1.6174, 1.6248), "DN"),
            "black_level_dn": Estimate(12.004, (11.987, 12.021), "DN"),
            "dsnu_dn": Estimate(1.0, (0.985, 1.015), "DN"),
            "prnu": Estimate(0.0102, (0.0098, 0.0106), ""),
            "dynamic_range_db": Estimate(42.5, (42.4, 42.6), "dB"),
        },
        covariance=np.diag([6.5e-10, 5.9e-11]),
        fit=Fit(chi2_reduced=0.72, p_value=0.58, dof=4),
        warnings=(),
        levels=LEVELS,
        offset=make_pattern(0.7, 1),
        gain=make_pattern(0.007, 2),
        read_noise_quantiles=Curve(normal, normal + 0.02 * normal**3 / 9),
        linearity=tuple(
            LinearityPoint(
                exposure=16 * level.signal,
                mean_dn=FULL_SCALE_DN * level.signal * (1 + error),
                fitted_dn=FULL_SCALE_DN * level.signal,
                error=error,
                used=level.used,
            )
            for level, error in zip(LEVELS[1:], (1e-3, -4e-4, 0, 5e-4, -3e-4, -0.02), strict=True)
        ),
        response=make_response(),
        snr=Curve(signal, signal / noise),
        protocol="weighted",
        origin={
            "board": {"name": "bench camera", "serial": "0042", "simulated": False},
            "files": [{"file": "readouts-0.npy", "sha256": "ab" * 32}],
            "temperature_c": None,
        },
        pattern=FixedPattern(
            np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
        ),
    )
    return replace(made, **changes)
