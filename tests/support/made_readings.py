"""Readings drawn from the forward model in NumPy, with every disturbance under control."""

import numpy as np

from focalloop.calibration import Level, Readings

S_SS, S_R = 4.95e-3, 7.25e-3
BLACK_DN, FULL_SCALE_DN = 20.0, 220.0
LIGHT = 0.9
SIGNALS = (0.0, *(LIGHT / n for n in (16, 8, 4, 2, 1)))


def make_readings(
    seed=0,
    signals=SIGNALS,
    reads=4,
    shape=(64, 64),
    *,
    bits=8,
    black_dn=BLACK_DN,
    full_scale_dn=FULL_SCALE_DN,
    s_ss=S_SS,
    s_r=S_R,
    prnu=0.0,
    dsnu_dn=0.0,
    column_dn=0.0,
    row_noise_dn=0.0,
    column_noise_dn=0.0,
    frame_offset_dn=0.0,
    flicker=0.0,
    dark_signal=0.0,
    bend=0.0,
    bend_cubic=0.0,
    full_well=np.inf,
    shading=0.0,
    spans=None,
    **declared,
):
    """Readings under one even light, where each level has the span that gives its signal.

    With `spans`, the levels have these spans instead, and the lights that give their signals.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    gain = 1 + prnu * rng.standard_normal(shape)
    gain = gain * (1 + shading * np.linspace(-1, 1, width))
    offset = dsnu_dn * rng.standard_normal(shape) + column_dn * rng.standard_normal(width)
    levels = []
    for index, signal in enumerate(signals):
        span = spans[index] if spans else (16.0 if signal == 0 else 16 * signal / LIGHT)
        lamp = 1 + flicker * rng.standard_normal((reads, 1, 1))
        light = signal * lamp * gain + dark_signal * span / 16
        light = light + np.sqrt(light) * s_ss * rng.standard_normal((reads, *shape))
        light = np.minimum(light, full_well)
        light = light * (1 + bend * light + bend_cubic * light**2)
        light = light + s_r * rng.standard_normal((reads, *shape))
        codes = black_dn + full_scale_dn * light + offset
        codes += row_noise_dn * rng.standard_normal((reads, height, 1))
        codes += column_noise_dn * rng.standard_normal((reads, 1, width))
        codes += frame_offset_dn * rng.standard_normal((reads, 1, 1))
        codes = np.clip(np.round(codes), 0, (1 << bits) - 1)
        levels.append(
            Level(
                reads=codes.astype(np.uint8 if bits <= 8 else np.uint16),
                dark=signal == 0,
                exposure=span,
                light=None if signal == 0 else 16 * signal / span if spans else LIGHT,
                name=f"signal {signal:g}",
            )
        )
    settings = {"full_scale_dn": full_scale_dn, "black_level_dn": black_dn} | declared
    return Readings(
        levels=tuple(levels),
        bits=bits,
        slots=16,
        exposure_unit="slots",
        origin={"made": seed},
        **settings,
    )
