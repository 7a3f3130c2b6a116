"""Whether a network suits the noise of a sensor, in words."""

from __future__ import annotations

import math

from focalloop.firmware_sim.noise import TYPICAL_SIGNAL, NoiseProfile
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.noise_cost import TINY, WORTH_DB, NoiseCost

TOLERANCE = 1.25
"""Factor between two standard deviations of noise from which a difference is worth a word."""

NEAR = 0.05
"""Relative distance from the range of a network's noises that is not worth a word."""


def noise_note(bundle: Bundle, profile: NoiseProfile) -> str | None:
    """Say how the noise of a sensor differs from what a bundle's network is for.

    Parameters
    ----------
    bundle : Bundle
        What reconstructs.
    profile : NoiseProfile
        Noise of the reads that it gets.

    Returns
    -------
    str or None
        A sentence; None where they fit.
    """
    noise = profile.shot_and_read()
    if bundle.noise_range is not None:
        beyond = [
            f"{name} {value:.2g} is {'below' if value < low else 'above'} that, and {limit:.2g} "
            f"is taken instead"
            for (name, (low, high)), value in zip(bundle.noise_range.items(), noise, strict=True)
            if not math.isclose(limit := min(max(value, low), high), value, rel_tol=NEAR)
        ]
        if not beyond:
            return None
        known = ", ".join(f"{k} {a:.2g} to {b:.2g}" for k, (a, b) in bundle.noise_range.items())
        return f"{bundle.name} was trained for noise of {known}; of {profile.name}, " + "; ".join(
            beyond
        )
    ratio = _deviation(noise) / max(_deviation(bundle.noise_profile.shot_and_read()), TINY)
    if ratio > TOLERANCE:
        return (
            f"the reads of {profile.name} are {ratio:.1f} times as noisy as those that "
            f"{bundle.name} learned from, so noise stays in its video{_cost(bundle, noise)}"
        )
    if ratio < 1 / TOLERANCE:
        much = f"{1 / ratio:.1f} times as noisy as" if ratio > TINY else "with noise, unlike"
        return (
            f"{bundle.name} learned from reads {much} those of {profile.name}, so it smooths "
            f"detail away that these hold{_cost(bundle, noise)}"
        )
    return None


def told_note(bundle: Bundle, profile: NoiseProfile) -> str | None:
    """Say why a bundle that is told the noise reconstructs, instead of one that is not.

    Parameters
    ----------
    bundle : Bundle
        What is not used, since `Bundle.told_instead` names another.
    profile : NoiseProfile
        Noise of the reads.

    Returns
    -------
    str or None
        A sentence; None where their noise is what `bundle` knows, or it is used.
    """
    cost = bundle.noise_cost
    if cost is None or bundle.told_instead(profile) is None or noise_note(bundle, profile) is None:
        return None
    return (
        f"{cost.against} reconstructs, which is told the noise: that of {profile.name} would cost "
        f"{bundle.name} {_decibels(cost, profile.shot_and_read())}"
    )


def _cost(bundle: Bundle, noise: tuple[float, float]) -> str:
    """Say in dB what the difference costs, where the bundle states it."""
    cost = bundle.noise_cost
    if cost is None:
        return ""
    if cost.at(*noise) < WORTH_DB:
        return f"; it is still no worse than {cost.against}, which is told the noise"
    return f"; this costs {_decibels(cost, noise)} against {cost.against}, which is told the noise"


def _decibels(cost: NoiseCost, noise: tuple[float, float]) -> str:
    loss, spread = f"about {cost.at(*noise):.1f} dB", cost.spread_at(*noise)
    if spread is None:
        return loss
    low, high = spread
    return f"{loss} ({low:.1f} to {high:.1f} in eight of ten validation scenes)"


def _deviation(noise: tuple[float, float]) -> float:
    s_ss, s_r = noise
    return math.sqrt(TYPICAL_SIGNAL * s_ss**2 + s_r**2)
